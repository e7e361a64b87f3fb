"""Small constant tensors, kept: each copy to a device makes the host wait."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@cache
def constant(values: tuple[float, ...], dtype: "torch.dtype", device: "torch.device") -> "torch.Tensor":
    """A vector of these numbers on a device; not to be written to."""
    import torch

    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
