"""Rays through pixels, and the depths at which they are sampled (NeRF's coarse and fine samples)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def make_rays(cam2world: Tensor, pinhole: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    """Rays through the centres of all pixels.

    Args:
        cam2world: (N, 4, 4).
        pinhole: (N, 3, 3), in units of the image size, with skew.
        resolution: Height and width of the image.

    Returns:
        Origins and unit directions, (N, resolution^2, 3) each; row by row.
    """
    centres = (torch.arange(resolution, dtype=torch.float32, device=cam2world.device) + 0.5) / resolution
    v, u = torch.meshgrid(centres, centres, indexing="ij")
    u, v = u.flatten()[None], v.flatten()[None]
    fx, skew, cx = (pinhole[:, 0, i, None] for i in range(3))
    fy, cy = (pinhole[:, 1, i, None] for i in (1, 2))
    x = (u - cx + cy * skew / fy - skew * v / fy) / fx
    y = (v - cy) / fy
    local = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    directions = F.normalize(local @ cam2world[:, :3, :3].transpose(1, 2), dim=-1)
    origins = cam2world[:, None, :3, 3].expand_as(directions)
    return origins, directions


def coarse_depths(start: float, end: float, jitter: Tensor) -> Tensor:
    """Evenly spaced depths, each moved on by part of a step.

    Args:
        start: First depth.
        end: Last depth before jitter; jitter only adds, so that samples may lie one step beyond it.
        jitter: (..., S) in [0, 1); 0.5 everywhere for depths without randomness.

    Returns:
        (..., S).
    """
    count = jitter.shape[-1]
    even = torch.linspace(start, end, count, device=jitter.device)
    return even + jitter * ((end - start) / (count - 1))


def fine_depths(depths: Tensor, weights: Tensor, positions: Tensor) -> Tensor:
    """Depths drawn where the coarse samples found something (inverse transform sampling).

    Args:
        depths: Sorted coarse depths (M, S), S >= 4.
        weights: Their marching weights (M, S - 1).
        positions: Quantiles (M, K) in [0, 1).

    Returns:
        (M, K), in the order of ``positions``.
    """
    padded = F.pad(weights, (1, 1), value=-torch.inf)
    peaks = torch.maximum(padded[:, :-1], padded[:, 1:])
    smooth = (peaks[:, :-1] + peaks[:, 1:]) / 2 + 0.01
    edges = (depths[:, :-1] + depths[:, 1:]) / 2
    # Quirk: S - 3 inner weights make a cumulative distribution of S - 2 entries, which are paired with edges from
    # the first on; the weights are thus those of the bins' right neighbours, and the last edge is never reached.
    # Published checkpoints were trained with this.
    masses = smooth[:, 1:-1] + 1e-5
    cumulative = F.pad(torch.cumsum(masses / masses.sum(dim=-1, keepdim=True), dim=-1), (1, 0))
    above = torch.searchsorted(cumulative, positions.contiguous(), right=True)
    low = (above - 1).clamp(min=0)
    high = above.clamp(max=cumulative.shape[-1] - 1)
    mass_low, mass_high = cumulative.gather(-1, low), cumulative.gather(-1, high)
    edge_low, edge_high = edges.gather(-1, low), edges.gather(-1, high)
    width = mass_high - mass_low
    width = torch.where(width < 1e-5, torch.ones_like(width), width)
    return edge_low + (positions - mass_low) / width * (edge_high - edge_low)


def even_positions(count: int, device: torch.device | str = "cpu") -> Tensor:
    """Quantiles (i + 0.5) / count for fine depths without randomness."""
    return (torch.arange(count, dtype=torch.float32, device=device) + 0.5) / count
