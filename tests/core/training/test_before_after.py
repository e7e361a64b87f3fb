"""A fine-tuning with an evaluation set ends with a verdict on it: what is kept against the start model, paired."""

import json
from pathlib import Path

import numpy as np
import pytest

from frbias.cli.finetune import _summary, _tell
from frbias.core.data.images import read_image
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.stages.finetune import FinetuneResult, finetune
from frbias.core.stages.requests.finetune import FinetuneRequest
from frbias.core.verification.evaluation import evaluate_embeddings


def train(people: SampleTable, faces: SampleTable, weights: str, out: Path) -> FinetuneResult:
    request = FinetuneRequest(
        data=str(people.root), weights=weights, eval_data=str(faces.root), epochs=1, batch_size=8, validation=0.25,
        frozen=("stem", "1", "2", "3"), lr=0.02, seed=4,
    )  # fmt: skip
    return finetune(request, out, machine=Machine(Resources(device="cpu")))


def test_what_is_kept_is_judged_on_the_evaluation_set(
    people: SampleTable, two_groups: SampleTable, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(people, two_groups, weights, tmp_path / "run")
    document = json.loads((tmp_path / "run" / "comparison" / "comparison.json").read_text())
    assert result.comparison == document
    assert document["other"]["name"] == "run"
    faces = np.stack([read_image(path) for path in two_groups.paths])
    for side, model in (("baseline", weights), ("other", str(tmp_path / "run"))):
        vectors = load_recogniser(model).embed(faces)
        alone = evaluate_embeddings(
            vectors, np.array(two_groups.subjects), two_groups.ages, groups="age", bootstrap=0,
            targets=[t["target"] for t in document[side]["targets"]],
        )  # fmt: skip
        assert document[side]["overall"]["eer"]["value"] == pytest.approx(alone.overall.eer.value, abs=1e-9)
        assert document[side]["overall"]["d_prime"] == pytest.approx(alone.overall.d_prime, rel=1e-4)
    assert document["baseline"]["overall"]["d_prime"] != document["other"]["overall"]["d_prime"]
    _tell(result)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0].startswith("run against ")
    assert "".join(lines[1:4]).replace(" ", "").startswith(document["verdict"]["sentence"].replace(" ", ""))
    assert any(line.startswith("EER ") for line in lines)
    assert _summary(result)["verdict"] == document["verdict"]
    again = train(people, two_groups, weights, tmp_path / "run")
    assert again.reused
    assert again.comparison == document


def test_a_set_that_cannot_be_judged_says_why(
    people: SampleTable, alone: SampleTable, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(people, alone, weights, tmp_path / "run")
    assert result.comparison is None
    assert "mated" in result.not_compared
    assert not (tmp_path / "run" / "comparison").exists()
    _tell(result)
    assert f"No verdict on the evaluation set: {result.not_compared}" in " ".join(capsys.readouterr().out.split())
