"""Everything random about a person, from one seed: latent, layer noise, depth jitter.

Numbers are drawn on the CPU, so that they are the same on every device.
"""

import hashlib
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from frbias.synth.eg3d.config import RenderingConfig
from frbias.synth.eg3d.rays import even_positions
from frbias.synth.eg3d.renderer import Jitter

NoiseMode = Literal["const", "none", "random"]
JitterMode = Literal["random", "even"]


def latent(seed: int, size: int) -> Tensor:
    """Latent (size,) of a seed, as EG3D's own scripts draw it; float32. Seeds are 0 to 2^32 - 1."""
    return torch.from_numpy(np.random.RandomState(seed).randn(1, size)[0]).float()


def layer_noise(seed: int) -> Callable[[int], Tensor]:
    """A function that gives each layer its noise (1, 1, resolution, resolution); to be called layer by layer."""
    generator = _generator(seed, "layer noise")
    return lambda resolution: torch.randn(1, 1, resolution, resolution, generator=generator)


def depth_jitter(seed: int, rays: int, config: RenderingConfig, mode: JitterMode) -> Jitter:
    """Jitter of a person's rays, the same for all ages and poses; ``even`` needs no random numbers."""
    coarse, fine = config.depth_resolution, config.depth_resolution_importance
    if mode == "even":
        return Jitter(torch.full((1, 1, coarse), 0.5), even_positions(fine).view(1, 1, -1))
    generator = _generator(seed, "depth jitter")
    return Jitter(torch.rand(1, rays, coarse, generator=generator), torch.rand(1, rays, fine, generator=generator))


def to_bytes(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in -1..1 to bytes (N, H, W, 3): x * 127.5 + 128, clamped, cut off, not rounded."""
    return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _generator(seed: int, purpose: str) -> torch.Generator:
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
