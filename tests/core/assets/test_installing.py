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

import numpy as np
import onnx
import pytest
import torch
from pickle_builders import dex_state
from safetensors.torch import load_file, save_file

from frbias.core.assets import catalogue as registry
from frbias.core.assets.catalogue import model_assets
from frbias.core.assets.embedded import EMBEDDED_MODELS, EmbeddedModel
from frbias.core.assets.networks import read_network
from frbias.core.assets.records import read_book
from frbias.core.assets.store import find_dataset, find_model, looked_in, resolve_weights
from frbias.core.foundation.errors import AssetMissingError, BadInputError, UsageError
from frbias.core.foundation.files import sha256_bytes, sha256_file
from frbias.core.installing import models
from frbias.core.installing.doctor import diagnose
from frbias.core.installing.models import add_model, convert_file, fetch_model, remove_model, verify_model
from frbias.core.installing.recognise import recognise
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.loading import load_recogniser
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


def test_of_two_processes_that_add_one_name_the_second_is_told(r18: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(source: Path) -> object:
        found = recognise(source)
        monkeypatch.setattr(models, "recognise", recognise)
        add_model("twice", source)  # what another process does meanwhile
        return found

    monkeypatch.setattr(models, "recognise", slow)
    with pytest.raises(UsageError, match="twice has been added before"):
        add_model("twice", r18)
    assert verify_model("twice") == []


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


def test_a_killed_removal_is_finished_by_the_next_call(r18: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    add_model("mine", r18)
    for name in ("drop_record", "shutil.rmtree"):
        with monkeypatch.context() as patch:
            patch.setattr(f"frbias.core.installing.models.{name}", killed)
            with pytest.raises(KeyboardInterrupt):
                remove_model("mine")
        remove_model("mine")
        assert find_model("mine") is None
        assert not list((home / "models").iterdir())
        add_model("mine", r18)


def test_a_killed_conversion_leaves_nothing_and_can_be_repeated(
    r18: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frbias.core.foundation import files

    target, folder = tmp_path / "new" / "out.safetensors", tmp_path / "new" / ".frbias-tmp-out@1"
    folder.mkdir(parents=True)  # as SIGKILL leaves it
    (folder / "out.safetensors").write_bytes(b"half")

    def write_bytes(path: Path, data: bytes) -> None:  # the weights can be written, their description cannot
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_bytes", write_bytes)
        with pytest.raises(KeyboardInterrupt):
            convert_file(r18, target)
    assert not target.exists()
    convert_file(r18, target)  # without --force
    assert sorted(path.name for path in target.parent.iterdir()) == ["out.json", "out.safetensors"]


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
    """ONNX files that turn faces into 48 means of their parts."""
    nodes = [
        onnx.helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[28, 28], strides=[28, 28]),
        onnx.helper.make_node("Flatten", ["p"], ["y"]),
    ]
    x, y = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *dims])
        for name, dims in (("x", [3, 112, 112]), ("y", [48]))
    )
    graph = onnx.helper.make_graph(nodes, "means", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    folder.mkdir(parents=True)
    for name in names:
        onnx.save(model, str(folder / name))
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
    assert resolve_weights("buffalo_l") == tmp_path / "user" / ".insightface" / "models" / "buffalo_l"
    assert load_recogniser("buffalo_l").description.source == "w600k_r50.onnx"
    assert load_recogniser("insightface:buffalo_l").name == "insightface-buffalo_l"


def test_an_onnx_that_can_only_be_run_is_kept_as_it_is(tmp_path: Path, home: Path) -> None:
    source = pack(tmp_path / "given", "mine.onnx") / "mine.onnx"
    source.with_suffix(".toml").write_text('[input]\ncolour = "BGR"\nmean = 3\nscale = [4, 5, 6]')
    wanted = load_recogniser(str(source))
    done = add_model("own", source)
    shutil.rmtree(source.parent)
    assert (done.variant, done.path) == ("onnx", home / "models" / "own" / "own.onnx")
    assert done.details["not_trainable"]
    found = load_recogniser("own")
    assert found.description.pixels == Pixels("BGR", (3.0,) * 3, (4.0, 5.0, 6.0))
    assert (found.name, found.sha256) == ("own", wanted.sha256)
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(found.embed(faces), wanted.embed(faces))
    assert verify_model("own") == []
    with pytest.raises(BadInputError, match="can only be run"):
        convert_file(done.path, tmp_path / "out.safetensors")


@pytest.mark.parametrize("fault", ["nan", "shape", "missing", "scalar", "numbers"])
def test_weights_that_cannot_be_are_not_added(fault: str, tmp_path: Path, home: Path) -> None:
    state: dict[object, torch.Tensor] = dict(build("mobilefacenet", 16).state_dict())
    key = "layers.5.layers.0.layers.0.layers.1.weight"
    if fault == "nan":
        state[key] = state[key] * float("nan")
    elif fault == "shape":
        state[key] = torch.zeros(3)
    elif fault == "scalar":
        state["features.layers.2.weight"] = torch.tensor(1.0)
    elif fault == "numbers":
        state = dict(enumerate(state.values()))
    else:
        del state[key]
    torch.save(state, tmp_path / "m.pth")
    with pytest.raises(BadInputError, match=r"m\.pth"):
        add_model("mine", tmp_path / "m.pth")
    assert find_model("mine") is None


def test_a_scalar_where_a_matrix_is_due(tmp_path: Path) -> None:
    torch.save({"layer1.0.bn1.weight": torch.zeros(64), "fc.weight": torch.tensor(1.0)}, tmp_path / "m.pth")
    with pytest.raises(BadInputError, match=r"m\.pth is an iresnet with \(1, 0, 0, 0\) units"):
        add_model("mine", tmp_path / "m.pth")


def test_age_classifiers_with_nan_are_not_added(tmp_path: Path) -> None:
    state = dex_state()
    state["fc7.weight"][0, 0] = float("inf")
    torch.save(state, tmp_path / "dex.pt")
    with pytest.raises(BadInputError, match=r"'fc7\.weight' hold values that are not finite"):
        add_model("dex", tmp_path / "dex.pt")


def test_the_working_folder_is_searched_before_the_data_root(tmp_path: Path, home: Path) -> None:
    here, there = Path("models/r18.pth"), home / "models" / "r18.pth"
    for path in (here, there):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert resolve_weights("r18") == here
    assert find_model("r18").origin == "./models"  # type: ignore[union-attr]
    here.unlink()
    assert resolve_weights("r18") == there
    assert find_model("r18").origin == "data root"  # type: ignore[union-attr]
    assert looked_in("models") == ["./models", str(home / "models")]
    for folder in (Path("datasets/fgnet"), home / "datasets" / "fgnet"):
        folder.mkdir(parents=True)
    assert find_dataset("fgnet").path == Path("datasets/fgnet")  # type: ignore[union-attr]


def test_the_doctor_sees_a_damaged_embedded_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = EmbeddedModel("sface.onnx", sha256_bytes(b"as published"), "Apache-2.0")
    monkeypatch.setitem(EMBEDDED_MODELS, "sface", pinned)
    file = home / "embedded" / "sface.onnx"
    file.parent.mkdir(parents=True)

    def look() -> tuple[bool, str, list[str]]:
        found = diagnose()
        asset = next(a for a in found.assets if a.name == "sface")
        return asset.installed, asset.problem, next(c for c in found.commands if c.command == "embed").notes

    file.write_bytes(b"as published")
    assert look() == (True, "", [])
    file.write_bytes(b"as publishEd")
    installed, problem, notes = look()
    assert not installed
    assert "not the pinned file" in problem
    assert notes == ["sface is fetched from the Python package index on first use"]


def test_a_pack_of_junk_is_not_added(tmp_path: Path, home: Path) -> None:
    source = pack(tmp_path / "junk", "det_500m.onnx")
    with pytest.raises(BadInputError, match="holds no recogniser"):
        add_model("junk", source)
    (source / "w600k_r50.onnx").write_bytes(b"\x08\x07junk")
    with pytest.raises(BadInputError, match=r"w600k_r50\.onnx cannot be read as ONNX"):
        add_model("junk", source)
    assert find_model("junk") is None
    assert not (home / "models" / "junk").exists()


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
