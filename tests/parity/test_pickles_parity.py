"""The persistence pickles of the two generators are recovered bit for bit, and their embedded source never runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from frbias.core.assets.networks import NetworkRecord, read_network, write_network
from frbias.core.assets.pickles import attribute, load_persistence_pickle, state_dict


def equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert found[name].numpy().tobytes() == value.numpy().tobytes(), name


@pytest.fixture(scope="module")
def eg3d(fixtures_dir: Path) -> tuple[Path, dict[str, Any]]:
    folder = fixtures_dir / "eg3d" / "tiny_pickle"
    expected = json.loads((folder / "expected.json").read_text())
    return folder / expected["pickle"], expected


@pytest.fixture(scope="module")
def cusp(fixtures_dir: Path) -> Path:
    return fixtures_dir / "cusp" / "snapshot_tiny.pkl"


def test_eg3d_snapshot(eg3d: tuple[Path, dict[str, Any]]) -> None:
    path, expected = eg3d
    content = load_persistence_pickle(path)
    network = content[expected["take"]]
    tensors = state_dict(network)
    assert len(tensors) == expected["expected"]["n_tensors"]
    equal(tensors, load_file(path.parent / expected["expected_state_dict"]))
    facts = expected["expected"]
    assert attribute(network, "neural_rendering_resolution") == facts["neural_rendering_resolution"]
    assert attribute(network, "rendering_kwargs") == facts["rendering_kwargs"]
    assert attribute(network, "c_dim") == facts["c_dim"]
    assert content["training_set_kwargs"]["file_name"] == facts["training_set_kwargs.file_name"]
    assert facts["init_kwargs"].items() <= network.init_kwargs.items()
    assert attribute(network, "renderer.plane_axes").tensor().tolist() == facts["plane_axes"]
    assert attribute(network, "renderer.plane_axes").tensor().device.type == "cpu"  # tagged cuda:0 in the file


def test_cusp_snapshot(cusp: Path) -> None:
    expected = json.loads(cusp.with_name("snapshot_tiny_expected.json").read_text())
    network = load_persistence_pickle(cusp)["G_ema"]
    tensors = state_dict(network)
    assert list(tensors) == expected["state_dict_order"]
    equal(tensors, load_file(cusp.with_name("snapshot_tiny_expected.safetensors")))
    assert network.init_kwargs == expected["init_kwargs"]
    assert list(network.init_args) == expected["init_args"]


def test_cusp_age_classifier_behind_a_self_reference(cusp: Path) -> None:
    network = load_persistence_pickle(cusp)["G_ema"]
    classifier = state_dict(attribute(network, "skip_grad_blur.model.classifier"))
    expected = load_file(cusp.with_name("snapshot_tiny_vgg_expected.safetensors"))
    renamed = {name.removeprefix("vgg.").replace("-", "_"): value for name, value in expected.items()}
    equal({name.replace("-", "_"): value for name, value in classifier.items()}, renamed)


def test_embedded_source_is_text_that_was_not_run(cusp: Path, eg3d: tuple[Path, dict[str, Any]]) -> None:
    for path in (cusp, eg3d[0]):
        network = load_persistence_pickle(path)["G_ema"]
        assert "raise" in network.module_source  # the canary: running it would have ended this test


@pytest.mark.parametrize("which", ["cusp", "eg3d"])
def test_conversion_keeps_everything(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    fixture = request.getfixturevalue(which)
    record = read_network(fixture if which == "cusp" else fixture[0])
    write_network(record, tmp_path / "converted.safetensors")
    again = read_network(tmp_path / "converted.safetensors")
    assert isinstance(again, NetworkRecord)
    assert list(again.tensors) == list(record.tensors)
    equal(again.tensors, record.tensors)
    equal(again.extra_tensors, record.extra_tensors)
    for name in ("class_name", "init_kwargs", "attributes", "training_set_kwargs", "sources", "source_sha256"):
        assert getattr(again, name) == getattr(record, name), name


def test_agrees_with_the_safe_reader_of_torch(cusp: Path, eg3d: tuple[Path, dict[str, Any]]) -> None:
    """Every inner storage, read by hand here, is what torch's own weights_only loader makes of it."""
    import io
    import pickletools

    for path in (cusp, eg3d[0]):
        tensors = list(state_dict(load_persistence_pickle(path)["G_ema"]).values())
        known = {t.numpy().tobytes() for t in tensors}
        streams = [a for op, a, _ in pickletools.genops(path.read_bytes()) if op.name in ("BINBYTES", "SHORT_BINBYTES")]
        legacy = [s for s in streams if s[2:3] == b"\x8a"]
        assert len(legacy) >= len(tensors)
        reference = set()
        for stream in legacy:
            storage = torch.load(io.BytesIO(stream), map_location="cpu", weights_only=True)
            raw = torch.empty(0, dtype=torch.uint8).set_(storage._untyped_storage)
            reference.add(raw.numpy().tobytes())
        contiguous = sum(data in reference for data in known)
        assert contiguous >= 0.9 * len(known)  # the rest are views of larger storages
