"""MobileFaceNet (Chen et al. 2018, arXiv:1804.07573) of any width: the classic one, and insightface's double-width one.

Bottlenecks of 1x1 conv, depthwise 3x3 conv and linear 1x1 conv; the embedding comes from a depthwise
7x7 conv over the whole last map. Names of parameters are those of the insightface releases; a state dict tells the
widths by its shapes.
"""

import re
from dataclasses import dataclass

import torch
from torch import nn

from frbias.core.recognisers.trainable.base import Backbone, StateDict


@dataclass(frozen=True)
class Group:
    """One resolution: a bottleneck that halves the map, then bottlenecks with shortcuts.

    Attributes:
        width: Channels between bottlenecks.
        down: Channels inside the first bottleneck.
        units: Bottlenecks with shortcuts behind it.
        middle: Channels inside these.
    """

    width: int
    down: int
    units: int
    middle: int


@dataclass(frozen=True)
class Shape:
    """Widths of a MobileFaceNet.

    Attributes:
        stem: Channels of the first two convolutions.
        split: Groups of the second convolution; as many as channels when it is depthwise.
        groups: Three resolutions.
        out: Channels of the last map.
        embedding_dim: Length of the embedding.
    """

    stem: int
    split: int
    groups: tuple[Group, ...]
    out: int
    embedding_dim: int


def double_width(embedding_dim: int = 512) -> Shape:
    """The form of the insightface releases; its second convolution has half as many groups as channels."""
    groups = (Group(128, 128, 4, 128), Group(256, 256, 6, 256), Group(256, 512, 2, 256))
    return Shape(128, 64, groups, 512, embedding_dim)


def classic(embedding_dim: int = 512) -> Shape:
    """The form of the paper (Table 1), as its implementations have it."""
    groups = (Group(64, 128, 4, 128), Group(128, 256, 6, 256), Group(128, 512, 2, 256))
    return Shape(64, 64, groups, 512, embedding_dim)


def shape_of(state: StateDict) -> Shape:
    """Widths that the entries of a state dict tell.

    Raises:
        KeyError: An entry that every MobileFaceNet has is missing.
        ValueError: It has another number of resolutions than three.
    """
    numbers = {int(m.group(1)) for key in state if (m := re.match(r"layers\.(\d+)\.", key))}
    if not numbers <= set(range(8)):
        raise ValueError(f"{max(numbers) + 1} layers instead of 8")
    groups = []
    for number in (2, 4, 6):
        inside = "layers.{}.layers.0.weight"
        first = f"layers.{number}." + inside
        units = len({m.group(1) for key in state if (m := re.match(rf"layers\.{number + 1}\.layers\.(\d+)\.", key))})
        down, width = state[first.format(0)].shape[0], state[first.format(2)].shape[0]
        middle = state[f"layers.{number + 1}.layers.0." + inside.format(0)].shape[0] if units else down
        groups.append(Group(width, down, units, middle))
    stem, second = state["layers.0.layers.0.weight"].shape[0], state["layers.1.layers.0.weight"].shape
    linear = state["features.layers.2.weight"].shape
    return Shape(stem, stem // second[1], tuple(groups), linear[1], linear[0])


class _Chain(nn.Module):
    """Modules applied in order, kept under the name ``layers`` as in the released state dicts."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the modules."""
        return self.layers(x)


class Bottleneck(_Chain):
    """1x1 conv to ``middle`` channels, depthwise 3x3 conv with the stride, linear 1x1 conv; shortcut when asked for."""

    def __init__(self, channels: int, width: int, middle: int, stride: int = 1, *, shortcut: bool = False) -> None:
        super().__init__(
            _activated(channels, middle, 1),
            _activated(middle, middle, 3, stride, 1, groups=middle),
            _linear(middle, width, 1),
        )
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bottleneck, plus its input when it has a shortcut."""
        return x + self.layers(x) if self.shortcut else self.layers(x)


class MobileFaceNet(Backbone):
    """MobileFaceNet.

    Args:
        shape: Its widths; the double-width form by default.
    """

    architecture = "mobilefacenet"

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        shape = shape or double_width()
        self.embedding_dim = shape.embedding_dim
        layers = [
            _activated(3, shape.stem, 3, 2, 1),
            _activated(shape.stem, shape.stem, 3, 1, 1, groups=shape.split),
        ]
        channels = shape.stem
        for group in shape.groups:
            layers += [Bottleneck(channels, group.width, group.down, 2), _units(group.width, group.middle, group.units)]
            channels = group.width
        self.layers = nn.ModuleList(layers)
        self.conv_sep = _activated(channels, shape.out, 1)
        self.features = _Chain(
            _linear(shape.out, shape.out, 7, groups=shape.out),
            nn.Flatten(),
            nn.Linear(shape.out, shape.embedding_dim, bias=False),
            nn.BatchNorm1d(shape.embedding_dim),
        )
        self.apply(_initialise)

    def stages(self) -> dict[str, list[nn.Module]]:
        """Pairs of layers between changes of resolution; the head starts with the closing 1x1 conv."""
        names = ("stem", "1", "2", "3")
        stages: dict[str, list[nn.Module]] = {
            name: [self.layers[2 * i], self.layers[2 * i + 1]] for i, name in enumerate(names)
        }
        return {**stages, "4": [self.conv_sep], "head": [self.features]}


def _activated(
    channels: int, width: int, kernel: int, stride: int = 1, padding: int = 0, *, groups: int = 1
) -> nn.Module:
    conv = nn.Conv2d(channels, width, kernel, stride, padding, groups=groups, bias=False)
    return _Chain(conv, nn.BatchNorm2d(width), nn.PReLU(width))


def _linear(channels: int, width: int, kernel: int, *, groups: int = 1) -> nn.Module:
    return _Chain(nn.Conv2d(channels, width, kernel, groups=groups, bias=False), nn.BatchNorm2d(width))


def _units(channels: int, middle: int, count: int) -> nn.Module:
    return _Chain(*(Bottleneck(channels, channels, middle, shortcut=True) for _ in range(count)))


def _initialise(module: nn.Module) -> None:
    # on the device without memory torch would draw in Python, and import its compiler for it
    if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
