"""``frbias models`` as a user meets it: output, JSON, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from frbias.cli.app import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(caught.value.code or 0), out, err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def snapshot(fixtures_dir: Path) -> str:
    return str(fixtures_dir / "cusp" / "snapshot_tiny.pkl")


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "models", "list")
    assert code == 0
    assert "cusp-ls" in out
    assert "non-commercial research only" in out
    entries = {entry["name"]: entry for entry in as_json(capsys, "models", "list")["models"]}
    assert entries["r50"]["installed"] is False
    assert entries["r50"]["install"] == "frbias models add r50 FILE"


def test_life_of_a_model(capsys: pytest.CaptureFixture[str], snapshot: str, home: Path) -> None:
    added = as_json(capsys, "models", "add", "cusp-ls", snapshot)
    assert (added["kind"], added["variant"]) == ("cusp", "cusp-ls")
    assert Path(added["path"]).is_relative_to(home)
    assert as_json(capsys, "models", "path", "lats")["path"] == added["path"]
    about = as_json(capsys, "models", "info", "cusp-ls")
    assert (about["installed"], about["sha256"]) == (True, added["source_sha256"])
    assert as_json(capsys, "models", "verify") == {"models": {"cusp-ls": []}, "good": True}
    with Path(added["path"]).open("ab") as stream:
        stream.write(b"x")
    code, out, _ = run(capsys, "models", "verify", "cusp-ls")
    assert code == 2
    assert "has changed" in out
    assert as_json(capsys, "models", "remove", "cusp-ls")["removed"] is True
    code, _, err = run(capsys, "models", "path", "cusp-ls")
    assert code == 3
    assert "frbias models add cusp-ls FILE" in err


def test_own_names_are_listed(capsys: pytest.CaptureFixture[str], snapshot: str) -> None:
    run(capsys, "models", "add", "my-model", snapshot)
    code, out, _ = run(capsys, "models", "list")
    assert code == 0
    assert "my-model" in out
    code, out, _ = run(capsys, "models", "info", "my-model")
    assert "snapshot_tiny.pkl" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("path", "r50"), 3, "OneDrive"),
        (("path", "nobody"), 3, "frbias models add NAME FILE"),
        (("info", "nobody"), 3, "Known names"),
        (("add", "mine", "nowhere.pth"), 2, "does not exist"),
        (("add", "../evil", "SNAPSHOT"), 2, "cannot be a name"),
        (("add", "r50", "SNAPSHOT"), 2, "not r50"),
        (("fetch", "cusp"), 2, "Google Drive"),
        (("verify", "r50"), 2, "not installed"),
        (("convert", "SNAPSHOT", "out.bin"), 2, ".safetensors"),
    ],
)
def test_mistakes_are_sentences(
    capsys: pytest.CaptureFixture[str], snapshot: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    given = [snapshot if a == "SNAPSHOT" else a for a in arguments]
    found, out, err = run(capsys, "models", *given)
    assert found == code
    assert says in err
    assert "Traceback" not in err
    assert out == ""


def test_a_hostile_file_is_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch canaryq\x00\x85R.")
    code, _, err = run(capsys, "models", "add", "cusp", str(tmp_path / "evil.pkl"))
    assert code == 2
    assert "os.system" in err
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "home" / "models.json").exists()


def test_convert(capsys: pytest.CaptureFixture[str], snapshot: str, tmp_path: Path) -> None:
    found = as_json(capsys, "models", "convert", snapshot, str(tmp_path / "out.safetensors"))
    assert found["variant"] == "cusp-ls"
    assert (tmp_path / "out.json").is_file()
