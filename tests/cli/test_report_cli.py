"""frbias report from the command line: finds the document, refuses what is none."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples
from frbias.core.foundation.files import write_json
from frbias.core.reporting.figures.every import Gallery
from frbias.core.verification.evaluation import evaluate_embeddings

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(25), 4)
    matrix = rng.normal(size=(25, 16))[subjects] + 1.1 * rng.normal(size=(100, 16))
    done = evaluate_embeddings(
        matrix.astype(np.float32),
        subjects,
        np.tile([5.0, 6.0, 30.0, 33.0], 25),
        groups="0-12,13-59",
        targets=[0.1, 0.05],
        bootstrap=0,
        curves=False,
        name="plain",
    )
    write_json(tmp_path / "eval/evaluation.json", done.to_json())
    return tmp_path / "eval"


def test_the_page_lies_in_the_folder(evaluation: Path, call: Call) -> None:
    code, out, err = call("report", evaluation, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["report"] == str(evaluation / "report.html")
    text = (evaluation / "report.html").read_text(encoding="utf-8")
    assert "<code>evaluation.json</code>" in text
    assert 'title="evaluation.json: targets.1.tau"' in text
    assert (evaluation / "figures/rates_by_group.csv").is_file()


def test_another_place_title_and_target(evaluation: Path, tmp_path: Path, call: Call) -> None:
    page = tmp_path / "pages/fair.html"
    arguments = ("--out", page, "--title", "A <title>", "--at-fmr", 0.1, "--held-out")
    code, out, _ = call("report", evaluation / "evaluation.json", *arguments)
    assert code == 0
    assert str(page) in out.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert "A &lt;title&gt;" in text
    assert 'title="../eval/evaluation.json: targets.0.tau"' in text
    assert "is not recorded here" not in text


def test_what_is_no_evaluation(evaluation: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "empty").mkdir()
    write_json(tmp_path / "other.json", {"schema": "somebody.else"})
    (tmp_path / "torn.json").write_text('{"schema": ')
    for place, words in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "empty", "run frbias evaluate"),
        (tmp_path / "other.json", "neither an evaluation nor a comparison"),
        (tmp_path / "torn.json", "cannot be read as JSON"),
    ):
        code, out, err = call("report", place)
        assert (code, out) == (2, "")
        assert words in err
    code, _, err = call("report", evaluation, "--stage", tmp_path / "empty")
    assert code == 2
    assert "no provenance.json" in err


def test_scores_of_somebody_else(tmp_path: Path, call: Call) -> None:
    rng = np.random.default_rng(0)
    rows = ["score,mated,group"]
    for group, shift in (("child", 0.3), ("adult", 0.0)):
        rows += [f"{s:.6f},1,{group}" for s in rng.normal(1.2 - shift, 0.4, 200)]
        rows += [f"{s:.6f},0,{group}" for s in rng.normal(shift / 2, 0.4, 2000)]
    (tmp_path / "scores.csv").write_text("\n".join(rows))
    assert call("evaluate", "--scores", tmp_path / "scores.csv", "--out", tmp_path / "eval", "-q")[0] == 0
    code, _, err = call("report", tmp_path / "eval")
    assert (code, err) == (0, "")
    text = (tmp_path / "eval/report.html").read_text(encoding="utf-8")
    assert 'data-json="comparisons.mated" value="400"' in text
    assert "<th>Images</th>" not in text


@pytest.mark.parametrize(
    ("makers", "shown"),
    [(None, False), (["", ""], False), (["mesh", ""], False), (["cusp", "cusp"], False), (["mesh", "mesh"], True)],
)
def test_pictures_of_real_people_are_shown_only_when_asked_for(
    makers: list[str] | None, shown: bool, evaluation: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.core.reporting.html.draw_document", lambda *_, **__: Gallery(()))  # people alone matter
    rows = [{"file_name": f"{k}.png", "subject": f"s{k}", "age": 30.0} for k in range(2)]
    for k, row in enumerate(rows):
        write_png(tmp_path / "people" / str(row["file_name"]), np.full((40, 40, 3), 90, np.uint8))
        if makers is not None:
            row["generator"] = makers[k]
    write_samples(make_table(tmp_path / "people", rows))
    page = evaluation / "report.html"
    code, _, err = call("report", evaluation, "--people", tmp_path / "people")
    assert code == 0
    assert ("data:image/jpeg" in page.read_text()) == shown == ("may be of real people" not in err)
    assert call("report", evaluation, "--people", tmp_path / "people", "--show-people")[0] == 0
    assert "data:image/jpeg" in page.read_text()
