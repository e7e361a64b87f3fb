"""Recognisers published as ONNX, turned back into networks that can be trained: iresnets, MobileFaceNets, SFace."""

from collections.abc import Callable

import torch
from torch import nn

from frbias.core.recognisers.onnx_graph import OnnxFile
from frbias.core.recognisers.trainable.base import StateDict
from frbias.core.recognisers.trainable.iresnet import DEPTHS, IResNet, ResidualUnit
from frbias.core.recognisers.trainable.mobilefacenet import Group, MobileFaceNet, Shape
from frbias.core.recognisers.trainable.onnx_walk import OtherGraphError, Walk
from frbias.core.recognisers.trainable.sface import SFace


def import_onnx(file: OnnxFile) -> StateDict:
    """State dict of the network that an ONNX file was exported from.

    The first convolution has to read the input itself; whoever calls this compares what network and file compute.

    Raises:
        OtherGraphError: It is none of the architectures that are known; says where each of them parts from it.
    """
    ways: dict[str, Callable[[OnnxFile], StateDict]] = {
        "iresnet": _iresnet,
        "mobilefacenet": _mobilefacenet,
        "sface": _sface,
    }
    reasons = []
    for name, way in ways.items():
        try:
            return way(file)
        except OtherGraphError as error:
            reasons.append(f"{name}: {error}")
        except (KeyError, IndexError, ValueError, AttributeError, StopIteration) as error:
            reasons.append(f"{name}: {type(error).__name__}")
    raise OtherGraphError("; ".join(reasons))


def _iresnet(file: OnnxFile) -> StateDict:
    walk = Walk(file)
    sums = sum(1 for n in walk.nodes if n.op_type == "Add" and not set(n.input) & walk.arrays.keys())
    names = [name for name, depths in DEPTHS.items() if sum(depths) == sums]
    if not names:
        raise OtherGraphError(f"{sums} residual sums")
    with torch.device("meta"):
        model = IResNet(names[0])
    walk.convolution("conv1", "bn1", model.bn1.eps)
    walk.slopes("prelu")
    for name, module in model.named_modules():
        if isinstance(module, ResidualUnit):
            _residual_unit(walk, name, module)
    walk.norm("bn2", model.bn2.eps)
    length = _fully_connected(walk, model.features.eps)
    with torch.device("meta"):
        shapes = IResNet(names[0], length).state_dict()
    return walk.finish(shapes)


def _residual_unit(walk: Walk, name: str, unit: ResidualUnit) -> None:
    entry = walk.tensor
    walk.norm(f"{name}.bn1", unit.bn1.eps)
    walk.convolution(f"{name}.conv1", f"{name}.bn2", unit.bn2.eps)
    walk.slopes(f"{name}.prelu")
    walk.convolution(f"{name}.conv2", f"{name}.bn3", unit.bn3.eps)
    branch = walk.tensor
    if unit.downsample is not None:
        shortcut = next(n for n in walk.users[entry] if n.op_type == "Conv")
        walk.convolution(f"{name}.downsample.0", f"{name}.downsample.1", unit.bn3.eps, shortcut)
    walk.tensor = branch
    walk.take("Add")


def _fully_connected(walk: Walk, eps: float) -> int:
    """Flatten, ``fc`` with bias, ``features``; the length of the embedding."""
    walk.flatten()
    matrix, bias = walk.linear()
    walk.put("fc.weight", matrix)
    walk.put("fc.bias", torch.zeros(len(matrix)).numpy() if bias is None else bias)
    walk.closing_norm("features", len(matrix), eps)
    return len(matrix)


def _sface(file: OnnxFile) -> StateDict:
    with torch.device("meta"):
        model = SFace()
    walk = Walk(file)
    for name, module in model.named_modules():
        if isinstance(module, nn.Sequential) and isinstance(module[1], nn.BatchNorm2d):
            walk.convolution(f"{name}.0", f"{name}.1", module[1].eps)
            walk.slopes(f"{name}.2")
    walk.norm("bn1", model.bn1.eps)
    _fully_connected(walk, model.features.eps)
    return walk.finish(model.state_dict())


def _mobilefacenet(file: OnnxFile) -> StateDict:
    walk = Walk(file)
    stem = _activated(walk, "layers.0")[0]
    second = walk.shape_of_next_convolution()
    if second[2:] != (3, 3):
        raise OtherGraphError("no 3x3 convolution behind the first")
    _activated(walk, "layers.1")
    groups: list[Group] = []
    while walk.shape_of_next_convolution()[2:] == (1, 1) and not _closes(walk):
        groups.append(_group(walk, 2 + 2 * len(groups)))
    out = _activated(walk, "conv_sep")[0]
    walk.convolution("features.layers.0.layers.0", "features.layers.0.layers.1", 1e-5)
    walk.flatten()
    matrix, bias = walk.linear()
    walk.put("features.layers.2.weight", matrix)
    walk.flatten()
    walk.closing_norm("features.layers.3", len(matrix), 1e-5, bias)
    shape = Shape(stem, stem // second[1], tuple(groups), out, len(matrix))
    with torch.device("meta"):
        shapes = MobileFaceNet(shape).state_dict()
    return walk.finish(shapes)


def _activated(walk: Walk, name: str) -> tuple[int, ...]:
    shape = walk.shape_of_next_convolution()
    walk.convolution(f"{name}.layers.0", f"{name}.layers.1", 1e-5)
    walk.slopes(f"{name}.layers.2")
    return shape


def _closes(walk: Walk) -> bool:
    """Whether the 1x1 convolution that comes next is the closing one: no 3x3 convolution follows it."""
    place = walk.tensor
    walk.take("Conv")
    if walk.next("BatchNormalization") is not None:
        walk.take("BatchNormalization")
    walk.take("PRelu")
    kernel = walk.shape_of_next_convolution()[2:]
    walk.tensor = place
    return kernel != (3, 3)


def _group(walk: Walk, number: int) -> Group:
    """A bottleneck that halves the map, and the bottlenecks with shortcuts behind it."""
    down, width = _bottleneck(walk, f"layers.{number}")
    units, middle = 0, down
    while walk.next("Add") is not None or not _closes(walk):
        entry = walk.tensor
        saved = dict(walk.state)
        middle_here, _ = _bottleneck(walk, f"layers.{number + 1}.layers.{units}")
        add = walk.next("Add")
        if add is None or entry not in add.input:
            walk.tensor, walk.state = entry, saved
            break
        walk.take("Add")
        units, middle = units + 1, middle_here
    return Group(width, down, units, middle)


def _bottleneck(walk: Walk, name: str) -> tuple[int, int]:
    middle = _activated(walk, f"{name}.layers.0")[0]
    _activated(walk, f"{name}.layers.1")
    width = walk.shape_of_next_convolution()[0]
    walk.convolution(f"{name}.layers.2.layers.0", f"{name}.layers.2.layers.1", 1e-5)
    return middle, width
