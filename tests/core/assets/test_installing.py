"""Weights taken in: recognised by content, converted once, hashed, found by name in the documented order."""

import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from pickle_builders import dex_state
from safetensors.torch import load_file, save_file

from frbias.core.assets import catalogue as registry
from frbias.core.assets.catalogue import model_assets
from frbias.core.assets.networks import read_network
from frbias.core.assets.records import read_book
from frbias.core.assets.store import find_model, resolve_weights
from frbias.core.foundation.errors import AssetMissingError, BadInputError, UsageError
from frbias.core.foundation.files import sha256_file
from frbias.core.installing.models import add_model, convert_file, fetch_model, remove_model, verify_model
from frbias.core.installing.recognise import recognise
from frbias.core.recognisers.trainable.weights import build


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture(scope="session")
def r18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("r18") / "backbone.pth"
    torch.save({f"module.{k}": v for k, v in build("iresnet18", 32).state_dict().items()}, path)
    return path


@pytest.fixture
def cusp(fixtures_dir: Path) -> Path:
    return fixtures_dir / "cusp" / "snapshot_tiny.pkl"


@pytest.fixture
def eg3d(fixtures_dir: Path) -> Path:
    return fixtures_dir / "eg3d" / "tiny_pickle" / "network-snapshot-tiny.pkl"


def test_recogniser_is_converted_and_found(r18: Path, home: Path) -> None:
    done = add_model("r18", r18)
    assert (done.kind, done.variant) == ("recogniser", "iresnet18")
    assert done.path == home / "models" / "r18" / "r18.safetensors" == resolve_weights("r18", "recogniser")
    assert done.source_sha256 == sha256_file(r18)
    converted, original = load_file(done.path), torch.load(r18, weights_only=True)
    assert all(torch.equal(converted[k.removeprefix("module.")], v) for k, v in original.items())
    described = json.loads(done.path.with_suffix(".json").read_text())
    assert described["source_sha256"] == done.source_sha256
    assert verify_model("r18") == []


def test_the_data_root_can_be_moved(r18: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model("r18", r18)
    home.rename(tmp_path / "moved")
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "moved"))
    assert resolve_weights("r18").is_file()


def test_the_name_decides_what_the_file_must_be(r18: Path, cusp: Path, eg3d: Path) -> None:
    for name, path, hint in (
        ("r50", r18, "models add r18"),
        ("cusp", cusp, "models add cusp-ls"),
        ("eg3d-ffhq", eg3d, "models add eg3d"),
        ("dex", r18, "models add r18"),
        ("buffalo_l", r18, "models add r18"),
    ):
        with pytest.raises(BadInputError) as caught:
            add_model(name, path)
        assert f"not {name}" in caught.value.message
        assert hint in str(caught.value.hint)
    assert read_book("models") == {}


@pytest.mark.parametrize(
    ("name", "alias", "fixture"), [("cusp-ls", "lats", "cusp"), ("eg3d", "age-eg3d", "eg3d"), ("mine", "mine", "cusp")]
)
def test_generators_are_converted(name: str, alias: str, fixture: str, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(fixture)
    done = add_model(name, source)
    path = resolve_weights(alias, fixture)
    assert path == done.path
    assert path.suffix == ".safetensors"
    converted, original = read_network(path), read_network(source)
    assert converted.sources == original.sources
    assert all(torch.equal(converted.tensors[k], v) for k, v in original.tensors.items())


def test_age_classifier(tmp_path: Path) -> None:
    state = dex_state()
    torch.save(state, tmp_path / "dex_imdb_wiki.caffemodel.pt")
    done = add_model("dex", tmp_path / "dex_imdb_wiki.caffemodel.pt")
    loaded = load_file(done.path)
    assert torch.equal(loaded["fc8_101.weight"], state["fc8-101.weight"])
    assert done.details == {"outputs": 101}


def test_the_name_of_the_file_does_not_matter(r18: Path, tmp_path: Path) -> None:
    shutil.copy(r18, tmp_path / "weights.onnx")
    assert recognise(tmp_path / "weights.onnx").variant == "iresnet18"
    save_file(build("iresnet18", 32).state_dict(), tmp_path / "noname")
    assert recognise(tmp_path / "noname").format == "safetensors"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x08\x07garbage",
        b"PK\x03\x04 cut",
        b"\x80\x02}.",
        b"\x20\0\0\0\0\0\0\0{not json}" + b" " * 40,
        b"GIF89a" + b"\0" * 100,
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, data: bytes) -> None:
    for name in ("x", "x.onnx", "x.pth", "x.caffemodel", "x.safetensors"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInputError):
            add_model("mine", tmp_path / name)
    assert read_book("models") == {}


