"""The residual networks of AdaFace and CVLFace (Kim et al. 2022, arXiv:2204.00964): IR-18, 34, 50 and 101.

They are the iresnets of ArcFace but for two things: the first unit of the first stage keeps its 64 channels and takes the
strided map itself as shortcut, and the closing BatchNorm has no scale and shift. AdaFace's weights read BGR; CVLFace's
own trainings read RGB, which a ``model.yaml`` beside the weights says (``color_space``). Names of parameters are those
of the releases.
"""

import torch
from torch import nn

from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.trainable.base import Backbone, StateDict
from frbias.core.recognisers.trainable.iresnet import WIDTHS

DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "ir18": (2, 2, 2, 2),
    "ir34": (3, 4, 6, 3),
    "ir50": (3, 4, 14, 3),
    "ir101": (3, 13, 30, 3),
}
_INNER = ("model.net.", "model.", "net.", "")
_FIRST = "input_layer.0.weight"


class Unit(nn.Module):
    """One unit: (N, C, H, W) to (N, width, H / stride, W / stride).

    Args:
        channels: Channels of the input, C.
        width: Channels of the output.
        stride: 1 or 2; where the channels stay, the shortcut is every second pixel of the raw input.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if channels == width
            else nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Residual branch plus shortcut."""
        return self.res_layer(x) + self.shortcut_layer(x)


class AdaFace(Backbone):
    """An IR network with the given number of units per stage.

    Args:
        architecture: ``ir18``, ``ir34``, ``ir50`` or ``ir101``.
        embedding_dim: Length of the embedding; 512 in all releases.
    """

    pixels = Pixels("BGR")

    def __init__(self, architecture: str = "ir50", embedding_dim: int = 512) -> None:
        super().__init__()
        self.architecture, self.embedding_dim = architecture, embedding_dim
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        units, channels = [], 64
        for count, width in zip(DEPTHS[architecture], WIDTHS, strict=True):
            units += [Unit(channels, width, 2), *(Unit(width, width, 1) for _ in range(count - 1))]
            channels = width
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(0.0),
            nn.Flatten(),
            nn.Linear(channels * 7 * 7, embedding_dim),
            nn.BatchNorm1d(embedding_dim, affine=False),
        )
        self.apply(_initialise)

    @property
    def dropout(self) -> nn.Module:
        """The dropout before the linear layer."""
        return self.output_layer[1]

    def stages(self) -> dict[str, list[nn.Module]]:
        """Stem, four stages of units, and the head from the last BN to the embedding."""
        stages: dict[str, list[nn.Module]] = {"stem": [self.input_layer]}
        units = iter(self.body)
        for number, count in enumerate(DEPTHS[self.architecture], start=1):
            stages[str(number)] = [next(units) for _ in range(count)]
        return {**stages, "head": [self.output_layer]}


def adaface_entries(state: StateDict) -> StateDict:
    """The entries of the network in a checkpoint of AdaFace or CVLFace, without the classifier and prefixes.

    Other state dicts come back as they are.
    """
    for prefix in _INNER:
        if prefix + _FIRST in state:
            return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def blank_adaface(state: StateDict) -> AdaFace | None:
    """The network, without weights, that the entries of a state dict tell; None when they are another's."""
    if _FIRST not in state or "output_layer.3.weight" not in state or not state["output_layer.3.weight"].ndim:
        return None
    units = len({key.split(".")[1] for key in state if key.startswith("body.")})
    for name, depths in DEPTHS.items():
        if sum(depths) == units:
            return AdaFace(name, state["output_layer.3.weight"].shape[0])
    return None


def _initialise(module: nn.Module) -> None:
    # on the device without memory torch would draw in Python, and import its compiler for it
    if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
