"""``frbias doctor``: what is there, what is missing, and what helps."""

import json
from pathlib import Path
from typing import Any

import pytest

from frbias.cli.app import COMMANDS, main
from frbias.core.installing.doctor import NEEDS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert not caught.value.code
    return capsys.readouterr().out


def diagnosis(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    found = json.loads(run(capsys, "doctor", "--json"))
    return found, {a["name"]: a for a in found["assets"]}, {c["command"]: c for c in found["commands"]}


def test_on_a_bare_machine(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    found, assets, commands = diagnosis(capsys)
    assert found["versions"]["torch"]
    assert found["devices"][0]["name"] == "cpu"
    assert "CPUExecutionProvider" in found["onnxruntime_providers"]
    assert found["data_root"]["path"] == str(home)
    assert not any(asset["installed"] for asset in assets.values())
    assert commands["generate --backend mesh"]["usable"]
    assert "first use" in commands["align"]["notes"][0]
    assert commands["generate --backend cusp"] == {
        "command": "generate --backend cusp",
        "usable": False,
        "lacks": ["cusp (frbias models add cusp FILE)"],
        "notes": [],
    }
    assert not commands["evaluate --data fgnet"]["usable"]
    assert not home.exists()  # looking changes nothing


def test_after_adding_and_after_damage(capsys: pytest.CaptureFixture[str], fixtures_dir: Path) -> None:
    snapshot = str(fixtures_dir / "eg3d" / "tiny_pickle" / "network-snapshot-tiny.pkl")
    added = json.loads(run(capsys, "models", "add", "eg3d", snapshot, "--json"))
    _, assets, commands = diagnosis(capsys)
    assert assets["eg3d"]["sha256"] == added["source_sha256"]
    assert commands["generate --backend eg3d"]["usable"]
    Path(added["path"]).write_bytes(b"damaged")
    _, assets, commands = diagnosis(capsys)
    assert "changed" in assets["eg3d"]["problem"]
    assert not commands["generate --backend eg3d"]["usable"]
    assert "DAMAGED" in run(capsys, "doctor")
    Path(added["path"]).unlink()
    assert "is gone" in run(capsys, "doctor")


def test_every_command_it_speaks_of_exists() -> None:
    assert {name.split()[0] for name in NEEDS} <= set(COMMANDS)