def test_a_file_that_may_not_be_read(r18: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("frbias.core.installing.recognise.sha256_file", denied)
    with pytest.raises(BadInputError, match="cannot be read: Permission denied"):
        add_model("mine", r18)


def test_adding_twice_needs_force(r18: Path) -> None:
    add_model("r18", r18)
    with pytest.raises(UsageError, match="--force"):
        add_model("r18", r18)
    add_model("r18", r18, force=True)


def test_a_failed_replacement_keeps_the_old_one(r18: Path, tmp_path: Path) -> None:
    add_model("mine", r18)
    (tmp_path / "bad.pth").write_bytes(r18.read_bytes()[:5000])
    with pytest.raises(BadInputError):
        add_model("mine", tmp_path / "bad.pth", force=True)
    assert verify_model("mine") == []


def test_changes_are_noticed(r18: Path) -> None:
    path = add_model("r18", r18).path
    with path.open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\xff")
    assert "has changed" in verify_model("r18")[0]
    path.unlink()
    with pytest.raises(BadInputError, match="is gone"):
        find_model("r18")
    assert remove_model("r18")
    assert find_model("r18") is None


def test_order_of_the_search(r18: Path, home: Path, tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError):
        resolve_weights("r18")
    (home / "models").mkdir(parents=True)
    shutil.copy(r18, home / "models" / "r18.pth")
    assert resolve_weights("r18") == home / "models" / "r18.pth"
    (tmp_path / "work" / "models" / "ms1mv3_arcface_r18_fp16").mkdir(parents=True)
    shutil.copy(r18, tmp_path / "work" / "models" / "ms1mv3_arcface_r18_fp16" / "backbone.pth")
    assert resolve_weights("r18") == Path("models/ms1mv3_arcface_r18_fp16")
    added = add_model("r18", r18).path
    assert resolve_weights("r18") == added
    (tmp_path / "work" / "r18").write_bytes(b"")
    assert resolve_weights("r18") == Path("r18")


def test_wrong_kind_is_said(r18: Path, cusp: Path) -> None:
    add_model("r18", r18)
    add_model("mine", cusp)
    for name, kind in (("r18", "cusp"), ("mine", "recogniser"), ("dex", "recogniser"), ("cusp", "eg3d")):
        with pytest.raises(BadInputError, match="is needed here"):
            resolve_weights(name, kind)


def pack(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"\x08\x07" + name.encode())
    return folder


def test_packs(tmp_path: Path, home: Path) -> None:
    source = pack(tmp_path / "buffalo_s", "w600k_mbf.onnx", "det_500m.onnx", "genderage.onnx")
    with zipfile.ZipFile(tmp_path / "buffalo_s.zip", "w") as archive:
        for path in source.iterdir():
            archive.write(path, f"buffalo_s/{path.name}")
    done = add_model("buffalo_s", tmp_path / "buffalo_s.zip")
    assert done.path == home / "models" / "buffalo_s" / "w600k_mbf.onnx" == resolve_weights("buffalo_s", "recogniser")
    assert {p.name for p in done.path.parent.iterdir()} == {p.name for p in source.iterdir()}
    assert verify_model("buffalo_s") == []


def test_packs_that_insightface_has_are_found(tmp_path: Path) -> None:
    pack(tmp_path / "user" / ".insightface" / "models" / "buffalo_l", "w600k_r50.onnx", "det_10g.onnx")
    assert resolve_weights("buffalo_l").name == "w600k_r50.onnx"


def test_evil_pack(tmp_path: Path, home: Path) -> None:
    with zipfile.ZipFile(tmp_path / "buffalo_s.zip", "w") as archive:
        archive.writestr("../../../w600k_evil.onnx", b"x")
    with pytest.raises(BadInputError, match="would leave"):
        add_model("buffalo_s", tmp_path / "buffalo_s.zip")
    assert not list(tmp_path.rglob("w600k_evil.onnx"))
    assert list((home / "models").iterdir()) == []


def test_convert_without_adding(cusp: Path, tmp_path: Path) -> None:
    convert_file(cusp, tmp_path / "out.safetensors")
    assert read_network(tmp_path / "out.safetensors").class_name == "Image2Image"
    assert recognise(tmp_path / "out.safetensors").variant == "cusp-ls"
    with pytest.raises(UsageError, match="--force"):
        convert_file(cusp, tmp_path / "out.safetensors")
    with pytest.raises(UsageError, match=r"\.safetensors"):
        convert_file(cusp, tmp_path / "out.bin")


# ---- fetching -------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served over HTTP, where r18 of the registry comes from."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    asset = replace(model_assets()["r18"], url=f"http://127.0.0.1:{server.server_address[1]}/backbone.pth")
    changed = {**model_assets(), "r18": asset}
    monkeypatch.setattr(registry, "model_assets", lambda: changed)
    yield folder
    server.shutdown()
    server.server_close()


def test_fetch(served: Path, r18: Path, home: Path) -> None:
    shutil.copy(r18, served / "backbone.pth")
    done = fetch_model("r18")
    assert done.source_sha256 == sha256_file(r18)
    assert list((home / "downloads").iterdir()) == []
    with pytest.raises(UsageError, match="installed already"):
        fetch_model("r18")


def test_fetch_of_a_file_with_another_hash(served: Path, r18: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(r18, served / "backbone.pth")
    pinned = {**registry.model_assets(), "r18": replace(registry.model_assets()["r18"], sha256="0" * 64)}
    monkeypatch.setattr(registry, "model_assets", lambda: pinned)
    with pytest.raises(BadInputError, match="nothing was installed"):
        fetch_model("r18")
    assert find_model("r18") is None


def test_fetch_without_an_address() -> None:
    with pytest.raises(UsageError) as caught:
        fetch_model("cusp")
    assert "github.com/guillermogotre/CUSP" in caught.value.message
    assert "frbias models add cusp FILE" in str(caught.value.hint)
    with pytest.raises(UsageError, match="models list"):
        fetch_model("nobody")
