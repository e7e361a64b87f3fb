"""Small ONNX recognisers of every kind that people bring, written node by node or exported from torch."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

Dims = list[int | str]


def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def convolutional(
    path: Path,
    *,
    size: tuple[int | str, int | str] = (40, 24),
    layout: str = "NCHW",
    batch: int | str = "N",
    inside: tuple[str, float, str, float] | None = None,
    kind: int = TensorProto.FLOAT,
    length: int = 16,
    second_output: bool = False,
    metadata: str | None = None,
    seed: int = 0,
    value: float | None = None,
) -> Path:
    """Convolution, pooling, linear layer; ``inside`` are two affine nodes in front, ``value`` fills all weights."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.2, (8, 3, 5, 5)), rng.normal(0, 0.5, (length, 8)), rng.normal(0, 0.1, length)]
    weights = [(w if value is None else np.full(w.shape, value)).astype(np.float32) for w in weights]
    initial = [constant(n, w) for n, w in zip(("w", "m", "b"), weights, strict=True)]
    nodes, tensor = [], "face"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [tensor], ["cast"], to=TensorProto.FLOAT))
        tensor = "cast"
    for number, (operation, amount) in enumerate(zip(inside[::2], inside[1::2], strict=True) if inside else ()):
        initial.append(constant(f"c{number}", np.float32([amount])))
        nodes.append(helper.make_node(str(operation), [tensor, f"c{number}"], [f"t{number}"]))
        tensor = f"t{number}"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [tensor], ["turned"], perm=[0, 3, 1, 2]))
        tensor = "turned"
    nodes += [
        helper.make_node("Conv", [tensor, "w"], ["map"], strides=[2, 2]),
        helper.make_node("Tanh", ["map"], ["bent"]),
        helper.make_node("GlobalAveragePool", ["bent"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "m", "b"], ["vector"], transB=1),
    ]
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [batch, length])]
    if second_output:
        nodes.append(helper.make_node("ReduceL2", ["vector"], ["norm"], axes=[1]))
        outputs.append(helper.make_tensor_value_info("norm", TensorProto.FLOAT, [batch, 1]))
    dims: Dims = [batch, 3, *size] if layout == "NCHW" else [batch, *size, 3]
    inputs = [helper.make_tensor_value_info("face", kind, dims)]
    return save(path, nodes, inputs, outputs, initial, metadata)


def save(path: Path, nodes: list, inputs: list, outputs: list, initial: list, metadata: str | None = None) -> Path:
    graph = helper.make_graph(nodes, "recogniser", inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"frbias": metadata})
    onnx.save(model, str(path))
    return path


class SmallTransformer(nn.Module):
    """Patches, attention, LayerNorm and GELU, as in the vision transformers of LVFace and its like."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 16, 16)
        self.place = nn.Parameter(torch.randn(1, 49, 16) * 0.1)
        self.before, self.after = nn.LayerNorm(16), nn.LayerNorm(16)
        self.mixed, self.back = nn.Linear(16, 48), nn.Linear(16, 16)
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.place
        asked, keys, values = self.mixed(self.before(tokens)).chunk(3, dim=-1)
        tokens = tokens + self.back(torch.softmax(asked @ keys.transpose(1, 2) / 4, -1) @ values)
        tokens = tokens + self.narrow(nn.functional.gelu(self.wide(self.after(tokens))))
        return self.head(tokens.mean(1))


class SmallEdge(nn.Module):
    """Depthwise convolutions, attention across channels and a low-rank linear layer, as in EdgeFace."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 4, 4)
        self.depthwise = nn.Conv2d(12, 12, 7, padding=3, groups=12)
        self.norm = nn.LayerNorm(12)
        self.mixed = nn.Linear(12, 36)
        self.low, self.high = nn.Linear(12, 3, bias=False), nn.Linear(3, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.stem(x))
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        asked, keys, values = (t.transpose(1, 2) for t in self.mixed(tokens).chunk(3, dim=-1))
        asked, keys = (nn.functional.normalize(t, dim=-1) for t in (asked, keys))
        tokens = ((asked @ keys.transpose(1, 2)).softmax(-1) @ values).transpose(1, 2)
        return self.high(self.low(tokens.mean(1)))


def exported(path: Path, model: nn.Module, *, open_batch: bool = True) -> Path:
    torch.manual_seed(1)
    axes = {"x": {0: "N"}, "y": {0: "N"}} if open_batch else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (torch.zeros(2 if open_batch else 1, 3, 112, 112),), str(path), input_names=["x"],
            output_names=["y"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    return path
