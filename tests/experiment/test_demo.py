"""The whole experiment, tiny, through the command line: everything is there, the numbers agree, nothing is redone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TINY = """
name = "tiny"

[train]
backend = "mesh"
subjects = 8
first_subject = 100
ages = [6, 30]
variants = 2
size = 128

[test]
backend = "mesh"
subjects = 6
ages = [8, 35]
variants = 2
size = 128

[finetune]
epochs = 2
batch_size = 8

[evaluate]
groups = "0-19,20-60"
at_fmr = [0.1]
bootstrap = 100
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], Path]:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TINY)
    command = [sys.executable, "-m", "frbias", "run", str(folder / "tiny.toml"), "--out", str(folder / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout), folder / "tiny.toml"


@pytest.mark.slow
@pytest.mark.xdist_group("experiment")
def test_everything_is_there(finished: tuple[Path, dict[str, object], Path]) -> None:
    out, summary, _ = finished
    assert summary["report"] == str(out / "report.html")
    assert summary["test_images"] == 24
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    for words, value in (("data set", "6 people made by mesh"), ("its licence", "CC0-1.0")):
        assert f"<dt>{words}</dt><dd>{value}</dd>" in page
    document = json.loads((out / "evaluation.json").read_text())
    assert document["schema"] == "frbias.comparison"
    assert summary["targets"] == document["targets"]
    assert str(summary["verdict"]) in page
    assert "<dt>command</dt><dd><code>frbias run .../tiny.toml</code></dd>" in page
    assert "<dt>its last stage</dt><dd><code>frbias compare .../baseline .../finetuned " in page
    assert str(out.parent) not in page


@pytest.mark.slow
@pytest.mark.xdist_group("experiment")
def test_the_numbers_agree_with_brute_force(finished: tuple[Path, dict[str, object], Path]) -> None:
    import numpy as np

    from frbias.core.data.embeddings import read_embeddings

    out, _, _ = finished
    document = json.loads((out / "evaluation.json").read_text())
    for side, folder in (("baseline", "baseline"), ("other", "finetuned")):
        e = read_embeddings(out / "embeddings" / folder)
        unit = e.matrix.astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        record = document[side]["targets"][0]
        for group, low, high in (("0-19", 0, 20), ("20-60", 20, 61)):
            rows = [i for i, age in enumerate(e.ages) if low <= age < high]
            pairs = [(i, j) for i in rows for j in rows if i < j]
            scores = {(i, j): float(unit[i] @ unit[j]) for i, j in pairs}
            missed = sum(s < record["tau"] - 1e-6 for (i, j), s in scores.items() if e.subjects[i] == e.subjects[j])
            found = next(g for g in record["groups"] if g["name"] == group)
            assert found["mated"] == sum(e.subjects[i] == e.subjects[j] for i, j in pairs)
            assert found["non_mated"] == sum(e.subjects[i] != e.subjects[j] for i, j in pairs)
            assert found["false_non_matches"] == missed


@pytest.mark.slow
@pytest.mark.xdist_group("experiment")
def test_running_again_redoes_nothing(finished: tuple[Path, dict[str, object], Path]) -> None:
    out, summary, plan = finished
    kept = [*out.glob("*/images/*/*.png"), *out.glob("*/aligned/*/*.png"), *out.glob("run/checkpoints/*/*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    command = [sys.executable, "-m", "frbias", "run", str(plan), "--out", str(out), "--json"]
    again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    assert json.loads(again.stdout) == summary
    assert before
    assert {path: path.stat().st_mtime_ns for path in kept} == before
