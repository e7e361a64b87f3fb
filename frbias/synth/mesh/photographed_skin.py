"""A person's own skin, mixed from photographs of others region by region, mirrored and warped."""

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.skin_photographs import SkinPhotographs
from frbias.synth.mesh.streams import stream

FloatArray = npt.NDArray[np.float32]

# Years that the photographs of the three stages show; share of them that is seen, by years.
_YEARS = (27.0, 47.0, 70.0)
_GROWN = ((0, 8, 18, 45, 65), (0.2, 0.3, 1.0, 1.0, 1.5))
# How far a region prefers photographs of its own ancestry and sex (logits), and the spread of chance: of a whole
# photograph and of its regions.
_ANCESTRY, _SEX, _WHOLE, _REGIONAL = 1.0, 1.2, 0.8, 1.8
_CELLS = 7
# Spread of the warp in texels, and of the strengths of pigment and blood.
_WARP, _WARP_CELLS, _SPREAD = 5.0, 6, 0.25
# Share of what all photographs of a stage have in common, and of what is one's own; depth of dark lines and pores, and
# their width in texels.
_SHARED, _OWN, _RELIEF, _GROOVE = (0.5, 0.5, 0.8), 2.4, 1.5, 4.0


class PhotographedSkin:
    """What photographs add to the skin of one person's face, at any age."""

    def __init__(self, photographs: SkinPhotographs, person: Identity) -> None:
        self._photographs = photographs
        rng = stream(person.seed, person.draws[-1][0], "skin photographs")
        self._weights = _weights(rng, photographs, person)
        self._mirrored = rng.random(len(photographs.females)) < 0.5
        self._gain = np.exp(_SPREAD * rng.standard_normal(2)).astype(np.float32)
        self._map = _warp(rng, photographs.still)
        self._stages: dict[int, FloatArray] = {}

    def at(self, years: float) -> FloatArray:
        """What to add at an age within :data:`~frbias.synth.mesh.skin_photographs.FACE`.

        Returns:
            Melanin, blood (optical densities) and height, float32 (3, h, w).
        """
        place = float(np.interp(years, _YEARS, (0, 1, 2)))
        first = min(int(place), 1)
        share = np.float32(place - first)
        grown = np.float32(np.interp(years, *_GROWN))
        if share <= 0:
            return grown * self._stage(first)
        if share >= 1:
            return grown * self._stage(first + 1)
        return grown * ((1 - share) * self._stage(first) + share * self._stage(first + 1))

    def _stage(self, number: int) -> FloatArray:
        if number not in self._stages:
            photographs = self._photographs
            total = np.float32(_SHARED[number]) * photographs.shared[number]
            for weight, mirrored, own in zip(self._weights, self._mirrored, photographs.own[:, number], strict=True):
                total += weight * (own[..., ::-1] if mirrored else own)
            melanin, blood = (
                gain * cv2.remap(plane, *self._map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
                for gain, plane in zip(self._gain, total, strict=True)
            )
            groove = melanin - cv2.GaussianBlur(melanin, (0, 0), _GROOVE)
            self._stages[number] = np.stack([melanin, blood, np.float32(-_RELIEF) * groove])
        return self._stages[number]


def _weights(rng: np.random.Generator, photographs: SkinPhotographs, person: Identity) -> FloatArray:
    """Share of every photographed person at every texel, float32 (people, h, w); squares have the same sum everywhere."""
    count = len(photographs.females)
    kin = _ANCESTRY * np.log(0.08 + np.array(person.ancestry)[photographs.ancestries])
    kin = kin + _SEX * (photographs.females == person.female) + _WHOLE * rng.standard_normal(count)
    cells = kin[:, None, None] + _REGIONAL * rng.standard_normal((count, _CELLS, _CELLS))
    size = photographs.still.shape[::-1]
    field = np.stack([cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) for one in cells])
    share = np.exp(field - field.max(axis=0))
    return (np.float32(_OWN) * share / np.sqrt((share * share).sum(axis=0))).astype(np.float32)


def _warp(rng: np.random.Generator, still: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Column and row that every texel is taken from, float32 (h, w) each."""
    height, width = still.shape
    moved = _WARP * rng.standard_normal((2, _WARP_CELLS, _WARP_CELLS)).astype(np.float32)
    dx, dy = ((1 - still) * cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in moved)
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return (column + dx).astype(np.float32), (row + dy).astype(np.float32)
