"""From planes and rays to a feature image: two sampling passes, tile by tile of rays.

Against the published renderer, with the same result up to rounding: planes are merged (:mod:`.triplanes`), the
coarse pass composites nothing, only depths and densities are sorted, and colours are summed unsorted with the
weights carried back to them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from frbias.synth.eg3d.config import RenderingConfig
from frbias.synth.eg3d.marching import interval_weights, mean_depth, sample_weights
from frbias.synth.eg3d.network import Decoder
from frbias.synth.eg3d.rays import coarse_depths, fine_depths
from frbias.synth.eg3d.triplanes import PlaneTable, mean_features

# Rays per step on the CPU. Fixed: matrix products may round differently for other sizes, and results must not
# depend on how much is done at once. 512 rays keep a step's data in the processor's caches.
CPU_TILE = 512
_CUDA_BYTES_PER_SAMPLE = 1024
_CUDA_SHARE = 0.25
_COLOUR_SCALE, _COLOUR_OFFSET = 1.002, -0.001


@dataclass(frozen=True)
class Jitter:
    """Random numbers of one rendering.

    Attributes:
        coarse: (N or 1, M, S) in [0, 1), or broadcastable.
        fine: (N or 1, M, K) in [0, 1), or broadcastable.
    """

    coarse: Tensor
    fine: Tensor

    def part(self, rays: slice) -> "Jitter":
        """The numbers of some rays."""
        return Jitter(_rows(self.coarse, rays), _rows(self.fine, rays))


@dataclass(frozen=True)
class Rendered:
    """A feature image, ray by ray.

    Attributes:
        features: (N, M, colours), in about -1..1.
        depth: (N, M, 1); of rays that meet nothing, the largest depth of their image.
        weight_sum: (N, M, 1), in 0..1.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor


@dataclass(frozen=True)
class Samples:
    """Samples along rays, in the order of depth for the last three.

    Attributes:
        coarse_depths, coarse_density, coarse_weights: First pass: (N, M, S), (N, M, S), (N, M, S - 1).
        fine_depths, fine_density: Second pass, (N, M, K); K is 0 without one.
        depths, densities: Both, sorted by depth, (N, M, S + K).
        weights: Of the intervals between them, (N, M, S + K - 1).
    """

    coarse_depths: Tensor
    coarse_density: Tensor
    coarse_weights: Tensor
    fine_depths: Tensor
    fine_density: Tensor
    depths: Tensor
    densities: Tensor
    weights: Tensor


def render(
    table: PlaneTable,
    decoder: Decoder,
    rays: tuple[Tensor, Tensor],
    jitter: Jitter,
    config: RenderingConfig,
    *,
    chunk: int | None = None,
) -> Rendered:
    """Render all rays.

    Args:
        table: Planes of N images.
        decoder: From features to densities and colours.
        rays: Origins and unit directions, (N, M, 3) each.
        jitter: Random numbers.
        config: How to render.
        chunk: Rays of each image per step on CUDA; default: what a quarter of the free memory holds. The CPU works in
            steps of :data:`CPU_TILE` rays whatever is asked for, so that results do not depend on it.
    """
    origins, directions = rays
    step = _step(table, config, chunk)
    parts = []
    for start in range(0, origins.shape[1], step):
        piece = slice(start, start + step)
        parts.append(
            render_tile(table, decoder, (origins[:, piece], directions[:, piece]), jitter.part(piece), config)[0]
        )
    depth = torch.cat([part.depth for part in parts], dim=1)
    return Rendered(
        torch.cat([part.features for part in parts], dim=1),
        # As published, but per image: there, rays that meet nothing take the largest depth of the whole batch.
        clamp_depth(depth, torch.cat([p.span for p in parts], dim=1)),
        torch.cat([part.weight_sum for part in parts], dim=1),
    )


@dataclass(frozen=True)
class _Tile:
    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    span: Tensor


