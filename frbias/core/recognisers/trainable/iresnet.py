"""The improved residual networks of ArcFace (Deng et al. 2019, arXiv:1801.07698; Duta et al. 2020, arXiv:2004.04989).

A residual unit is BN, 3x3 conv, BN, PReLU, 3x3 conv with the stride, BN, without an activation after
the sum. The stem keeps 112x112; every stage halves it. Names of parameters are those of the
insightface releases, so that their state dicts load as they are.
"""

import torch
from torch import nn

from frbias.core.recognisers.trainable.base import Backbone, fix_scale

DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
}
WIDTHS = (64, 128, 256, 512)


class ResidualUnit(nn.Module):
    """One unit: (N, C, H, W) to (N, width, H / stride, W / stride).

    Args:
        channels: Channels of the input, C.
        width: Channels of the output.
        stride: 1 or 2; with 2 the shortcut is a strided 1x1 conv with BN of the raw input.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            if stride != 1 or channels != width
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Residual branch plus shortcut."""
        branch = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        branch = self.bn3(self.conv2(branch))
        return branch + (x if self.downsample is None else self.downsample(x))


class IResNet(Backbone):
    """An iresnet with the given number of units per stage.

    Args:
        architecture: ``iresnet18`` to ``iresnet200``.
        embedding_dim: Length of the embedding; 512 in all releases.
    """

    def __init__(self, architecture: str = "iresnet50", embedding_dim: int = 512) -> None:
        super().__init__()
        self.architecture, self.embedding_dim = architecture, embedding_dim
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        channels = 64
        for number, (units, width) in enumerate(zip(DEPTHS[architecture], WIDTHS, strict=True), start=1):
            rest = [ResidualUnit(width, width, 1) for _ in range(units - 1)]
            self.add_module(f"layer{number}", nn.Sequential(ResidualUnit(channels, width, 2), *rest))
            channels = width
        self.bn2 = nn.BatchNorm2d(channels)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.0)
        self.fc = nn.Linear(channels * 7 * 7, embedding_dim)
        self.features = fix_scale(nn.BatchNorm1d(embedding_dim))
        self.apply(_initialise)

    def stages(self) -> dict[str, list[nn.Module]]:
        """Stem, four stages of units, and the head from the last BN to the embedding."""
        layers = {str(number): [self.get_submodule(f"layer{number}")] for number in range(1, 5)}
        head = [self.bn2, self.flatten, self.dropout, self.fc, self.features]
        return {"stem": [self.conv1, self.bn1, self.prelu], **layers, "head": head}


def _initialise(module: nn.Module) -> None:
    # on the device without memory torch would draw in Python, and import its compiler for it
    if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
        nn.init.normal_(module.weight, 0.0, 0.1)
