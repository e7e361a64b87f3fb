"""``frbias data`` as a user meets it: output, JSON, exit codes."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.cli.app import main
from frbias.core.data.images import encode_jpeg


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def archive(tmp_path: Path) -> str:
    names = ["001A02.JPG", "001A10.JPG", "001A43a.JPG", "002A03.JPG", "002A05.JPG"]
    with zipfile.ZipFile(tmp_path / "FGNET.zip", "w") as made:
        for seed, name in enumerate(names):
            pixels = np.random.default_rng(seed).integers(0, 255, (24, 20, 3), dtype=np.uint8)
            made.writestr(f"FGNET/images/{name}", encode_jpeg(pixels))
        made.writestr("FGNET/images/002A09.JPG", b"\xff\xd8 cut")
    return str(tmp_path / "FGNET.zip")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    found, out, err = run(capsys, *arguments, "--json")
    assert found == code, err
    return json.loads(out)


def test_import_verify_stats(capsys: pytest.CaptureFixture[str], archive: str, tmp_path: Path) -> None:
    done = as_json(capsys, "data", "import", "fgnet", archive)
    assert (done["images"], done["subjects"], done["rejected"], done["synthetic"]) == (5, 2, 1, None)
    checked = as_json(capsys, "data", "verify", "fgnet", code=2)
    assert "images: 5, published 1002" in checked["differences"]
    assert checked["broken"] == []
    found = as_json(capsys, "data", "stats", "fg-net", "--groups", "0-5,6-79", "--plot", "ages.png")
    assert found["mated_pairs"] == 4
    assert found["groups"] == [
        {"low": 0, "high": 5, "images": 3, "subjects": 2, "mated_pairs": 1, "non_mated_pairs": 2},
        {"low": 6, "high": 79, "images": 2, "subjects": 1, "mated_pairs": 1, "non_mated_pairs": 0},
    ]
    assert (tmp_path / "ages.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = run(capsys, "data", "stats", "fgnet")
    assert code == 0
    assert "5 images of 2 subjects" in out


def test_import_by_download(
    capsys: pytest.CaptureFixture[str], archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frbias.core.data.datasets import importing

    asked: list[tuple[str, str]] = []

    class Arrived:
        path = tmp_path / "arrived.zip"

    def fake(url: str, target: Path, *, time_limit: float, sha256: str, progress: object) -> type[Arrived]:
        asked.append((url, sha256))
        Arrived.path.write_bytes(Path(archive).read_bytes())
        return Arrived

    monkeypatch.setattr(importing, "download", fake)
    assert as_json(capsys, "data", "import", "fgnet")["images"] == 5
    assert asked[0][0].endswith("/FGNET.zip")
    assert len(asked[0][1]) == 64
    assert not Arrived.path.exists()


def test_list_and_remove(capsys: pytest.CaptureFixture[str], archive: str) -> None:
    states = {entry["name"]: entry["installed"] for entry in as_json(capsys, "data", "list")["datasets"]}
    assert states == dict.fromkeys(["fgnet", "morph", "agedb", "cacd", "cacdvs", "lag", "itwcc", "utkface"], False)
    run(capsys, "data", "import", "fgnet", archive)
    code, out, _ = run(capsys, "data", "list")
    assert code == 0
    assert "many of them" not in out
    assert {e["name"]: e["installed"] for e in as_json(capsys, "data", "list")["datasets"]}["fgnet"]
    assert as_json(capsys, "data", "remove", "fgnet")["removed"]
    assert not as_json(capsys, "data", "remove", "fgnet")["removed"]


def test_add_in_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("ada/ada_5.png", "bob/bob_7.png"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True)
        (tmp_path / "faces" / name).write_bytes(encode_jpeg(np.zeros((8, 8, 3), dtype=np.uint8)))
    assert as_json(capsys, "data", "add", "mine", "faces")["images"] == 2
    assert as_json(capsys, "data", "stats", "mine")["ages"] == [5.0, 6.0, 7.0]
    code, out, _ = run(capsys, "data", "verify", "mine")
    assert code == 0
    assert "Nothing is published" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("stats", "fgnet"), 3, "frbias data import fgnet"),
        (("stats", "fgnet"), 3, "--layout fgnet"),
        (("verify", "morph"), 3, "North Carolina"),
        (("stats", "nobody"), 3, "frbias data add NAME FOLDER"),
        (("stats", "./nowhere"), 2, "does not exist"),
        (("import", "fgnet", "nowhere.zip"), 2, "does not exist"),
        (("import", "morph"), 2, "no direct address"),
        (("import", "mine"), 2, "say where it is"),
        (("import", "a/b", "ARCHIVE"), 2, "cannot be a name"),
        (("import", "mine", "ARCHIVE", "--layout", "lfw"), 2, "use fgnet, morph"),
        (("import", "mine", "ARCHIVE", "--layout", "fgnt"), 2, "did you mean 'fgnet'?"),
        (("stats", "ARCHIVE", "--groups", "10-5"), 2, "upside down"),
        (("import", "cacd", "ARCHIVE"), 2, "no CACD folder"),
        (("stats", "ARCHIVE"), 2, "frbias data import NAME"),
        (("add", "mine", "ARCHIVE"), 2, "is an archive"),
    ],
)
def test_mistakes_are_sentences(
    capsys: pytest.CaptureFixture[str], archive: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    given = [archive if a == "ARCHIVE" else a for a in arguments]
    found, out, err = run(capsys, "data", *given)
    assert found == code
    assert says in err
    assert "Traceback" not in err
    assert out == ""


def test_no_identities_are_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "utk").mkdir()
    (tmp_path / "utk" / "26_1_2_20170116184024662.jpg").write_bytes(encode_jpeg(np.zeros((8, 8, 3), dtype=np.uint8)))
    code, out, _ = run(capsys, "data", "stats", "utk")
    assert code == 0
    assert "not for verification" in out
