"""Photographs of skin: pinned pictures out of a pinned archive, and nothing else of it."""

import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from frbias.core.assets import catalogue, skins
from frbias.core.assets.skins import NAME, SkinFile, extract_skins, read_skins, skin_files, skin_folder
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.foundation.files import sha256_bytes, sha256_file
from frbias.core.installing.doctor import diagnose
from frbias.core.installing.models import add_model, convert_file, fetch_model, remove_model, verify_model

PICTURES = {f"{age}_asian_female/textures/{age}.png": f"picture {age}".encode() for age in ("young", "old")}
FILES = tuple(SkinFile(name, len(data), sha256_bytes(data)) for name, data in PICTURES.items())
ROOT = "package/public/data/skins/"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(skins, "skin_files", lambda: FILES)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def packed(path: Path, members: dict[str, bytes], links: tuple[str, ...] = ()) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    others = {"package/readme.md": b"no", "../evil": b"no", ROOT + "young_asian_female/young.thumb.png": b"no"}
    path = packed(tmp_path / "skins.tgz", others | {ROOT + name: data for name, data in PICTURES.items()})
    pinned(monkeypatch, path)
    return path


def pinned(monkeypatch: pytest.MonkeyPatch, path: Path, **changes: str) -> None:
    known = catalogue.model_assets()
    asset = replace(known[NAME], sha256=sha256_file(path), **changes)
    monkeypatch.setattr(catalogue, "model_assets", lambda: {**known, NAME: asset})


def test_the_list_is_whole() -> None:
    monkeypatched = skin_files()
    assert len(monkeypatched) == 20
    kinds = [file.kind for file in monkeypatched]
    assert {k[0] for k in kinds} == {"young", "middleage", "old"}
    assert {k[1] for k in kinds} == {"african", "asian", "caucasian"}
    assert len(set(kinds)) == 18
    assert len({file.name for file in monkeypatched}) == 20
    assert all(len(file.sha256) == 64 for file in monkeypatched)


def test_only_what_is_listed_is_written(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    extract_skins(archive, tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {
        Path(name).name: data for name, data in PICTURES.items()
    }
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("what", ["another size", "another content", "missing", "a link", "cut off", "no archive"])
def test_other_archives_are_refused(what: str, tmp_path: Path) -> None:
    members = {ROOT + name: data for name, data in PICTURES.items()}
    first = next(iter(members))
    changes = {"another size": members[first] + b"x", "another content": members[first][::-1]}
    links: tuple[str, ...] = ()
    if what in changes:
        members[first] = changes[what]
    elif what in ("missing", "a link"):
        del members[first]
        links = (first,) if what == "a link" else ()
    path = packed(tmp_path / "x.tgz", members, links)
    if what == "cut off":
        path.write_bytes(path.read_bytes()[:-30])
    elif what == "no archive":
        path.write_bytes(b"\x1f\x8b nothing")
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInputError):
        extract_skins(path, tmp_path / "out")
    assert not any(p.name == Path(first).name for p in (tmp_path / "out").iterdir()) or what == "cut off"


def test_life_of_the_skins(archive: Path, home: Path) -> None:
    with pytest.raises(AssetMissingError) as caught:
        skin_folder()
    assert "frbias models fetch makehuman-skins" in str(caught.value.hint)
    assert "CC0-1.0" in caught.value.message
    done = add_model("skins", archive)
    assert (done.name, done.kind) == (NAME, "skins")
    assert skin_folder() == home / "models" / NAME
    assert [(file.kind, data) for file, data in read_skins(skin_folder())] == [
        (file.kind, PICTURES[file.member]) for file in FILES
    ]
    assert verify_model(NAME) == []
    assert next(a for a in diagnose().assets if a.name == NAME).installed
    commands = {c.command: c for c in diagnose().commands}
    assert commands["generate --skins makehuman"].usable
    (skin_folder() / "old.png").write_bytes(b"another")
    assert "has changed" in verify_model(NAME)[0]
    assert not next(a for a in diagnose().assets if a.name == NAME).installed
    with pytest.raises(BadInputError, match="has changed"):
        list(read_skins(skin_folder()))
    assert remove_model(NAME)
    assert not (home / "models" / NAME).exists()


def test_skins_laid_there_by_hand(archive: Path) -> None:
    folder = Path("models") / NAME
    folder.mkdir(parents=True)
    extract_skins(archive, folder)
    assert skin_folder() == folder
    assert verify_model(NAME) == []
    (folder / "old.png").unlink()
    assert "is missing" in verify_model(NAME)[0]


def test_skins_are_no_weights(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="add it as makehuman-skins"):
        add_model("mine", archive)
    with pytest.raises(BadInputError, match="not r50"):
        add_model("r50", archive)
    with pytest.raises(BadInputError, match="holds pictures"):
        convert_file(archive, tmp_path / "x.safetensors")
    packed(tmp_path / "other.tgz", {ROOT + name: data for name, data in PICTURES.items()})
    with pytest.raises(BadInputError, match="no weight file"):
        add_model(NAME, tmp_path / "other.tgz")


@pytest.fixture
def served(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(archive, folder / "skins.tgz")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    pinned(monkeypatch, archive, url=f"http://127.0.0.1:{server.server_address[1]}/skins.tgz")
    yield folder / "skins.tgz"
    server.shutdown()
    server.server_close()


def test_fetch(served: Path, home: Path) -> None:
    assert fetch_model(NAME).path.parent == skin_folder()
    assert verify_model(NAME) == []
    assert not any((home / "downloads").iterdir())
    served.write_bytes(served.read_bytes()[:-1] + b"?")
    with pytest.raises(BadInputError):
        fetch_model(NAME, force=True)
    assert verify_model(NAME) == []
