"""``frbias doctor``: what is there, what is missing, and what helps."""

import json
from pathlib import Path
from typing import Any

import pytest

from frbias.cli.app import COMMANDS, main
from frbias.core.assets import prefixes
from frbias.core.assets.records import put_record
from frbias.core.foundation.cache import Cache
from frbias.core.foundation.folders import make_private
from frbias.core.foundation.provenance import claim_folder
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


def deep(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        main(["doctor", "--deep", "--json", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(capsys.readouterr().out)


def finished(folder: Path) -> Path:
    claimed = claim_folder(folder, stage="embed", arguments={"flip": "none"})
    (folder / "embeddings.parquet").write_bytes(b"0123456789")
    claimed.finish({"images": 1})
    return folder


def test_a_deep_look_at_what_is_as_it_was_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path, fixtures_dir: Path
) -> None:
    run(capsys, "models", "add", "eg3d", str(fixtures_dir / "eg3d" / "tiny_pickle" / "network-snapshot-tiny.pkl"))
    finished(tmp_path / "work" / "emb")
    with Cache(home / "cache").using("embeddings", "k") as folder:
        finished(folder)
    code, found = deep(capsys, "--under", str(tmp_path / "work"))
    assert (code, found) == (0, {"checked": 3, "findings": [], "good": True})
    assert deep(capsys)[1]["checked"] == 3  # the cache lies below the current folder, and is looked at once


@pytest.mark.parametrize("what", ["other content", "cut off", "missing", "provenance", "no provenance"])
@pytest.mark.parametrize("where", ["folder", "cache"])
def test_a_deep_look_at_damage(
    where: str, what: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    place = home / "cache" / "embeddings" / "k" if where == "cache" else tmp_path / "work" / "emb"
    make_private(place.parent)
    file, record = finished(place) / "embeddings.parquet", place / "provenance.json"
    if what == "other content":
        file.write_bytes(b"012345678!")
    elif what == "cut off":
        file.write_bytes(b"0123")
    elif what == "missing":
        file.unlink()
    else:
        record.write_text(record.read_text().replace("none", "add") if what == "provenance" else "{")
    code, found = deep(capsys, "--under", str(tmp_path))
    assert code == 2
    (finding,) = found["findings"]
    assert (finding["what"], finding["place"], finding["damaged"]) == (where, str(place), True)
    assert finding["advice"] == (f"rm -r {place}" if where == "cache" else "make it again with --force")


def test_a_deep_look_at_the_cache_of_frozen_stages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    entry = make_private(prefixes.prefix_folder() / "abc")
    (entry / "features.bin").write_bytes(b"0123456789")
    prefixes.finish_entry(entry, {"shape": [5, 2]})
    assert deep(capsys, "--under", str(tmp_path)) == (0, {"checked": 1, "findings": [], "good": True})
    (entry / "features.bin").write_bytes(b"012345678!")
    code, found = deep(capsys, "--under", str(tmp_path))
    (finding,) = found["findings"]
    assert (code, finding["what"], finding["advice"]) == (2, "cache", f"rm -r {entry}")


def test_a_deep_look_at_models_data_sets_and_doors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path, fixtures_dir: Path
) -> None:
    snapshot = str(fixtures_dir / "eg3d" / "tiny_pickle" / "network-snapshot-tiny.pkl")
    added = json.loads(run(capsys, "models", "add", "eg3d", snapshot, "--json"))
    path = Path(added["path"])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    put_record("datasets", "gone", {"path": str(tmp_path / "nowhere")})
    claim_folder(tmp_path / "begun", stage="embed", arguments={})
    home.chmod(0o755)
    code, found = deep(capsys, "--under", str(tmp_path))
    assert code == 2
    told = {(f["what"], f["problem"], f["advice"], f["damaged"]) for f in found["findings"]}
    assert told == {
        ("model", f"{path} has changed since it was added", "frbias models add eg3d FILE --force", True),
        ("data set", f"{tmp_path / 'nowhere'} is gone", "frbias data add gone FOLDER", True),
        ("folder", "it is unfinished", "run the same command again", False),
        ("data root", "other people of this machine can read it", f"chmod 700 {home}", False),
    }
    with pytest.raises(SystemExit):
        main(["doctor", "--deep"])
    assert "damaged  model eg3d" in " ".join(capsys.readouterr().out.split("\n"))


def test_the_data_root_is_made_for_its_owner_alone(
    capsys: pytest.CaptureFixture[str], home: Path, fixtures_dir: Path
) -> None:
    run(capsys, "models", "add", "eg3d", str(fixtures_dir / "eg3d" / "tiny_pickle" / "network-snapshot-tiny.pkl"))
    assert home.stat().st_mode & 0o777 == 0o700
