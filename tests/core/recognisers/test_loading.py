from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.trainable.base import STAGES, stage_of_entries
from frbias.core.recognisers.trainable.weights import (
    ARCHITECTURES,
    build,
    from_state,
    identify,
    read_state,
    state_sha256,
)


@pytest.fixture(scope="module")
def small() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build("mobilefacenet").state_dict()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stages_cover_every_entry_once_and_in_order(architecture: str) -> None:
    with torch.device("meta"):
        model = build(architecture)
    assert tuple(model.stages()) == STAGES
    stages = stage_of_entries(model)
    assert stages.keys() == model.state_dict().keys()
    positions = [STAGES.index(stage) for stage in stages.values()]
    assert positions == sorted(positions)
    assert identify(model.state_dict(), "it") == (architecture, model.embedding_dim)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_is_drawn_for_weights_that_are_read_anyway(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # on the meta device torch draws in Python and imports its compiler for that: a second and more
    for name in ("normal_", "kaiming_normal_"):
        monkeypatch.setattr(f"torch.nn.init.{name}", lambda *_, **__: pytest.fail("drawn"))
    with torch.device("meta"):
        build(architecture)


@pytest.mark.parametrize(
    ("architecture", "parameters", "entries"),
    [
        ("iresnet18", 24_025_600, 187),
        ("iresnet34", 34_139_328, 331),
        ("iresnet50", 43_590_848, 475),
        ("iresnet100", 65_156_160, 925),
        ("iresnet200", 118_833_920, 1807),
        ("mobilefacenet", 2_059_520, 333),
        ("sface", 9_642_880, 29 * 5 + 27 + 29),
    ],
)
def test_sizes(architecture: str, parameters: int, entries: int) -> None:
    with torch.device("meta"):
        model = build(architecture)
    assert sum(p.numel() for p in model.parameters()) == parameters
    if architecture != "sface":
        assert len(model.state_dict()) == entries


def test_running_a_part_and_the_rest_is_running_all(small: dict[str, torch.Tensor]) -> None:
    model = from_state(small, "it")
    x = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(model.run(model.run(x, STAGES[:3]), STAGES[3:]), model(x))


def test_preprocessing_is_of_uint8_rgb() -> None:
    with torch.device("meta"):
        resnet, sface = build("iresnet18"), build("sface")
    image = torch.zeros(1, 112, 112, 3, dtype=torch.uint8)
    image[..., 0] = 255
    assert resnet.preprocess(image)[0, :, 5, 5].tolist() == [1.0, -1.0, -1.0]
    assert sface.preprocess(image)[0, :, 5, 5].tolist() == pytest.approx([127.5 / 128, -127.5 / 128, -127.5 / 128])
    for wrong in (image.float(), image.permute(0, 3, 1, 2), image[:, :100]):
        with pytest.raises(ValueError, match="uint8"):
            resnet.preprocess(wrong)


def test_the_last_scale_is_fixed_also_after_loading(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = from_state(build("iresnet18", 64).state_dict(), "it")
    assert model.embedding_dim == 64
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert fixed == ["features.weight"]


def wrapped(small: dict[str, torch.Tensor], how: str) -> object:
    if how == "plain":
        return small
    if how == "module":
        return {f"module.{k}": v for k, v in small.items()}
    return {"epoch": 3, "state_dict_backbone": small, "state_dict_softmax_fc": {"weight": torch.zeros(2)}}


@pytest.mark.parametrize("how", ["plain", "module", "wrapped"])
def test_released_files(small: dict[str, torch.Tensor], how: str, tmp_path: Path) -> None:
    torch.save(wrapped(small, how), tmp_path / "backbone.pth")
    loaded = load_recogniser(str(tmp_path / "backbone.pth"))
    assert loaded.name == "backbone"
    assert loaded.sha256 == state_sha256(small)
    assert not loaded.model.training
    assert load_recogniser(str(tmp_path)).sha256 == loaded.sha256


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(BadInputError, match=r"evil\.pth"):
        load_recogniser(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("fault", ["missing", "surplus", "shape", "nan", "unknown"])
def test_loading_is_strict(small: dict[str, torch.Tensor], fault: str) -> None:
    state = dict(small)
    key = "layers.5.layers.0.layers.0.layers.1.weight"
    if fault == "missing":
        del state[key]
    elif fault == "surplus":
        state["extra.weight"] = torch.zeros(1)
    elif fault == "shape":
        state[key] = torch.zeros(3)
    elif fault == "nan":
        state[key] = state[key] * float("nan")
    else:
        state = {"weight": torch.zeros(3)}
    with pytest.raises(BadInputError) as caught:
        from_state(state, "the file")
    assert "the file" in caught.value.message
    if fault in ("missing", "shape", "nan"):
        assert key in caught.value.message


def test_hash_is_of_the_weights_and_not_of_the_file(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(small, tmp_path / "a.pth")
    save_file(small, tmp_path / "b.safetensors")
    assert state_sha256(read_state(tmp_path / "a.pth")) == state_sha256(read_state(tmp_path / "b.safetensors"))
    changed = {k: v.clone() for k, v in small.items()}
    changed["features.layers.3.bias"][0] += 1e-6
    assert state_sha256(changed) != state_sha256(small)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError):
        load_recogniser("no-such-recogniser")
    with pytest.raises(AssetMissingError, match="non-commercial"):
        load_recogniser("insightface:no_such_pack")
    with pytest.raises(BadInputError, match="names no pack"):
        load_recogniser("insightface:../etc")
    with pytest.raises(BadInputError, match="no weights"):
        load_recogniser(str(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInputError, match="no weight file"):
        load_recogniser(str(tmp_path / "notes.txt"))
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "b.pth").write_bytes(b"garbage")
    with pytest.raises(BadInputError, match=r"b\.pth"):
        load_recogniser(str(tmp_path / "b.pth"))


def test_embedded_recogniser() -> None:
    loaded = load_recogniser("sface")
    assert (loaded.name, loaded.model.embedding_dim) == ("sface", 128)
    assert loaded.description.licence == "Apache-2.0"
    assert loaded.description.to_json()["preprocessing"]["scale"] == 128.0