def render_tile(
    table: PlaneTable, decoder: Decoder, rays: tuple[Tensor, Tensor], jitter: Jitter, config: RenderingConfig
) -> tuple[_Tile, Samples]:
    """Render some rays at once; also gives the samples, for inspection."""
    n, count, _ = rays[0].shape
    depths = coarse_depths(config.ray_start, config.ray_end, jitter.coarse).expand(n, count, -1)
    densities, colours = _shade(table, decoder, rays, depths, config)
    weights = coarse_weights = interval_weights(depths, densities)
    order = None
    near, near_density, fine, fine_density = depths, densities, depths[..., :0], densities[..., :0]
    if config.depth_resolution_importance:
        positions = jitter.fine.expand(n, count, -1)
        fine = fine_depths(depths.flatten(0, 1), weights.flatten(0, 1), positions.flatten(0, 1)).view(n, count, -1)
        fine_density, fine_colours = _shade(table, decoder, rays, fine, config)
        depths, order = torch.cat([near, fine], dim=-1).sort(dim=-1)
        densities = torch.cat([near_density, fine_density], dim=-1).gather(-1, order)
        weights = interval_weights(depths, densities)
    each = sample_weights(weights)
    if order is None:
        summed = _sum_colours(each, colours)
    else:
        unsorted = torch.empty_like(each).scatter_(-1, order, each)
        split = near.shape[-1]
        summed = _sum_colours(unsorted[..., :split], colours) + _sum_colours(unsorted[..., split:], fine_colours)
    total = weights.sum(dim=-1, keepdim=True)
    features = summed * _COLOUR_SCALE + total * _COLOUR_OFFSET
    if config.white_back:
        features = features + 1 - total
    span = torch.stack([depths[..., 0], depths[..., -1]], dim=-1)
    tile = _Tile(features * 2 - 1, mean_depth(depths, weights), total, span)
    return tile, Samples(near, near_density, coarse_weights, fine, fine_density, depths, densities, weights)


def clamp_depth(depth: Tensor, depths: Tensor) -> Tensor:
    """Limit depths (N, M, 1) to the smallest and largest of each image's sample depths (N, M, S)."""
    low, high = depths.amin(dim=(1, 2), keepdim=True), depths.amax(dim=(1, 2), keepdim=True)
    return torch.minimum(torch.maximum(depth, low), high)


def _shade(
    table: PlaneTable, decoder: Decoder, rays: tuple[Tensor, Tensor], depths: Tensor, config: RenderingConfig
) -> tuple[Tensor, Tensor]:
    """Raw densities (N, M, S) and colours before their scale (N, M, S, colours), at depths along rays."""
    n, count, samples = depths.shape
    points = rays[0].unsqueeze(2) + depths.unsqueeze(3) * rays[1].unsqueeze(2)
    features = mean_features(table, points.view(n, count * samples, 3), config.box_warp)
    raw: Tensor = decoder.net(features.view(-1, features.shape[-1])).view(n, count, samples, -1)
    return raw[..., 0], raw[..., 1:].sigmoid()


def _sum_colours(weights: Tensor, colours: Tensor) -> Tensor:
    """Weighted sum over samples: (N, M, S) and (N, M, S, C) -> (N, M, C)."""
    n, count, samples = weights.shape
    return torch.bmm(weights.reshape(-1, 1, samples), colours.view(-1, samples, colours.shape[-1])).view(n, count, -1)


def _step(table: PlaneTable, config: RenderingConfig, chunk: int | None) -> int:
    device = table.rows.device
    if device.type != "cuda":
        return CPU_TILE
    if chunk is not None:
        return max(1, chunk)
    free, _ = torch.cuda.mem_get_info(device)
    samples = table.images * (config.depth_resolution + config.depth_resolution_importance)
    return max(CPU_TILE, int(free * _CUDA_SHARE / (samples * _CUDA_BYTES_PER_SAMPLE)) // CPU_TILE * CPU_TILE)


def _rows(values: Tensor, rays: slice) -> Tensor:
    return values if values.shape[-2] == 1 else values[..., rays, :]
