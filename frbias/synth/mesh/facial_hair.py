"""Brows, lashes and beard: short strands anchored on the face, which follow the expression."""

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import BROW, SKIN, HeadData
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.scalp import Scalp, grey_share
from frbias.synth.mesh.strands import Strands, strands
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.surface import Anchors, anchor

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
_BROW_HAIRS = 330
_BEARD_HAIRS = 2600


class FacialHair:
    """Brows, lashes and beard of one person; where each hair grows is fixed by identity."""

    def __init__(self, head: HeadData, person: Identity) -> None:
        self._head, self._person = head, person
        self._brows = _Brows(head, person)
        self._beard = _Beard(head, person) if person.hair.beard != "none" else None

    def grow(
        self, age: float, control: FloatArray, drawn: FloatArray, normal: FloatArray, scale: float
    ) -> list[Strands]:
        """Strands on a face (control mesh, drawn vertices, normals)."""
        parts = [self._brows.grow(age, drawn, normal, scale), self._lashes(control, scale * _lash_size(age))]
        if self._beard is not None and age > 20:
            parts.append(self._beard.grow(age, drawn, normal, scale))
        return parts

    def _lashes(self, control: FloatArray, scale: float) -> Strands:
        first, second, tip_first, tip_second = (control[self._head.lashes[:, i]] for i in range(4))
        paths = []
        for t in (0.1, 0.37, 0.63, 0.9):
            root, tip = first * (1 - t) + second * t, tip_first * (1 - t) + tip_second * t
            long = 1.0 if self._person.female else 0.75
            paths.append(np.stack([root, root + 0.5 * long * (tip - root), root + long * (tip - root)], axis=1))
        path = np.concatenate(paths)
        width = (0.0055 if self._person.female else 0.0038) * scale
        return strands(path, width, np.tile(np.array([[0.014, 0.011, 0.009]]), (len(path), 1)), BROW)


class _Brows:
    def __init__(self, head: HeadData, person: Identity) -> None:
        rng, scalp = stream(person.seed, person.subject, "brows"), Scalp(person)
        count = int(_BROW_HAIRS * min(person.hair.brow_density, 1.2))
        start, length = scalp.brow_span
        along = rng.random((2, count)) ** 0.9
        side = np.array([[1.0], [-1.0]])
        x = side * (start + along * length)
        y = scalp.brow_middle(along) + rng.uniform(-0.5, 0.5, along.shape) * scalp.brow_width(along)
        self._anchors: Anchors = anchor(head, np.stack([x, y], axis=-1).reshape(-1, 2))
        lean = np.interp(along, [0, 0.25, 1], [0.95, 0.38, -0.32]) + rng.normal(0, 0.16, along.shape)
        way = np.stack([side * np.cos(lean), np.sin(lean), np.zeros_like(lean)], axis=-1)
        self._way = way.reshape(-1, 3)
        self._length = (0.045 + 0.03 * rng.random(along.shape)).ravel()
        self._tone = np.exp(rng.normal(0, 0.2, (2 * count, 1)))
        self._first_grey = rng.random((2 * count, 1))
        self._chance = rng.random(2 * count)
        self._person = person

    def grow(self, age: float, drawn: FloatArray, normal: FloatArray, scale: float) -> Strands:
        root, outward = self._anchors.on(drawn), _unit(self._anchors.on(normal))
        way = self._way - (self._way * outward).sum(axis=1, keepdims=True) * outward
        way = _unit(way) * (self._length * scale)[:, None]
        middle = root + 0.5 * way + 0.010 * scale * outward
        paths = np.stack([root + 0.003 * scale * outward, middle, root + way + 0.006 * scale * outward], axis=1)
        there = self._chance < np.interp(age, [0, 2, 6, 16, 60, 85], [0.25, 0.4, 0.65, 1.0, 1.0, 0.75])
        pale = float(np.interp(age, [0, 2, 6, 12, 18], [4.0, 3.2, 2.2, 1.2, 0.0]))
        own = (np.array(self._person.hair.colour) + pale * np.array([0.05, 0.035, 0.022]) + 0.014) * self._tone
        grey = 0.75 * grey_share(self._person, age)
        mixed = np.clip(grey + 0.3 * (self._first_grey - 0.5) * (grey > 0.05), 0, 1)
        tint = own * (1 - mixed) + np.array([0.34, 0.33, 0.32]) * mixed
        width = 0.0066 * float(np.interp(age, [2, 10, 18], [0.55, 0.7, 1.0]))
        return strands(paths[there], width * scale, np.clip(tint[there], 0.004, 0.8), BROW)


class _Beard:
    def __init__(self, head: HeadData, person: Identity) -> None:
        rng = stream(person.seed, person.subject, "beard")
        full = person.hair.beard == "full"
        triangles = head.triangles[head.material == SKIN]
        corner = head.template[triangles].astype(np.float64)
        centre = corner.mean(axis=1)
        area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
        area *= _beard_density(centre, full=full)
        count = _BEARD_HAIRS if full else _BEARD_HAIRS // 5
        chosen = np.searchsorted(np.cumsum(area), rng.random(count) * area.sum())
        pair = rng.random((count, 2))
        pair = np.where(pair.sum(axis=1, keepdims=True) > 1, 1 - pair, pair)
        weights = np.column_stack([1 - pair.sum(axis=1), pair]).astype(np.float32)
        self._anchors = Anchors(triangles[chosen], weights)
        self._way = rng.normal(0, 0.25, (count, 3)) + np.array([0.0, -1.0, 0.0])
        self._length = rng.uniform(0.05, 0.16) * np.exp(rng.normal(0, 0.25, count))
        self._tone = np.exp(rng.normal(0, 0.2, (count, 1)))
        self._first_grey = rng.random((count, 1))
        self._person = person

    def grow(self, age: float, drawn: FloatArray, normal: FloatArray, scale: float) -> Strands:
        root, outward = self._anchors.on(drawn), _unit(self._anchors.on(normal))
        grown = float(np.interp(age, [20, 28], [0.3, 1.0]))
        way = _unit(self._way + 0.5 * outward) * (self._length * scale * grown)[:, None]
        sunk = root - 0.004 * scale * outward
        paths = np.stack([sunk, root + 0.5 * way, root + way + np.array([0, -0.02 * scale, 0])], axis=1)
        grey = min(1.0, 1.25 * grey_share(self._person, age))
        own = np.array(self._person.hair.colour) * self._tone
        tint = np.where(self._first_grey < grey, np.array([0.46, 0.455, 0.445]), own)
        return strands(paths, 0.016 * scale, np.clip(tint, 0.004, 0.8), BROW)


def _lash_size(age: float) -> float:
    return float(np.interp(age, [0, 10, 16], [0.5, 0.7, 1.0]))


def _beard_density(place: Array, *, full: bool) -> Array:
    wide, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    moustache = np.exp(-((wide / 0.24) ** 4) - ((y - 6.845) / 0.04) ** 2) * (z > 1.1)
    if not full:
        return moustache
    upper = 6.80 + 0.45 * np.clip((wide - 0.30) / 0.35, 0, 1)
    jaw = (y > 6.08) & (y < upper) & (z > 0.5) & (z > 0.5 + 0.25 * (6.5 - y))
    lips = (wide < 0.25 - 0.6 * np.abs(y - 6.68)) & (np.abs(y - 6.68) < 0.11)
    return np.where(lips, 0.0, np.maximum(jaw * 1.0, moustache))


def _unit(values: npt.NDArray[np.floating]) -> Array:
    wide = values.astype(np.float64)
    return wide / (np.linalg.norm(wide, axis=-1, keepdims=True) + 1e-9)
