"""Looking points up in three feature planes: bilinear, zero outside, summed over the planes.

Quirk: planes 0, 1 and 2 are looked up at (x, y), (x, z) and (z, x); the second pair was meant to be (y, z).
All published checkpoints were trained with this, and so is the age-conditioned one. It makes planes 1 and 2 see
the same two coordinates, so that plane 2, transposed, can be added to plane 1 beforehand: two lookups, not three.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Coordinates (of x, y, z) along the width and the height of each plane, and of the two that are left of them.
PLANE_AXES = ((0, 1), (0, 2), (2, 0))
_MERGED_AXES = PLANE_AXES[:2]


@dataclass(frozen=True)
class PlaneTable:
    """Planes made ready for lookups.

    Attributes:
        rows: (N * 2 * R * R, C): features by image, merged plane and pixel, divided by three.
        resolution: R.
        images: N.
    """

    rows: Tensor
    resolution: int
    images: int

    def image(self, index: int) -> "PlaneTable":
        """The planes of one image."""
        count = 2 * self.resolution**2
        return PlaneTable(self.rows[index * count : (index + 1) * count], self.resolution, 1)


def merge_planes(planes: Tensor) -> PlaneTable:
    """Planes (N, 3, C, R, R) as a table for :func:`mean_features`."""
    n, _, channels, resolution, _ = planes.shape
    first, second = planes[:, 0] / 3, (planes[:, 1] + planes[:, 2].transpose(-1, -2)) / 3
    rows = torch.stack([first, second], dim=1).permute(0, 1, 3, 4, 2).reshape(-1, channels)
    return PlaneTable(rows.contiguous(), resolution, n)


def mean_features(table: PlaneTable, points: Tensor, box_warp: float) -> Tensor:
    """Features of points, averaged over the three planes.

    Args:
        table: Planes of N images.
        points: (N, M, 3) in world units.
        box_warp: Side of the cube that the planes cover.

    Returns:
        (N, M, C).
    """
    n, count, _ = points.shape
    indices, weights = _corners(points, table.resolution, _MERGED_AXES, box_warp)
    if n > 1:
        indices = indices + torch.arange(n, device=points.device, dtype=torch.int32).view(n, 1, 1) * (
            2 * table.resolution**2
        )
    found = F.embedding_bag(
        indices.view(n * count, -1), table.rows, mode="sum", per_sample_weights=weights.view(n * count, -1)
    )
    return found.view(n, count, -1)


def plane_features(planes: Tensor, points: Tensor, box_warp: float) -> Tensor:
    """Features of points in each plane by itself, (N, 3, M, C); the plain definition, for comparison."""
    n, _, channels, resolution, _ = planes.shape
    found = []
    for number, axes in enumerate(PLANE_AXES):
        rows = planes[:, number].permute(0, 2, 3, 1).reshape(n, -1, channels)
        indices, weights = _corners(points, resolution, (axes,), box_warp)
        found.append(torch.stack([(rows[i][indices[i].long()] * weights[i][..., None]).sum(dim=1) for i in range(n)]))
    return torch.stack(found, dim=1)


def _corners(
    points: Tensor, resolution: int, axes: tuple[tuple[int, int], ...], box_warp: float
) -> tuple[Tensor, Tensor]:
    """Rows (..., 4 * planes; int32) and weights of the pixels about each point; weight 0 outside."""
    # [-box/2, box/2] spans the plane's outer pixel edges (align_corners=False).
    position = points * (resolution / box_warp) + (resolution - 1) / 2
    low = position.floor()
    part = position - low
    cell = low.clamp(-2, resolution).to(torch.int32)
    weights = [
        (1 - part) * ((cell >= 0) & (cell < resolution)),
        part * ((cell >= -1) & (cell < resolution - 1)),
    ]
    cells = [cell.clamp(0, resolution - 1), (cell + 1).clamp(0, resolution - 1)]
    rows, factors = [], []
    for number, (across, down) in enumerate(axes):
        for j in (0, 1):
            for i in (0, 1):
                rows.append(cells[j][..., down] * resolution + cells[i][..., across] + number * resolution**2)
                factors.append(weights[j][..., down] * weights[i][..., across])
    return torch.stack(rows, dim=-1), torch.stack(factors, dim=-1)
