"""frbias embed from the command line: results, and input that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frbias.core.data.embeddings import read_embeddings

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "metadata.csv").write_text("file_name,subject,age\n" + "".join(f"{i}.png,s{i},{i}\n" for i in range(3)))
    return folder


def test_embeddings_by_sface(faces: Path, tmp_path: Path, call: Call) -> None:
    arguments = ("embed", faces, "--out", tmp_path / "out", "--device", "cpu")
    code, out, err = call(*arguments, "--flip", "concat", "--json")
    assert (code, err) == (0, "embedding 3 faces with sface on CPU (no CUDA device)\n")
    assert json.loads(out) == {
        "out": str(tmp_path / "out"),
        "images": 3,
        "rejected": 0,
        "dimension": 256,
        "reused": False,
    }
    assert read_embeddings(tmp_path / "out").matrix.shape == (3, 256)
    code, _, err = call(*arguments)
    assert code == 2
    assert "flip concat there, none here" in err
    assert "--force" in err
    code, out, _ = call(*arguments, "--force")
    assert code == 0
    assert "3 faces, 128 numbers each" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--flip", "both"), 2, "none, add or concat"),
        (("--device", "tpu"), 2, "use auto, cpu, cuda"),
        (("--weights", "no-such-recogniser"), 3, "no-such-recogniser"),
        (("--weights", "insightface:no-such-pack"), 3, "no-such-pack"),
    ],
)
def test_options_that_make_no_sense(
    faces: Path,
    tmp_path: Path,
    call: Call,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    found, out, err = call("embed", faces, "--out", tmp_path / "out", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_faces_that_are_not_aligned(faces: Path, tmp_path: Path, call: Call) -> None:
    for path in faces.glob("*.png"):
        Image.new("RGB", (160, 160)).save(path)
    code, _, err = call("embed", faces, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 2
    assert "160x160, not 112x112" in err
    assert "frbias align" in err


def test_an_output_folder_that_holds_something_else(faces: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("precious")
    code, _, err = call("embed", faces, "--out", tmp_path / "out", "--device", "cpu", "--force")
    assert code == 2
    assert "did not make" in err
    assert (tmp_path / "out/notes.txt").exists()
