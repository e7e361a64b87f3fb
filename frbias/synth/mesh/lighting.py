"""Procedural light: a sky, one to three soft boxes as spherical harmonics, and one key light with a shadow."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.occlusion import directions

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """Light on the head, in the viewer's frame (x right, y up, z to the viewer).

    Attributes:
        irradiance: Spherical harmonics (9, 3) of irradiance over pi, for a normal.
        radiance: Spherical harmonics (9, 3) of incoming radiance, for a mirrored direction.
        key: Unit direction to the key light (3,).
        key_colour: Its strength (3,).
        softness: Radius of the penumbra, in texels of the shadow map.
    """

    irradiance: Array
    radiance: Array
    key: Array
    key_colour: Array
    softness: float


@dataclass(frozen=True)
class _Kind:
    """A situation: its share, the sky and soft boxes, and the key light's direction, strength and penumbra."""

    share: float
    sky: float
    boxes: float
    around: tuple[float, float]
    up: tuple[float, float]
    strength: tuple[float, float]
    softness: tuple[float, float]


_KINDS = (
    _Kind(0.40, 0.42, 1.0, (0.0, 1.15), (0.1, 1.0), (0.35, 1.7), (1.0, 5.0)),  # a lit room
    _Kind(0.22, 0.24, 0.5, (0.7, 1.45), (0.0, 0.6), (1.2, 2.6), (3.0, 7.0)),  # a window
    _Kind(0.20, 0.20, 0.5, (0.0, 0.16), (0.02, 0.25), (1.3, 2.4), (0.6, 1.4)),  # a flash beside the lens
    _Kind(0.18, 0.40, 0.4, (0.0, 1.3), (0.5, 1.2), (1.4, 3.0), (0.6, 1.5)),  # the sun
)


def harmonics(direction: Array) -> Array:
    """The nine real spherical harmonics of order 0..2 of unit vectors (n, 3), float64 (n, 9)."""
    x, y, z = direction[:, 0], direction[:, 1], direction[:, 2]
    first = [np.full_like(x, 0.282095), 0.488603 * y, 0.488603 * z, 0.488603 * x]
    second = [1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1)]
    return np.stack([*first, *second, 1.092548 * x * z, 0.546274 * (x * x - y * y)], axis=1)


@lru_cache(maxsize=1)
def _lattice() -> tuple[Array, Array]:
    spread = directions(600)
    return spread, harmonics(spread)


def sample_light(rng: np.random.Generator) -> Light:
    """Draw a light: irradiance by the cosine-lobe factors of Ramamoorthi and Hanrahan (2001)."""
    spread, basis = _lattice()
    height = np.clip(spread[:, 1:2] * 0.5 + 0.5, 0, 1)
    kind = _KINDS[int(rng.choice(len(_KINDS), p=[kind.share for kind in _KINDS]))]
    sky = kind.sky * _warm(rng.uniform(-0.5, 0.3))
    ground = 0.52 * kind.sky * _warm(rng.uniform(-0.2, 0.5))
    incoming = sky * height + ground * (1 - height)
    for _ in range(int(rng.integers(1, 4))):
        centre = _direction(rng.uniform(-2.2, 2.2), rng.uniform(-0.1, 1.0))
        lobe = np.exp(((spread * centre).sum(axis=1) - 1) * rng.uniform(3, 12))[:, None]
        incoming = incoming + kind.boxes * rng.uniform(0.3, 1.3) * _warm(rng.uniform(-0.4, 0.5)) * lobe
    radiance = 4 * np.pi * (basis[:, :, None] * incoming[:, None, :]).mean(axis=0)
    cosine = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])
    side = 1 if rng.random() < 0.5 else -1
    key = _direction(side * rng.uniform(*kind.around), rng.uniform(*kind.up))
    return Light(
        irradiance=radiance * cosine[:, None],
        radiance=radiance,
        key=key,
        key_colour=rng.uniform(*kind.strength) * _warm(rng.uniform(-0.25, 0.45)),
        softness=float(rng.uniform(*kind.softness)),
    )


def _warm(amount: float) -> Array:
    return np.array([1 + 0.20 * amount, 1.0, 1 - 0.26 * amount])


def _direction(around: float, up: float) -> Array:
    return np.array([np.sin(around) * np.cos(up), np.sin(up), np.cos(around) * np.cos(up)])
