"""The control mesh of a person: blend shapes, proportions and averages, forms of scanned heads and a free one, eyes kept whole."""

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.averages import average_form
from frbias.synth.mesh.head_data import HeadData
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.proportions import growth_field
from frbias.synth.mesh.scans import grown_part, scan_field, scanned_share
from frbias.synth.mesh.shape import kept_share, shape_weights
from frbias.synth.mesh.variation import variation_field

FloatArray = npt.NDArray[np.float32]

# Distances from an eyeball's centre, in radii, within which and beyond which the skin lies on it and is free.
_ON_BALL, _FREE = 1.15, 1.7


def control_mesh(head: HeadData, person: Identity, age: float, expression: Mapping[str, float]) -> FloatArray:
    """Control mesh of a face, decimetres, float32 (n, 3).

    Args:
        head: The head model.
        person: Whose face.
        age: Years, 0..80.
        expression: Facial action -> strength 0..1.
    """
    plain = head.control(shape_weights(person, age, expression))
    free, grown, child = _own_fields(person.seed, person.draws)
    as_grown, as_child = grown_part(age)
    scanned: FloatArray = grown * np.float32(as_grown) + child * np.float32(as_child)
    own = free * np.float32(kept_share(age)) + scanned * np.float32(scanned_share(age))
    return _settle_eyes(head, plain, plain + growth_field(float(age)) + average_form(float(age)) + own)


@lru_cache(maxsize=4)
def _own_fields(seed: int, draws: tuple[tuple[int, float], ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The free form, the scanned one, and what the scanned one of a child has beside it."""
    kinds = (variation_field, scan_field, partial(scan_field, what="growth"))
    free, grown, child = (
        np.sum([np.float32(factor) * kind(seed, number) for number, factor in draws], axis=0) for kind in kinds
    )
    return free, grown, child


def _settle_eyes(head: HeadData, before: FloatArray, after: FloatArray) -> FloatArray:
    """Move eyeballs as rigid bodies and keep the lids' distance from their centres."""
    for ball in (head.eye_left, head.eye_right):
        corner = before[ball]
        centre = (corner.max(axis=0) + corner.min(axis=0)) / 2
        radius = np.sqrt(((corner - centre) ** 2).sum(axis=1)).mean()
        front = ball[corner[:, 2] > centre[2] + 0.8 * radius]
        moved = centre + (after[front] - before[front]).mean(axis=0)
        was = np.sqrt(((before - centre) ** 2).sum(axis=1))
        near = np.flatnonzero(was < _FREE * radius)
        way = after[near] - moved
        now = np.sqrt((way * way).sum(axis=1))
        free = np.clip((was[near] / radius - _ON_BALL) / (_FREE - _ON_BALL), 0, 1)
        after[near] = moved + way * ((was[near] + free * (now - was[near])) / np.maximum(now, 1e-6))[:, None]
        after[ball] = corner + (moved - centre)
    return after
