"""The blur bank of the skip connection, and separable filtering."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BANK_SIZE = 1024


def blur_index(strength: float, size: int = BANK_SIZE) -> int:
    """Entry of the bank for a strength from 0 (none) to 1 (strongest): truncated, as the original does."""
    return int(strength * (size - 1))


def bank_width(resolution: int, skip_level: int) -> tuple[int, float]:
    """Taps and largest standard deviation (pixels of the skip) of the bank of a network.

    The released networks take image size / (level + 1)^2, which is the skip's size for level 1 alone.
    """
    image = resolution / (skip_level + 1) ** 2
    return 2 * math.floor((image / 3) // 2) + 1, image / 25


def make_bank(resolution: int, skip_level: int, size: int = BANK_SIZE) -> Tensor:
    """The bank as the original builds it: (size, k, k) float32, entry 0 a delta, each entry of sum 1."""
    taps, top = bank_width(resolution, skip_level)
    distance = torch.arange(taps, dtype=torch.float64) - taps // 2
    sigma = torch.linspace(1e-20, top, size, dtype=torch.float64)[:, None]
    lines = torch.exp(-(distance**2) / (2 * sigma**2))
    lines = lines / lines.sum(dim=1, keepdim=True)
    return (lines[:, :, None] * lines[:, None, :]).float()


def bank_line(bank: Tensor, strength: float) -> Tensor:
    """The one-dimensional kernel, shape (k,), whose outer product is the bank's entry for ``strength``."""
    return bank[blur_index(strength, len(bank))].sum(dim=0)


def filter_separable(x: Tensor, line: Tensor) -> Tensor:
    """Filter every channel of (N, C, H, W) with a line (odd k,) both ways, zeros outside, same size."""
    channels, half = x.shape[1], line.numel() // 2
    line = line.to(x)
    x = F.conv2d(x, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(half, 0), groups=channels)
    return F.conv2d(x, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, half), groups=channels)
