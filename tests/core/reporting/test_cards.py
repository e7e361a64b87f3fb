"""Model cards: their head is YAML that says what was recorded, their numbers are those of the evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.reporting.cards import front_matter, licence_tag
from frbias.core.stages.export import export
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.paired import compare_evaluations
from frbias.core.verification.results import Evaluation

CPU = Machine(Resources(device="cpu"))


def evaluated(seed: int, name: str, bootstrap: int = 120) -> Evaluation:
    rng, who = np.random.default_rng(seed), np.repeat(np.arange(40), 4)
    vectors = (np.random.default_rng(0).normal(size=(40, 8))[who] + rng.normal(size=(160, 8))).astype(np.float32)
    ages = np.tile([5.0, 10.0, 30.0, 50.0], 40)
    return evaluate_embeddings(
        vectors, who, ages, groups="0-19,20+", targets=(0.1,), bootstrap=bootstrap, curves=False, name=name
    )


def head_of(card: str) -> dict[str, object]:
    """The YAML head, every value of which is JSON."""
    lines = card.split("---\n")[1].splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


@pytest.fixture(scope="module")
def sface() -> str:
    return load_recogniser("sface").sha256


def exported(out: Path, place: Path) -> str:
    export(ExportRequest(weights="sface", onnx=False, pack=False, evaluation=place), out, machine=CPU)
    return (out / "README.md").read_text()


def test_a_card_says_what_was_measured(tmp_path: Path, sface: str) -> None:
    done = evaluated(1, "mine").described({"weights_sha256": sface, "synthetic": "These images are synthetic."})
    write_json(tmp_path / "ev" / "evaluation.json", done.to_json())
    card, at = exported(tmp_path / "out", tmp_path / "ev"), done.at(0.1)
    head = head_of(card)
    assert head["license"] == licence_tag(load_recogniser("sface").description.licence) == "apache-2.0"
    assert head["model-index"][0]["results"][0]["metrics"][0] == {
        "type": "fnmr", "name": "FNMR at FMR 0.1", "value": at.fnmr.value,
    }  # fmt: skip
    for group in at.groups:
        assert f"| {group.name} | {100 * group.fmr.value:.3g} % |" in card
        assert f"{group.fnmr.errors} of {group.fnmr.trials} |" in card
    assert f"| GARBE | {at.measures['garbe'].value:.3g} |" in card
    assert "These images are synthetic." in card
    assert sface in card
    assert (tmp_path / "out" / "evaluation" / "evaluation.json").read_bytes() == (
        tmp_path / "ev" / "evaluation.json"
    ).read_bytes()
    assert str(tmp_path) not in card


def test_a_card_of_a_comparison_begins_with_its_verdict(tmp_path: Path, sface: str) -> None:
    found = compare_evaluations(evaluated(1, "before"), evaluated(2, "after").described({"weights_sha256": sface}))
    write_json(tmp_path / "cmp" / "comparison.json", found.to_json())
    card = exported(tmp_path / "out", tmp_path / "cmp")
    assert f"**{found.verdicts[0].sentence}" in card
    assert "Compared, paired, with before." in card


def test_a_card_without_a_measurement_says_so(tmp_path: Path) -> None:
    export(ExportRequest(weights="sface", onnx=False, pack=False), tmp_path / "out", machine=CPU)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Nothing is recorded here" in card
    assert "model-index" not in card
    assert "onnx" not in head_of(card)["tags"]
    export(ExportRequest(weights="sface", onnx=False, pack=False, card=False), tmp_path / "bare", machine=CPU)
    assert not (tmp_path / "bare" / "README.md").exists()


def test_an_evaluation_of_another_recogniser_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "evaluation.json", evaluated(1, "x", 0).described({"weights_sha256": "0" * 64}).to_json())
    with pytest.raises(BadInputError, match="about another recogniser than sface"):
        exported(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_names_cannot_break_the_head() -> None:
    text = front_matter({"name": "a: b\n---\n# x", "tags": ["'\"]"]})
    assert head_of(text + "\n") == {"name": "a: b\n---\n# x", "tags": ["'\"]"]}
