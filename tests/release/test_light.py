"""A light installation: scores and embeddings are evaluated where torch, insightface, ONNX and OpenCV are not there."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from frbias.core.foundation.light import HEAVY, missing_package

ROOT = Path(__file__).parents[2]
_PROGRAM = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

class Without(PathFinder):  # finds everything but the libraries that are to be missing
    @classmethod
    def find_spec(cls, name, *others):
        return None if name.partition(".")[0] in HEAVY else PathFinder.find_spec(name, *others)

HEAVY = json.loads(sys.argv[1])
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
import frbias
from frbias.cli import console
from frbias.cli.app import main

found = []
for words in json.loads(sys.argv[2]):
    said, code = io.StringIO(), 0
    console.reset()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code or 0
    found.append([code, said.getvalue()])
console.reset()
table = frbias.read_embeddings("a.npz")
result = frbias.evaluate_embeddings(table.matrix, table.subjects, table.ages, groups="0-19,20+", targets=(0.1,))
frbias.evaluate(embeddings="a.npz", groups="0-19,20+", at_fmr=0.1, bootstrap=20, figures=False, out="api")
assert not sys.modules.keys() & set(HEAVY)
print(json.dumps([found, result.at(0.1).fnmr.value]))
"""
_SMALL = ["--groups", "0-19,20+", "--at-fmr", "10%", "--bootstrap", "20"]
LINES = [
    ["doctor"],
    ["evaluate", "--scores", "scores.csv", "--at-fmr", "10%", "--out", "of-scores", "--no-figures"],
    ["evaluate", "--embeddings", "a.npz", *_SMALL, "--out", "of-embeddings", "--no-figures"],
    ["compare", "a.npz", "b.npz", *_SMALL, "--out", "both", "--no-figures"],
    ["report", "of-embeddings", "--tables"],
    ["plan", "--groups", "0-19,20+", "--fmr", "1e-2"],
    ["models", "list"],
    ["embed", "faces", "--weights", "sface", "--out", "e"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    rng, who = np.random.default_rng(0), np.repeat(np.arange(16), 4)
    lines = [f"{rng.normal(0.6 * (k % 8 == 0), 0.2):.4f},{int(k % 8 == 0)},{'ab'[k % 2]}" for k in range(2000)]
    (folder / "scores.csv").write_text("\n".join(["score,mated,group", *lines]) + "\n")
    base = rng.normal(size=(16, 16))[who]
    for name in ("a", "b"):
        vectors = (base + 0.6 * rng.normal(size=(64, 16))).astype(np.float32)
        np.savez(folder / f"{name}.npz", embedding=vectors, subject=who.astype(str), age=np.tile([5.0, 9, 30, 40], 16))
    (folder / "faces").mkdir()
    return folder


@pytest.mark.slow
def test_scores_and_embeddings_need_no_torch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(place / "home"))
    command = [sys.executable, "-c", _PROGRAM, json.dumps(list(HEAVY)), json.dumps(LINES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    found, fnmr = json.loads(done.stdout)
    *worked, last = [(line[0], *outcome) for line, outcome in zip(LINES, found, strict=True)]
    assert [(name, said) for name, code, said in worked if code] == []
    assert last[:2] == ("embed", 3)
    assert "This needs torch, which is not installed here:  pip install torch" in last[2]
    assert 0 <= fnmr < 1
    assert "<h1>" in (place / "of-embeddings" / "report.html").read_text()
    assert (place / "of-embeddings" / "tables").is_dir()


def test_only_these_libraries_have_their_sentence() -> None:
    assert missing_package(ModuleNotFoundError("", name="onnxruntime.capi")) == "onnxruntime"
    assert missing_package(ModuleNotFoundError("", name="frbias.core.nothing")) is None
    assert missing_package(ImportError("", name="torch")) is None


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!\[;]", one)[0] for one in requirements}


def test_the_documentation_names_what_a_light_installation_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
    line = re.search(r"^pip install --no-deps frbias\npip install (.*)$", page, re.MULTILINE)
    assert line is not None
    assert set(line[1].split()) == names(project["dependencies"]) - set(HEAVY.values())
