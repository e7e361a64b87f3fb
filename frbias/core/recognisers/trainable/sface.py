"""SFace of the OpenCV model zoo (Zhong et al. 2021, arXiv:2205.12010; weights Apache-2.0) as a trainable module.

The network is a MobileNetV1: depthwise 3x3 and 1x1 convolutions, each with BN and PReLU, no shortcuts.
The published file is quantised in blocks of 64 weights with the BatchNorms unfolded, so real weights
come back exactly as (q - zero point) * scale.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.onnx_graph import read_onnx
from frbias.core.recognisers.trainable.base import Backbone, fix_scale

# number of the unit in the published file: (channels in, channels out, stride)
_UNITS = {
    2: (32, 64, 1),
    3: (64, 128, 2),
    4: (128, 128, 1),
    5: (128, 256, 2),
    6: (256, 256, 1),
    7: (256, 512, 2),
    **dict.fromkeys(range(8, 13), (512, 512, 1)),
    13: (512, 1024, 2),
    14: (1024, 1024, 1),
}
_STAGE_UNITS = {"stem": (1, 2), "layer1": (3, 4), "layer2": (5, 6), "layer3": tuple(range(7, 13)), "layer4": (13, 14)}
_NORM_ENTRIES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}


class SFace(Backbone):
    """SFace with its five groups of convolutions and a head of BN, linear layer and BN; 128 numbers per face."""

    architecture = "sface"
    embedding_dim = 128
    pixels = Pixels(scale=(128.0, 128.0, 128.0))

    def __init__(self) -> None:
        super().__init__()
        for name, units in _STAGE_UNITS.items():
            self.add_module(name, nn.Sequential(*(_unit(number) for number in units)))
        self.bn1 = nn.BatchNorm2d(1024, eps=2e-5)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(1024 * 7 * 7, 128)
        self.features = fix_scale(nn.BatchNorm1d(128, eps=2e-5))

    def stages(self) -> dict[str, list[nn.Module]]:
        """Stem, four stages that each halve the map, and the head."""
        layers = {str(number): [self.get_submodule(f"layer{number}")] for number in range(1, 5)}
        head = [self.bn1, self.flatten, self.dropout, self.fc, self.features]
        return {"stem": [self.get_submodule("stem")], **layers, "head": head}


def read_sface_onnx(path: Path) -> dict[str, torch.Tensor]:
    """State dict of :class:`SFace` from the published ONNX file, de-quantised to float32.

    Raises:
        BadInputError: It lacks a tensor of the published network.
    """
    tensors = _constants(read_onnx(path).graph)
    with torch.device("meta"):
        shapes = SFace().state_dict()
    state: dict[str, torch.Tensor] = {}
    for name, like in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
            continue
        if _published_name(name) not in tensors:
            raise BadInputError(f"{path} is not SFace as the OpenCV model zoo publishes it.")
        values = np.ascontiguousarray(tensors[_published_name(name)], dtype=np.float32)
        state[name] = torch.from_numpy(values).reshape(like.shape)
    return state


def _convolution(channels: int, width: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width, eps=1e-3), nn.PReLU(width))


def _unit(number: int) -> nn.Sequential:
    if number == 1:
        return _convolution(3, 32, 3, 1, 1)
    channels, width, stride = _UNITS[number]
    return nn.Sequential(_convolution(channels, channels, 3, stride, channels), _convolution(channels, width, 1, 1, 1))


def _published_name(name: str) -> str:
    """Name of an entry of :class:`SFace` in the published file."""
    parts = name.split(".")
    if parts[0] == "fc":
        return f"pre_fc1_{parts[1]}_dequantized"
    if parts[0] in ("bn1", "features"):
        return f"{'bn1' if parts[0] == 'bn1' else 'fc1'}_{_NORM_ENTRIES[parts[1]]}"
    number = _STAGE_UNITS[parts[0]][int(parts[1])]
    unit = f"conv_{number}_dw" if number > 1 and parts[2] == "0" else f"conv_{number}"
    layer, entry = parts[-2:]
    if layer == "0":
        return f"{unit}_conv2d_weight_reshaped"
    return f"{unit}_relu_gamma" if layer == "2" else f"{unit}_batchnorm_{_NORM_ENTRIES[entry]}"


def _constants(graph: Any) -> dict[str, npt.NDArray[Any]]:
    """Constant tensors of an ONNX graph, block-quantised ones and their reshapes included."""
    from onnx import numpy_helper

    found: dict[str, npt.NDArray[Any]] = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            attributes = {a.name: a.i for a in node.attribute}
            quantised, scale, zero = (found[name] for name in node.input)
            found[node.output[0]] = _dequantise(quantised, scale, zero, attributes["axis"], attributes["block_size"])
        elif node.op_type == "Reshape" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]].reshape(found[node.input[1]])
    return found


def _dequantise(
    quantised: npt.NDArray[Any], scale: npt.NDArray[Any], zero: npt.NDArray[Any], axis: int, block: int
) -> npt.NDArray[np.float32]:
    length = quantised.shape[axis]
    scale, zero = (np.repeat(t, block, axis=axis).take(range(length), axis=axis) for t in (scale, zero))
    return ((quantised.astype(np.int32) - zero.astype(np.int32)) * scale).astype(np.float32)
