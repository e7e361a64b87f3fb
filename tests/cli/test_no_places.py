"""Files that are passed on do not say where they lay on this machine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples

Call = Callable[..., tuple[int, str, str]]
MINE = """
import numpy as np
def embed(faces):
    return faces.reshape(len(faces), -1)[:, ::997].astype(np.float32)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home" / "marie.curie"
    place.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home" / "marie.curie" / "root"))
    return place


def people(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for subject in range(8):
        face = rng.integers(0, 256, (112, 112, 3))
        for age in (5.0, 9.0, 30.0, 40.0):
            name = f"{subject}_{age:g}.png"
            write_png(folder / name, np.clip(face + rng.normal(0, 40, face.shape), 0, 255).astype(np.uint8))
            rows.append({"file_name": name, "subject": f"s{subject}", "age": age, "generator": "mesh"})
    write_samples(make_table(folder, rows))
    (folder / "0_5.png").write_bytes(b"no picture")


def test_nothing_that_is_passed_on_names_a_place(place: Path, call: Call) -> None:
    people(place / "faces")
    (place / "mine.py").write_text(MINE)
    weights = f"{place / 'mine.py'}:embed"
    options = ("--groups", "0-12,13-60", "--at-fmr", "0.1", "--bootstrap", "0", "--no-figures")
    for arguments in (
        ("embed", place / "faces", "--weights", weights, "--out", place / "emb"),
        ("evaluate", "--embeddings", place / "emb", *options, "--out", place / "ev"),
        ("evaluate", "--data", place / "faces", "--weights", weights, *options, "--out", place / "images"),
        ("compare", place / "emb", place / "emb", *options, "--out", place / "cmp"),
        (
            "report",
            place / "ev",
            "--people",
            place / "faces",
            "--stage",
            place / "emb",
            "--out",
            place / "ev" / "r.html",
        ),
    ):
        code, _, err = call(*arguments)
        assert code == 0, err
    passed_on = [
        file for name in ("emb", "ev", "images", "cmp") for file in (place / name).rglob("*") if file.is_file()
    ]
    assert {
        "evaluation.json",
        "comparison.json",
        "provenance.json",
        "rejected.csv",
        "r.html",
        "embeddings.parquet",
    } <= {file.name for file in passed_on}
    assert [file for file in passed_on if b"marie.curie" in file.read_bytes()] == []
