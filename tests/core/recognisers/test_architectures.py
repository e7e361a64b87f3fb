"""Architectures told from tensors: AdaFace's networks, MobileFaceNets of any width, and their preprocessing."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.input_format import InputFormat
from frbias.core.recognisers.loading import load_recogniser, load_trainable
from frbias.core.recognisers.onnx_check import check_onnx
from frbias.core.recognisers.onnx_export import write_onnx
from frbias.core.recognisers.trainable.adaface import AdaFace
from frbias.core.recognisers.trainable.iresnet import IResNet
from frbias.core.recognisers.trainable.mobilefacenet import Group, MobileFaceNet, Shape, classic, double_width, shape_of
from frbias.core.recognisers.trainable.weights import from_state, write_state
from frbias.core.stages.export import export_recogniser
from frbias.core.stages.requests.export import ExportRequest
from frbias.core.training.checkpoint import save_best

FACES = np.random.default_rng(3).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
ODD = Shape(12, 12, (Group(16, 20, 1, 24), Group(8, 28, 2, 12), Group(24, 36, 0, 36)), 40, 10)


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random statistics and scales, so that no BatchNorm is an identity."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean") or name.endswith("bias"):
                value.normal_(0, 0.1)
            elif value.ndim == 1 and name.endswith("weight"):
                value.mul_(torch.empty_like(value).uniform_(0.7, 1.3))
    return model.eval()


@pytest.fixture(scope="module")
def ir18() -> AdaFace:
    found = shaken(AdaFace("ir18", 24))
    assert isinstance(found, AdaFace)
    return found


def as_iresnet(model: AdaFace) -> IResNet:
    """The same function as an iresnet, whose extra shortcut and closing scale do nothing."""
    twin, state = IResNet("iresnet18", model.embedding_dim).eval(), {}
    inside = {"0": "bn1", "1": "conv1", "2": "bn2", "3": "prelu", "4": "conv2", "5": "bn3"}
    heads = {"0": "bn2", "3": "fc", "4": "features"}
    for key, value in model.state_dict().items():
        part, number, *rest = key.split(".")
        if part == "input_layer":
            name = ".".join([("conv1", "bn1", "prelu")[int(number)], *rest])
        elif part == "output_layer":
            name = ".".join([heads[number], *rest])
        else:
            place = f"layer{int(number) // 2 + 1}.{int(number) % 2}"
            name = (
                f"{place}.{inside[rest[1]]}.{rest[2]}"
                if rest[0] == "res_layer"
                else f"{place}.downsample." + ".".join(rest[1:])
            )
        state[name] = value
    missing = twin.state_dict().keys() - state.keys()
    assert {m.rsplit(".", 1)[0] for m in missing} == {"layer1.0.downsample.0", "layer1.0.downsample.1", "features"}
    twin.load_state_dict(state, strict=False)
    with torch.no_grad():
        shortcut, norm = twin.layer1[0].downsample  # type: ignore[index, union-attr]
        shortcut.weight.copy_(torch.eye(64).reshape(64, 64, 1, 1))
        for module in (norm, twin.features):
            module.weight.fill_(1)
            module.bias.zero_()
        norm.running_var.fill_(1 - norm.eps)
    return twin


def test_an_ir_network_is_an_iresnet_with_a_plain_first_shortcut(ir18: AdaFace) -> None:
    x = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        found, wanted = ir18(x), as_iresnet(ir18)(x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize(("name", "like"), [("ir18", "iresnet18"), ("ir50", "iresnet50"), ("ir101", "iresnet100")])
def test_ir_sizes(name: str, like: str) -> None:
    with torch.device("meta"):
        one, two = AdaFace(name), IResNet(like)
    extra = 64 * 64 + 2 * 64 + 2 * 512  # the first shortcut with its BatchNorm, the closing scale and shift
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in two.parameters()) - extra


@pytest.mark.parametrize("prefix", ["", "model.", "net.", "model.net."])
def test_checkpoints_of_adaface(prefix: str, ir18: AdaFace, tmp_path: Path) -> None:
    state = {prefix + key: value for key, value in ir18.state_dict().items()}
    if prefix == "model.":
        state["head.kernel"] = torch.zeros(512, 7)
    torch.save({"state_dict": state, "epoch": 3} if prefix else state, tmp_path / "ada.ckpt")
    notes = Notes()
    found = load_recogniser(str(tmp_path / "ada.ckpt"), progress=notes)  # type: ignore[arg-type]
    assert (found.description.architecture, found.embedding_length) == ("ir18", 24)
    assert notes.said == ["ada.ckpt does not say its colour order; BGR is taken, as AdaFace has it."]
    swapped = torch.from_numpy(FACES[..., ::-1].copy()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        wanted = ir18((swapped - 127.5) / 127.5).numpy()
    np.testing.assert_allclose(found.embed(FACES), wanted, atol=1e-4 * np.abs(wanted).max())
    (tmp_path / "model.yaml").write_text("input_size: [3, 112, 112]\ncolor_space: 'RGB'\nname: 'ir18'\n")
    told = load_recogniser(str(tmp_path / "ada.ckpt"), progress=notes)  # type: ignore[arg-type]
    assert len(notes.said) == 1
    np.testing.assert_allclose(told.embed(FACES[..., ::-1].copy()), wanted, atol=1e-4 * np.abs(wanted).max())
    assert told.sha256 != found.sha256
    given = load_recogniser(str(tmp_path / "ada.ckpt"), given=InputFormat(colour="BGR"))
    assert given.sha256 == found.sha256


def test_networks_with_attention_are_refused(ir18: AdaFace, tmp_path: Path) -> None:
    torch.save(
        {**ir18.state_dict(), "body.0.res_layer.se_block.fc1.weight": torch.zeros(4, 64, 1, 1)}, tmp_path / "se.pth"
    )
    with pytest.raises(BadInputError, match=r"looks like ir18 but has the unknown entry .*se_block"):
        load_recogniser(str(tmp_path / "se.pth"))


def test_bgr_weights_are_exported_for_rgb(ir18: AdaFace, tmp_path: Path) -> None:
    write_onnx(ir18, tmp_path / "a.onnx")
    assert check_onnx(ir18, tmp_path / "a.onnx") < 1e-4


def test_another_mean_is_stated_in_the_export(tmp_path: Path) -> None:
    pixels = Pixels("BGR", (127.0,) * 3, (128.0,) * 3)
    write_state(tmp_path / "m.safetensors", shaken(MobileFaceNet(ODD)).state_dict(), pixels)
    start = load_trainable(str(tmp_path / "m.safetensors"), "export")
    request = ExportRequest(weights=str(tmp_path / "m.safetensors"))
    export_recogniser(start, tmp_path / "out", request)
    task = json.loads((tmp_path / "out/manifest.json").read_text())["tasks"]["recognition"]
    assert task["preprocessing"] == {"mean": 127.0, "std": 128.0}
    (tmp_path / "out/manifest.json").unlink()
    notes = Notes()
    again = load_recogniser(str(tmp_path / "out/recognition.onnx"), progress=notes)  # type: ignore[arg-type]
    assert (again.description.trainable, notes.said) == (True, [])
    wanted = start.embed(FACES)
    np.testing.assert_allclose(again.embed(FACES), wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [classic(32), double_width(48), ODD], ids=["classic", "double", "odd"])
def test_widths_are_told_from_the_tensors(shape: Shape) -> None:
    model = shaken(MobileFaceNet(shape))
    assert shape_of(model.state_dict()) == shape
    found = from_state(model.state_dict(), "it")
    assert found.embedding_dim == shape.embedding_dim
    x = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(found(x), model(x))
    assert found.stages().keys() == {"stem", "1", "2", "3", "4", "head"}


def test_the_classic_one_has_its_published_size() -> None:
    with torch.device("meta"):
        model = MobileFaceNet(classic(512))
    assert sum(p.numel() for p in model.parameters()) == 1_200_512  # 1.2 million, as the file of the npm package has


OTHER_NAMES = [
    (r"^layers\.0\.", "conv1."), (r"^layers\.1\.", "conv2_dw."), (r"^layers\.2\.", "conv_23."), (r"^layers\.3\.", "conv_3."),
    (r"^layers\.4\.", "conv_34."), (r"^layers\.5\.", "conv_4."), (r"^layers\.6\.", "conv_45."), (r"^layers\.7\.", "conv_5."),
    (r"^conv_sep\.", "conv_6_sep."), (r"^features\.layers\.0\.", "conv_6_dw."), (r"^features\.layers\.2\.", "linear."),
    (r"^features\.layers\.3\.", "bn."),
]  # fmt: skip


def other_name(key: str) -> str:
    """What the other implementation calls an entry, written down by its modules."""
    pattern, place = next(pair for pair in OTHER_NAMES if re.match(pair[0], key))
    rest = re.sub(pattern, "", key)
    if place in ("linear.", "bn."):
        return place + rest
    unit = ""
    if place in ("conv_3.", "conv_4.", "conv_5."):
        number, rest = re.fullmatch(r"layers\.(\d+)\.(.*)", rest).groups()  # type: ignore[union-attr]
        unit = f"model.{number}."
    if place in ("conv_23.", "conv_34.", "conv_45.") or unit:
        inner, rest = re.fullmatch(r"layers\.(\d)\.(.*)", rest).groups()  # type: ignore[union-attr]
        unit += ("conv.", "conv_dw.", "project.")[int(inner)]
    leaf, entry = re.fullmatch(r"layers\.(\d)\.(.*)", rest).groups()  # type: ignore[union-attr]
    return f"{place}{unit}{('conv', 'bn', 'prelu')[int(leaf)]}.{entry}"


@pytest.mark.parametrize("affine", [True, False])
def test_other_names_of_mobilefacenet(affine: bool, tmp_path: Path) -> None:
    model = shaken(MobileFaceNet(classic(16)))
    closing = model.features.layers[3]  # type: ignore[union-attr, index]
    if not affine:
        torch.nn.init.ones_(closing.weight)
        torch.nn.init.zeros_(closing.bias)
    state = {other_name(key): value for key, value in model.state_dict().items()}
    assert {
        "conv_23.conv_dw.bn.running_mean",
        "conv_3.model.2.project.conv.weight",
        "conv2_dw.prelu.weight",
    } <= state.keys()
    if not affine:
        state = {key: value for key, value in state.items() if key not in ("bn.weight", "bn.bias")}
    torch.save(state, tmp_path / "other.pth")
    found = load_trainable(str(tmp_path / "other.pth"), "finetune")
    x = torch.randn(1, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(found.model(x), model(x))


@pytest.mark.parametrize("shape", [classic(32), ODD], ids=["classic", "odd"])
@pytest.mark.parametrize("open_batch", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_mobilefacenets_come_back_from_onnx(shape: Shape, open_batch: bool, bias: bool, tmp_path: Path) -> None:
    model = MobileFaceNet(shape)
    if bias:  # which others have before the closing BatchNorm
        model.features.layers[2] = torch.nn.Linear(shape.out, shape.embedding_dim)  # type: ignore[index, operator, union-attr]
    shaken(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "N"}, "y": {0: "N"}} if open_batch else None
        torch.onnx.export(
            model, (torch.zeros(1, 3, 112, 112),), str(tmp_path / "m.onnx"), input_names=["x"], output_names=["y"],
            dynamic_axes=axes, opset_version=13, dynamo=False,
        )  # fmt: skip
    (tmp_path / "m.toml").write_text("[input]\nmean = 127\nscale = 128\ncolour = 'BGR'")
    found = load_trainable(str(tmp_path / "m.onnx"), "finetune")
    assert found.description.batch_norm == "folded"
    save_best(tmp_path / "run", found.weights(), found.model.pixels)
    assert load_trainable(str(tmp_path / "run"), "finetune").description.batch_norm == "folded"
    assert found.description.pixels == Pixels("BGR", (127.0,) * 3, (128.0,) * 3)
    values = torch.from_numpy(((FACES[..., ::-1].astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        wanted = model(values).numpy()
    np.testing.assert_allclose(found.embed(FACES), wanted, atol=1e-5 * np.abs(wanted).max())


def test_weights_keep_what_is_done_to_pixels(tmp_path: Path) -> None:
    pixels = Pixels("BGR", (127.0,) * 3, (128.0, 64.0, 32.0))
    state = shaken(MobileFaceNet(ODD)).state_dict()
    save_best(tmp_path / "run", state, pixels)
    found = load_recogniser(str(tmp_path / "run"))
    assert found.description.pixels == pixels
    save_file(state, tmp_path / "plain.safetensors")
    plain = load_recogniser(str(tmp_path / "plain.safetensors"))
    assert (plain.description.pixels, plain.description.batch_norm) == (Pixels(), "")
    assert plain.sha256 != found.sha256
    write_state(tmp_path / "usual.safetensors", state, Pixels())
    assert load_recogniser(str(tmp_path / "usual.safetensors")).sha256 == plain.sha256


@pytest.mark.parametrize("note", ["{", "[1]", "null", '{"mean": "x"}', '{"scale": 0}', '{"what": 1}'])
def test_damaged_notes_about_pixels(note: str, tmp_path: Path) -> None:
    save_file(MobileFaceNet(ODD).state_dict(), tmp_path / "m.safetensors", metadata={"frbias_input": note})
    with pytest.raises(BadInputError, match=r"m\.safetensors"):
        load_recogniser(str(tmp_path / "m.safetensors"))


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    state = {name: torch.arange(6.0) for name in ("one", "two", "three")}
    for number in range(20):
        write_state(tmp_path / f"{number}.safetensors", state, Pixels())
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
