"""What people wear on request besides clothes and glasses: knitted caps, scarves and high collars, earrings.

All of it is drawn with what is there: a cap is a raised and painted part of the head under which no hair grows, a scarf
or a collar is the garment with a higher neckline, an earring is a strand.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.glasses import rim
from frbias.synth.mesh.head_data import SKIN, HeadData, load_head
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.smooth import smooth_step
from frbias.synth.mesh.strands import Strands
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.texture_space import azimuth
from frbias.synth.mesh.view import View

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

# Shares among people who wear something: of caps and of scarves and collars, by picture.
_CAPS, _COLLARS = 0.45, 0.55
# Share of women and girls, and of men and boys, with earrings.
_EARRINGS = {True: 0.65, False: 0.10}
_THICK, _EDGE = 0.055, 0.035
_METALS = ((0.42, 0.32, 0.13), (0.45, 0.45, 0.46))


@dataclass(frozen=True)
class Cap:
    """A cap: colour, height of its edge over the usual one (decimetres), and stripes up the head (0: none)."""

    colour: tuple[float, float, float]
    edge: float
    ribs: float

    def cover(self, place: npt.NDArray[np.floating]) -> Array:
        """Share of the head that the cap hides, 0..1, at template positions (..., 3)."""
        over = place[..., 1] - (7.60 + self.edge + 0.17 * place[..., 2])
        return np.asarray(smooth_step(over, 0.0, _EDGE), np.float64)


@dataclass(frozen=True)
class Worn:
    """What somebody wears in a picture.

    Attributes:
        cap: The cap, or None.
        collar: Height of a scarf's or collar's edge on the neck, template decimetres, or None.
        earring: Radius in decimetres, or None. metal: Its colour.
    """

    cap: Cap | None
    collar: float | None
    earring: float | None
    metal: tuple[float, float, float]


NOTHING = Worn(None, None, None, _METALS[0])


def worn_in(person: Identity, age: float, variant: int, rate: float) -> Worn:
    """What somebody wears in a picture; a pure function of its arguments.

    Args:
        person: Who.
        age: Years.
        variant: Number of the picture.
        rate: Share of pictures with a cap, and of those with a scarf or collar, up to a factor of about one half each;
            share of pictures of those who have earrings that show them.
    """
    if rate <= 0:
        return NOTHING
    own = stream(person.seed, person.subject, "earrings")
    pierced = own.random() < _EARRINGS[person.female] and age >= own.uniform(3, 20)
    radius, metal = float(own.uniform(0.025, 0.085)), _METALS[int(own.integers(len(_METALS)))]
    rng = stream(person.seed, person.subject, "accessories", float(age), variant)
    chances, grey = rng.random(3), rng.uniform(0.02, 0.5)
    red, green, blue = np.clip(grey * (1 + rng.normal(0, 0.45, 3)), 0.012, 0.7)
    cap = Cap((float(red), float(green), float(blue)), float(rng.uniform(-0.06, 0.10)), float(rng.choice([0, 44])))
    collar = float(rng.uniform(6.04, 6.32))
    return Worn(
        cap if chances[0] < rate * _CAPS else None,
        collar if chances[1] < rate * _COLLARS else None,
        radius if pierced and chances[2] < rate else None,
        metal,
    )


def collared(view: View, worn: Worn) -> View:
    """The view with the garment's neckline at the collar, without a V."""
    if worn.collar is None:
        return view
    garment = view.garment.copy()
    garment[3], garment[4] = worn.collar, 0.0
    return replace(view, garment=garment)


def raised(cap: Cap, head: HeadData, drawn: FloatArray, normal: FloatArray, scale: float) -> FloatArray:
    """Drawn vertices with the cap's thickness under it, float32 (v, 3)."""
    length = np.sqrt((normal.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    lift = _THICK * scale * cap.cover(head.template)[:, None]
    return (drawn + lift * normal / np.maximum(length, 1e-9)).astype(np.float32)


def painted(cap: Cap, head: HeadData, texture: FloatArray) -> FloatArray:
    """Texture of the skin (s, s, 6) with the cap on it."""
    place = head.texel_position
    cover = cap.cover(place)[..., None].astype(np.float32)
    knit = 1 + 0.25 * np.sin(cap.ribs * azimuth(place)) if cap.ribs else np.ones(place.shape[:2])
    cloth = np.zeros_like(texture)
    cloth[..., :3] = np.array(cap.colour, np.float32) * knit[..., None].astype(np.float32)
    cloth[..., 3] = 0.9
    return texture * (1 - cover) + cloth * cover


def capped_triangles(cap: Cap, head: HeadData) -> npt.NDArray[np.bool_]:
    """Which triangles show the cap, bool (t,)."""
    middle = head.template[head.triangles].mean(axis=1)
    return (cap.cover(middle) > 0.5) & (head.material == SKIN)


def earrings(worn: Worn, drawn: FloatArray, scale: float) -> list[Strands]:
    """Rings that hang from the lobes of the ears; drawn vertices in the head's frame."""
    if worn.earring is None:
        return []
    radius = worn.earring * scale
    turn = np.linspace(0, 2 * np.pi, 15)
    rings = []
    for side, vertex in zip((1.0, -1.0), _lobes(), strict=True):
        top = drawn[vertex].astype(np.float64) + np.array([side * 0.01, 0.015, 0.01]) * scale
        ring = np.column_stack([0.6 * side * np.sin(turn), np.cos(turn) - 1, 0.8 * np.sin(turn)]) * radius
        rings.append(top + ring)
    return [rim(rings, 0.014 * scale, worn.metal)]


@lru_cache(maxsize=1)
def _lobes() -> tuple[int, int]:
    """Drawn vertices of the lobes of the left and the right ear: the lowest outer ones."""
    place = load_head().template
    outer = (
        (np.abs(place[:, 0]) > 0.70) & (place[:, 1] > 6.85) & (place[:, 1] < 7.2) & (np.abs(place[:, 2] - 0.4) < 0.3)
    )
    left, right = (np.flatnonzero(outer & (side * place[:, 0] > 0)) for side in (1, -1))
    return int(left[np.argmin(place[left, 1])]), int(right[np.argmin(place[right, 1])])
