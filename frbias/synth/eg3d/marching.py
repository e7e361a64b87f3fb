"""Volume rendering along sorted samples, by the midpoint rule of EG3D's marcher (after mip-NeRF)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def interval_weights(depths: Tensor, densities: Tensor) -> Tensor:
    """What each interval between neighbouring samples adds to a ray.

    Args:
        depths: Sorted depths (..., S).
        densities: Raw densities (..., S).

    Returns:
        (..., S - 1), each in [0, 1], summing to at most 1.
    """
    density = F.softplus((densities[..., :-1] + densities[..., 1:]) / 2 - 1)
    passed = torch.exp(-density * (depths[..., 1:] - depths[..., :-1]))
    # 1 - alpha + 1e-10, as published; in float32 the last summand matters only where nothing passes.
    light = torch.cumprod(passed + 1e-10, dim=-1)
    light = torch.cat([torch.ones_like(light[..., :1]), light[..., :-1]], dim=-1)
    return (1 - passed) * light


def sample_weights(weights: Tensor) -> Tensor:
    """Weights of samples from those of intervals (..., S - 1): half of each neighbour; (..., S).

    Averaging values between samples and weighting intervals is the same as weighting samples by this.
    """
    return (F.pad(weights, (1, 0)) + F.pad(weights, (0, 1))) / 2


def mean_depth(depths: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean depth (..., 1) of a ray; +inf where it meets nothing.

    Args:
        depths: Sorted depths (..., S).
        weights: Of intervals (..., S - 1).
    """
    total = weights.sum(dim=-1, keepdim=True)
    middle = (depths[..., :-1] + depths[..., 1:]) / 2
    return torch.nan_to_num((weights * middle).sum(dim=-1, keepdim=True) / total, nan=torch.inf)
