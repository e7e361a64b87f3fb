"""MobileFaceNet (Chen et al. 2018, arXiv:1804.07573) in the double-width form of the insightface releases.

Bottlenecks of 1x1 conv, depthwise 3x3 conv and linear 1x1 conv; the embedding comes from a depthwise
7x7 conv over the whole last map. Names of parameters are those of the releases.
"""

import torch
from torch import nn

from frbias.core.recognisers.trainable.base import Backbone

_UNITS = (4, 6, 2)
_OUT = 512


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
    """MobileFaceNet with 128/128/256/256 channels.

    Args:
        embedding_dim: Length of the embedding; 512 in all releases.
    """

    architecture = "mobilefacenet"

    def __init__(self, embedding_dim: int = 512) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.layers = nn.ModuleList(
            [
                _activated(3, 128, 3, 2, 1),
                _activated(128, 128, 3, 1, 1, groups=64),
                Bottleneck(128, 128, 128, 2),
                _units(128, 128, _UNITS[0]),
                Bottleneck(128, 256, 256, 2),
                _units(256, 256, _UNITS[1]),
                Bottleneck(256, 256, 512, 2),
                _units(256, 256, _UNITS[2]),
            ]
        )
        self.conv_sep = _activated(256, _OUT, 1)
        self.features = _Chain(
            _linear(_OUT, _OUT, 7, groups=_OUT),
            nn.Flatten(),
            nn.Linear(_OUT, embedding_dim, bias=False),
            nn.BatchNorm1d(embedding_dim),
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
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
