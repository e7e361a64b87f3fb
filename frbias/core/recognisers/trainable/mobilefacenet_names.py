"""MobileFaceNets under the names of their other well-known implementation (``conv1``, ``conv_23``, ``conv_6_dw`` ...)."""

import torch

from frbias.core.recognisers.trainable.base import StateDict

_PLACES = {
    "conv1": "layers.0",
    "conv2_dw": "layers.1",
    "conv_23": "layers.2",
    "conv_3": "layers.3",
    "conv_34": "layers.4",
    "conv_4": "layers.5",
    "conv_45": "layers.6",
    "conv_5": "layers.7",
    "conv_6_sep": "conv_sep",
    "conv_6_dw": "features.layers.0",
    "linear": "features.layers.2",
    "bn": "features.layers.3",
}
_INSIDE = {
    "conv": "layers.0", "conv_dw": "layers.1", "project": "layers.2",
    "bn": "layers.1", "prelu": "layers.2", "model": "layers",
}  # fmt: skip


def mobilefacenet_entries(state: StateDict) -> StateDict:
    """The entries under the names that :class:`MobileFaceNet` has; other state dicts come back as they are.

    A closing BatchNorm without scale and shift gets those that change nothing.
    """
    if "conv_6_sep.conv.weight" not in state or "conv_23.project.conv.weight" not in state:
        return state
    renamed: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        place, *rest = key.removeprefix("output_layer.").split(".")
        name = ".".join([_PLACES.get(place, place), *(_INSIDE.get(part, part) for part in rest)])
        renamed[name] = value
    if "features.layers.3.running_mean" in renamed:
        mean = renamed["features.layers.3.running_mean"]
        renamed.setdefault("features.layers.3.weight", torch.ones_like(mean))
        renamed.setdefault("features.layers.3.bias", torch.zeros_like(mean))
    return renamed
