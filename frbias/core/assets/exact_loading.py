"""State dicts into networks: every key, no other, and the right shapes."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frbias.core.foundation.errors import BadInputError


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict of exactly the module's keys and shapes.

    Raises:
        BadInputError: Names the first key that is missing, left over or of another shape.
    """
    own = module.state_dict()
    missing, surplus = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or surplus:
        first = f"{missing[0]} is missing" if missing else f"{surplus[0]} is not known"
        raise BadInputError(
            f"This is not a {what} as released: {len(missing)} keys missing, {len(surplus)} left over ({first})."
        )
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
            raise BadInputError(f"This is not a {what} as released: {name} has shape {shapes}.")
    with torch.no_grad():
        module.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
