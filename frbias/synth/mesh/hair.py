"""Hair of the head: styles, locks, colour, greying and balding."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.growth import grow, radial_map
from frbias.synth.mesh.head_data import HAIR, SKIN, HeadData
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.scalp import Scalp, grey_share
from frbias.synth.mesh.strands import Strands, strands
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.surface import anchor

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Cover = Callable[[npt.NDArray[np.floating]], Array]

_ROOTS = 5600
_LOCKS = 150
_GREY = np.array([0.50, 0.49, 0.48])


@dataclass(frozen=True)
class HeadFrame:
    """Size and place of a head: centre (3,), scale (1 for the adult template), height of the eyes."""

    centre: FloatArray
    scale: float
    eyes: float


@dataclass(frozen=True)
class Style:
    """How a hair style grows.

    Attributes:
        length: Decimetres. points: Points per strand. lift: Share of the first direction that stands off the skin.
        gravity: Downward turn per step. crown, part, back, down: Shares of the flow away from the crown, from the
            parting to the sides, backwards and downwards. curl: Waviness. volume: Thickness of the layer.
        fringe: Height, in head units over the centre, down to which hair may lie on the forehead. hug: Share by which hair that
            stands off is drawn back to its layer at each step. tight: Share of the curl that each hair has to itself, not with its lock.
    """

    length: float
    points: int
    lift: float
    gravity: float
    crown: float = 0.0
    part: float = 0.0
    back: float = 0.0
    down: float = 0.0
    curl: float = 0.15
    volume: float = 0.06
    fringe: float = 0.6
    hug: float = 0.0
    tight: float = 0.0


STYLES = {
    "crop": Style(0.10, 4, 0.5, 0.02, crown=0.7, down=0.7, volume=0.02, fringe=0.30, hug=0.6),
    "short": Style(0.30, 6, 0.42, 0.08, crown=1.0, part=0.25, down=0.6, volume=0.05, fringe=0.28, hug=0.35),
    "side": Style(0.50, 7, 0.40, 0.14, part=1.0, down=0.25, back=0.25, volume=0.07, fringe=0.33, hug=0.35),
    "quiff": Style(0.42, 7, 0.85, 0.08, back=0.9, part=0.15, down=0.25, volume=0.09, fringe=0.45),
    "curly": Style(0.38, 8, 0.8, 0.05, crown=0.8, down=0.2, curl=1.0, volume=0.15, fringe=0.28, hug=0.3, tight=0.45),
    "long": Style(2.0, 12, 0.25, 0.40, part=0.9, down=0.5, back=0.25, volume=0.08, fringe=0.5),
    "bob": Style(1.10, 11, 0.30, 0.36, part=0.9, down=0.5, back=0.15, curl=0.12, volume=0.10, fringe=0.42),
    "wavy": Style(1.60, 12, 0.40, 0.32, part=0.9, down=0.4, back=0.2, curl=0.55, volume=0.14, fringe=0.45),
    "tied": Style(0.95, 9, 0.12, 0.0, back=1.0, part=0.05, down=-0.7, curl=0.05, volume=0.045, fringe=0.6, hug=0.9),
    "fringe": Style(1.35, 12, 0.25, 0.42, crown=1.0, down=0.55, curl=0.10, volume=0.09, fringe=0.14),
    "bowl": Style(0.62, 8, 0.28, 0.34, crown=1.0, down=0.55, curl=0.10, volume=0.07, fringe=0.20, hug=0.3),
    "afro": Style(0.62, 10, 2.0, 0.0, curl=0.8, volume=0.30, fringe=0.38, hug=0.45, tight=0.9),
    "set": Style(
        0.50, 8, 0.42, 0.20, crown=0.7, part=0.3, down=0.2, curl=0.6, volume=0.16, fringe=0.32, hug=0.3, tight=0.3
    ),
    "baby": Style(0.22, 5, 0.25, 0.12, crown=1.0, down=0.2, curl=0.2, volume=0.02, fringe=0.35, hug=0.7),
}
# |azimuth| of the face's border at heights -1.3, -1.1 ... 0.7 over the head's centre, in head units
_BORDER = np.array([1.10, 1.06, 1.00, 0.96, 0.94, 0.93, 0.92, 0.88, 0.78, 0.45, 0.0])


def head_frame(control: FloatArray, drawn: FloatArray, head: HeadData) -> HeadFrame:
    """Where the head is and how large, from its eyes, top and chin."""
    left, right = control[head.eye_left].mean(axis=0), control[head.eye_right].mean(axis=0)
    eyes = float(left[1] + right[1]) / 2
    chin = float(anchor(head, np.array([[0.0, 6.24]])).on(drawn)[0, 1])
    scale = 0.5 * (float(drawn[:, 1].max() - eyes) / 1.045 + (eyes - chin) / 1.112)
    centre = np.array([0.0, eyes + 0.10 * scale, 0.40 * scale], dtype=np.float32)
    return HeadFrame(centre, scale, eyes)


def style_at(person: Identity, age: float) -> str:
    """The style somebody wears at an age."""
    style = person.hair.style
    if age < 2.5:
        return "baby"
    if style == "afro":
        return style
    if age < 11 and person.hair.fringe_as_child:
        return "fringe" if person.female else "bowl"
    if person.female:
        if age > 66 and style in ("long", "fringe", "wavy"):
            return "set" if person.hair.curl > 0.25 else "bob"
        return style
    if age < 10 and style in ("quiff", "side"):
        return "short"
    return style


class HairGrower:
    """Grows the hair of one person at any age; roots and locks are fixed by identity."""

    def __init__(self, head: HeadData, person: Identity) -> None:
        self._head, self._person = head, person
        rng = stream(person.seed, person.subject, "hair roots")
        self._corners, self._weights = _roots(head, rng)
        self._place = (head.template[self._corners] * self._weights[..., None]).sum(axis=1)
        self._scalp = Scalp(person).on(self._place)
        self._chance = rng.random(_ROOTS)
        centres = self._place[rng.choice(_ROOTS, _LOCKS, replace=False)]
        self._lock = ((self._place[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        self._lock_noise = rng.normal(0, 1, (_LOCKS, 16, 3))
        self._own_noise = rng.normal(0, 1, (_ROOTS, 16, 3))
        self._traits = rng.normal(0, 1, (_ROOTS, 3))
        self._lock_traits = rng.normal(0, 1, (_LOCKS, 3))

    def grow(
        self, age: float, drawn: FloatArray, normal: FloatArray, frame: HeadFrame, hidden: Cover | None = None
    ) -> Strands | None:
        """Strands on a head (drawn vertices and their normals), or None when nothing is left.

        ``hidden`` gives the share of the head under a cap, where nothing grows, at template positions (n, 3).
        """
        density = self._scalp.density(age)
        if hidden is not None:
            density = density * (1 - hidden(self._place))
        thin = float(np.interp(age, [0, 1, 3, 60, 85], [0.7, 0.9, 1.0, 1.0, 0.8]))
        kept = np.flatnonzero(self._chance < np.clip(density * 1.2, 0, 1) * thin)
        if len(kept) < 8:
            return None
        style = STYLES[style_at(self._person, age)]
        corners, weights = self._corners[kept], self._weights[kept][..., None]
        roots = (drawn[corners] * weights).sum(axis=1)
        outward = (normal[corners] * weights).sum(axis=1).astype(np.float64)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
        scale = frame.scale
        way = self._flow(style, kept, roots, outward, frame)
        traits, lock = self._traits[kept], self._lock[kept]
        growing = float(np.interp(age, [0, 2.5, 6, 14], [0.6, 0.7, 0.8, 1.0]))
        length = style.length * self._person.hair.length * growing * scale
        low = 0.35 + 0.65 * np.clip((self._place[kept, 1] - 6.9) / 0.6, 0, 1) if style.length < 0.7 else 1.0
        tapered = np.clip(density[kept] * 1.3, 0.3, 1.0) * low
        step = length / (style.points - 1) * np.exp(0.10 * traits[:, 0] + 0.10 * self._lock_traits[lock, 0]) * tapered
        curl = style.curl * (0.5 + self._person.hair.curl)
        paths = np.empty((len(kept), style.points, 3), dtype=np.float32)
        grow(
            roots - 0.012 * scale * outward,
            way,
            step,
            scale * (0.012 + style.volume * (0.25 + 0.75 * self._chance[kept])),
            0.07 * traits[:, 1],
            np.full(len(kept), style.gravity),
            0.30 * curl * (1 - style.tight) * self._lock_noise[lock][:, : style.points],
            (0.06 + 0.07 * curl + 0.45 * curl * style.tight) * self._own_noise[kept][:, : style.points],
            np.append(_BORDER, style.fringe),
            (frame.centre.astype(np.float64), scale, _skull(self._head, drawn, frame), style.hug),
            paths,
        )
        return strands(
            paths, float(np.interp(age, [0, 1, 3], [0.012, 0.016, 0.026])) * scale, self._tint(age, kept), HAIR
        )

    def _flow(
        self, style: Style, kept: npt.NDArray[np.int64], roots: FloatArray, outward: Array, frame: HeadFrame
    ) -> Array:
        place, scale = self._place[kept], frame.scale
        local = (roots - frame.centre) / scale
        crown = local - np.array([0.06 * np.sign(self._person.hair.part), 0.85, -0.55])
        crown /= np.linalg.norm(crown, axis=1, keepdims=True) + 1e-9
        line = self._person.hair.part * 0.6 + 0.05 * self._traits[kept, 2]
        side = np.tanh((local[:, 0] - line) / 0.04)
        top = np.clip((place[:, 1] - 7.6) / 0.6, 0, 1)
        flow = style.crown * crown
        flow[:, 0] += style.part * side * (0.25 + 0.75 * top)
        flow[:, 1] += -style.down * (1.3 - top) - 0.15 * style.part * top
        flow[:, 2] -= style.back * (0.4 + 0.6 * top)
        flow += 0.16 * self._lock_traits[self._lock[kept]]
        flow -= (flow * outward).sum(axis=1, keepdims=True) * outward * 0.9
        flow /= np.linalg.norm(flow, axis=1, keepdims=True) + 1e-6
        way = flow + outward * style.lift * (0.6 + 0.4 * top[:, None])
        return way / (np.linalg.norm(way, axis=1, keepdims=True) + 1e-9)

    def _tint(self, age: float, kept: npt.NDArray[np.int64]) -> FloatArray:
        lock = self._lock[kept]
        light = float(np.interp(age, [1, 14], [1.5, 1.0])) if self._person.ancestry[2] > 0.5 else 1.0
        tone = np.exp(0.12 * self._traits[kept, :1] + 0.14 * self._lock_traits[lock, 1:2])
        own = np.array(self._person.hair.colour)[None] * tone * light
        grey = grey_share(self._person, age)
        mixed = np.clip(
            grey + 0.35 * grey * (1 - grey) * (self._traits[kept, 2:3] + self._lock_traits[lock, 2:3]), 0, 1
        )
        white = _GREY * (0.85 + 0.25 * grey) * np.clip(tone, 0.8, 1.2)
        return np.clip(own * (1 - mixed) + white * mixed, 0.004, 0.8).astype(np.float32)


def _roots(head: HeadData, rng: np.random.Generator) -> tuple[npt.NDArray[np.int32], FloatArray]:
    triangles = head.triangles[head.material == SKIN]
    corner = head.template[triangles].astype(np.float64)
    centre = corner.mean(axis=1)
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    wide = np.abs(centre[:, 0])
    ear = (wide > 0.68) & (centre[:, 1] > 6.85) & (centre[:, 1] < 7.45) & (centre[:, 2] > 0.05) & (centre[:, 2] < 0.75)
    area[(centre[:, 1] < 6.4) | ear | ((centre[:, 1] < 7.6) & (centre[:, 2] > 0.95))] = 0
    chosen = np.searchsorted(np.cumsum(area), rng.random(_ROOTS) * area.sum())
    pair = rng.random((_ROOTS, 2))
    pair = np.where(pair.sum(axis=1, keepdims=True) > 1, 1 - pair, pair)
    return triangles[chosen], np.column_stack([1 - pair.sum(axis=1), pair]).astype(np.float32)


def _skull(head: HeadData, drawn: FloatArray, frame: HeadFrame) -> FloatArray:
    place = head.template
    ear = (np.abs(place[:, 0]) > 0.68) & (place[:, 1] > 6.85) & (place[:, 1] < 7.45)
    used = drawn[(place[:, 1] > 5.9) & ~ear]
    table = np.zeros((28, 56), dtype=np.float32)
    radial_map(used, frame.centre, table)
    table[table == 0] = np.median(table[table > 0])
    padded = cv2.GaussianBlur(np.pad(table, ((0, 0), (6, 6)), mode="wrap"), (0, 0), 0.8)
    return np.ascontiguousarray(padded[:, 6:-6])
