"""Uneven skin that belongs to a person: broad fields of pigment and blood, and shades of the face's regions."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.fourier import features
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.texture_space import TEXTURE_SIZE

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

_GRID = 96
_WAVES = 12
# Reach (decimetres) and strength of the parts of each field, and the field's spread in melanin and in blood.
_REACHES = ((0.50, 1.0), (0.24, 1.0), (0.12, 0.8))
_PIGMENT, _BLOOD = 0.065, 0.055
# Region: |x|, y, half widths in x and y (template coordinates, decimetres), spread of melanin and of blood.
_REGIONS = np.array(
    [
        (0.29, 7.43, 0.16, 0.055, 0.20, 0.06),  # upper lid and socket
        (0.17, 7.36, 0.05, 0.090, 0.18, 0.05),  # inner corner of the eye
        (0.28, 7.20, 0.15, 0.060, 0.16, 0.08),  # under the eye
        (0.15, 6.97, 0.07, 0.070, 0.12, 0.16),  # wing of the nose
        (0.00, 7.25, 0.07, 0.200, 0.10, 0.08),  # bridge of the nose
        (0.27, 6.80, 0.07, 0.150, 0.14, 0.06),  # beside the mouth
        (0.00, 6.84, 0.13, 0.050, 0.12, 0.06),  # upper lip
        (0.00, 6.45, 0.18, 0.110, 0.12, 0.10),  # chin
        (0.42, 7.02, 0.17, 0.150, 0.08, 0.18),  # cheek
        (0.00, 7.75, 0.40, 0.170, 0.12, 0.07),  # forehead
        (0.56, 7.45, 0.12, 0.220, 0.10, 0.05),  # temple
    ]
)


def complexion(person: Identity) -> tuple[FloatArray, FloatArray]:
    """Optical densities of melanin and blood to add to a person's skin, float32 (s, s) each, mean about 0."""
    drawn = [(factor, _draw(person.seed, number)) for number, factor in person.draws]
    melanin, blood = (np.sum([np.float32(factor) * one[i] for factor, one in drawn], axis=0) for i in range(2))
    return melanin, blood


def _draw(seed: int, number: int) -> tuple[FloatArray, FloatArray]:
    rng = stream(seed, number, "complexion")
    place, regions = _places()
    shared = _field(rng, place)
    found = []
    for spread, column in ((_PIGMENT, 4), (_BLOOD, 5)):
        field = spread * (0.7 * shared + 0.7 * _field(rng, place))
        amount = np.clip(0.75 * rng.normal(size=len(_REGIONS)), -1.4, 1.4) * _REGIONS[:, column]
        field = field + (regions * amount).sum(axis=2)
        found.append(cv2.resize(field.astype(np.float32), (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_CUBIC))
    return found[0], found[1]


def _field(rng: np.random.Generator, place: Array) -> Array:
    """A random field of spread about 1.6 over the cells, mostly mirrored; random Fourier features, see ``variation``."""
    own_place = np.ascontiguousarray(np.moveaxis(place, 2, 0))
    sides = (own_place, own_place * np.array([-1.0, 1.0, 1.0])[:, None, None])
    total = np.zeros(place.shape[:2])
    for reach, strength in _REACHES:
        wave = rng.normal(0, 1 / reach, (_WAVES, 3))
        phase = rng.uniform(0, 2 * np.pi, _WAVES)
        gain = strength * rng.normal(0, np.sqrt(2 / _WAVES), (2, _WAVES))
        own, other = (np.stack([*features(side, wave, phase)], axis=-1) for side in sides)
        total += (0.65 * gain[0] * (own + other) + 0.35 * gain[1] * own).sum(axis=2)
    return total


@lru_cache(maxsize=1)
def _places() -> tuple[Array, Array]:
    """Template position of every cell (g, g, 3) and its share of every region (g, g, r)."""
    step = TEXTURE_SIZE // _GRID
    chosen = np.round((np.arange(_GRID) + 0.5) * TEXTURE_SIZE / _GRID - 0.5).astype(int)
    blurred = cv2.blur(load_head().texel_position, (step, step))
    place = blurred[chosen][:, chosen].astype(np.float64)
    across = (np.abs(place[..., None, 0]) - _REGIONS[:, 0]) / _REGIONS[:, 2]
    along = (place[..., None, 1] - _REGIONS[:, 1]) / _REGIONS[:, 3]
    front = np.clip((place[..., None, 2] - 0.3) / 0.4, 0, 1)
    return place, np.exp(-(across**2) - along**2) * front
