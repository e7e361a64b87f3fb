"""Skin texture: pigments as optical densities, marks fixed by identity, and what age adds."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.averages import average, average_pigment
from frbias.synth.mesh.complexion import complexion
from frbias.synth.mesh.head_data import HeadData, load_head
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.photographed_skin import PhotographedSkin
from frbias.synth.mesh.pigments import BARE, BLOOD, MELANIN
from frbias.synth.mesh.scalp import Scalp, grey_share
from frbias.synth.mesh.skin_photographs import FACE, SkinPhotographs
from frbias.synth.mesh.smooth import smooth_step
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.surface import texels
from frbias.synth.mesh.texture_space import HALF_SPAN, HIGHEST, LOWEST, TEXTURE_SIZE
from frbias.synth.mesh.wrinkles import Wrinkles

FloatArray = npt.NDArray[np.float32]

# Age of the skin by age: it matures until thirty, with the beard's shadow, make-up and the tint of the brows.
_MATURED = ((0.0, 12.0, 30.0, 40.0, 80.0), (0.0, 12.0, 21.0, 40.0, 80.0))
# Factor on the relief of the skin by age.
_RELIEF = ((30.0, 45.0, 60.0), (1.0, 1.5, 1.7))
_GREY = np.array([0.42, 0.41, 0.40], np.float32)


@dataclass(frozen=True)
class _Zones:
    """Parts of the face per texel, 0..1."""

    cheeks: FloatArray
    nose: FloatArray
    under_eye: FloatArray
    front: FloatArray
    beard: FloatArray
    lids: FloatArray
    lips: FloatArray
    ears: FloatArray
    cavity: FloatArray


class SkinPainter:
    """Paints the skin of one person at any age; what does not depend on age is made once."""

    def __init__(self, head: HeadData, person: Identity, photographs: SkinPhotographs | None = None) -> None:
        self._person = person
        self._photographed = PhotographedSkin(photographs, person) if photographs is not None else None
        self._zones = _zones()
        self._wrinkles = Wrinkles(head, person)
        self._scalp = Scalp(person).on(head.texel_position)
        self._fields = {
            name: _noise(person, name, cells, octaves)
            for name, cells, octaves in (
                ("large", 5, 3),
                ("blood", 7, 3),
                ("middle", 30, 2),
                ("fine", 150, 2),
                ("patch", 16, 2),
                ("stubble", 256, 1),
                ("mottle", 60, 2),
                ("gloss", 20, 2),
            )
        }
        self._uneven = complexion(person)
        self._moles = _spots(head, person, "moles", person.skin.moles, 1.0, 1.9)
        self._freckles = _freckles(person, self._zones)
        self._age_spots = _age_spots(head, person)

    def paint(self, age: float) -> FloatArray:
        """Texture of the skin at ``age`` years: albedo, roughness, slopes; float32 (s, s, 6), row 0 lowest."""
        skin_age = float(np.interp(age, *_MATURED))
        years = skin_age + self._person.ageing.offset * min(age / 20, 1.0)
        more = self._photographed.at(years) if self._photographed is not None else None
        albedo = self._albedo(years, more)
        groove, dark = self._wrinkles.at(years)
        albedo *= 1 - (0.48 * np.clip(dark, 0, 1.3))[..., None] * np.array([0.75, 1.0, 1.05], np.float32)
        cover = self._scalp.cover(age)
        albedo = self._hair_under_skin(albedo, cover, age, years) * _averaged(skin_age)
        zones, fields = self._zones, self._fields
        loose = 0.55 * float(np.clip((years - 42) / 40, 0, 1.2))
        height = groove + np.float32(0.05 + 0.06 * np.interp(years, [8, 25], [0, 1])) * fields["fine"]
        height = height + np.float32(loose) * fields["mottle"] * zones.front
        if more is not None:
            height[FACE] += more[2]
        rough = np.interp(years, [2, 20, 80], [0.56, 0.49, 0.55]) + 0.05 * fields["gloss"]
        rough = rough - 0.10 * zones.lips - 0.05 * zones.nose + 0.5 * cover
        rough = np.clip(rough, 0.3, 0.95) + average("rough", skin_age)
        relief = float(np.interp(age, *_RELIEF)) * np.exp(average("bump", skin_age))
        return _pack(albedo, np.clip(rough, 0.3, 0.95), height * np.float32(relief))

    def _albedo(self, years: float, more: FloatArray | None) -> FloatArray:
        skin, zones, fields = self._person.skin, self._zones, self._fields
        child = float(np.interp(years, [1, 14], [1, 0]))
        old = float(np.clip((years - 40) / 40, 0, 1.15))
        melanin = skin.melanin * (1 + 0.08 * fields["large"] + 0.03 * fields["middle"]) + 0.04 * fields["patch"]
        grown = float(np.interp(years, [0, 8, 18, 45, 80], [0.35, 0.5, 1.0, 1.0, 1.2]))
        melanin += grown * (0.6 + 0.5 * skin.melanin) * self._uneven[0]
        melanin += skin.freckles * float(np.interp(years, [2, 6, 40, 70], [0.1, 1, 1, 0.5])) * self._freckles
        melanin += 0.55 * self._moles * float(np.interp(years, [3, 20], [0.2, 1]))
        melanin += 0.55 * self._person.ageing.spots * self._age_spots * float(np.clip((years - 45) / 30, 0, 1.2))
        melanin += ((0.10 + 0.14 * skin.under_eye) * (1 - 0.6 * child) + 0.14 * old) * zones.under_eye
        melanin += 0.10 * zones.lids + 0.11 * old * np.maximum(fields["mottle"], 0)
        blood = skin.blood * (1 + 0.14 * fields["blood"] + 0.08 * fields["middle"])
        blood += grown * self._uneven[1]
        blood += (skin.blush + 0.14 * child) * (zones.cheeks + 0.8 * zones.nose) + 0.16 * zones.ears
        blood += 0.10 * zones.under_eye + 0.085 * old * np.maximum(fields["patch"], 0) * zones.front
        lips = zones.lips
        made_up = skin.make_up * float(np.interp(years, [13, 18, 60, 75], [0, 1, 1, 0.5]))
        melanin += made_up * (0.45 * zones.lids + 0.10 * lips)
        blood += made_up * (0.55 * lips + 0.15 * zones.cheeks)
        faded = float(np.interp(years, [30, 80], [1.0, 0.55]))
        blood += lips * (0.22 + 0.45 * skin.lip_redness) * faded
        melanin += lips * (0.10 + 0.12 * skin.melanin) * (1 - 0.5 * skin.lip_tone)
        if more is not None:
            melanin[FACE] += more[0]
            blood[FACE] += more[1]
        density = np.maximum(melanin, 0.02)[..., None] * MELANIN + np.maximum(blood, 0)[..., None] * BLOOD
        albedo = BARE * np.exp(-density.astype(np.float32) * np.float32(1 - 0.15 * child))
        albedo = albedo * (1 - 0.07 * min(old, 1.0) * np.array([0.4, 0.6, 0.8], np.float32))
        hollow = 1 - 0.82 * zones.cavity[..., None] * np.array([0.75, 1, 1], np.float32)
        return (albedo * hollow).astype(np.float32)

    def _hair_under_skin(
        self, albedo: FloatArray, cover: npt.NDArray[np.floating], age: float, years: float
    ) -> FloatArray:
        person, zones = self._person, self._zones
        grey = grey_share(person, age)
        hair = np.array(person.hair.colour, np.float32)
        stubble = person.skin.stubble + (0.3 if person.hair.beard == "full" else 0.0)
        shade = stubble * float(np.interp(years, [15, 22], [0, 1]))
        if shade > 0:
            grain = np.clip(0.55 + 0.35 * self._fields["stubble"], 0, 1)
            dark = np.clip(zones.beard * shade * (0.25 + 0.5 * grain) * (1 - 0.6 * grey), 0, 0.75)[..., None]
            albedo = albedo * (1 - dark) + dark * (0.8 * hair + 0.025)
        root = hair * (1 - grey) + _GREY * grey
        brow = self._scalp.brow_cover * float(np.interp(years, [0, 2, 6, 11, 17], [0.08, 0.14, 0.28, 0.5, 1.0]))
        albedo = albedo.astype(np.float32)
        some = (brow > 0) | (cover > 0)
        under, over = brow[some][:, None], cover[some][:, None]
        tinted = albedo[some] * (1 - under) + (0.9 * root + 0.01) * under
        albedo[some] = tinted * (1 - over) + 0.6 * root * over
        return albedo


@lru_cache(maxsize=4)
def _averaged(age: float) -> FloatArray:
    """Factor on everybody's albedo at ``age`` years, float32 (s, s, 3)."""
    melanin, blood = average_pigment(float(age))
    return np.exp(-(melanin[..., None] * MELANIN + blood[..., None] * BLOOD)).astype(np.float32)


@lru_cache(maxsize=1)
def _zones() -> _Zones:
    head = load_head()
    x, y, z = (head.texel_position[..., i] for i in range(3))
    wide = np.abs(x)
    lips, lids, ears = (cv2.GaussianBlur(mask, (0, 0), 1.4) for mask in head.texel_masks)
    beard = _step(y, 6.0, 6.12) * _step(z, 0.45, 0.75)
    upper = 0.45 * np.clip((wide - 0.30) / 0.35, 0, 1)
    beard = beard * (1 - _step(y, 6.76 + upper, 6.86 + upper))
    gap = np.exp(-((wide / 0.23) ** 4) - ((y - 6.68) / 0.085) ** 4)
    moustache = np.exp(-((wide / 0.24) ** 4) - ((y - 6.845) / 0.05) ** 2)
    beard = np.clip(np.maximum(beard, moustache) * (1 - gap) * (1 - lips), 0, 1).astype(np.float32)
    nostril = np.exp(-(((wide - 0.088) / 0.030) ** 2) - ((y - 6.937) / 0.017) ** 2) * (z > 1.2)
    parting = np.exp(-(((y - 6.685) / 0.010) ** 2)) * (wide < 0.22) * (z > 1.0) * 0.55
    return _Zones(
        cheeks=(np.exp(-(((wide - 0.42) / 0.16) ** 2) - ((y - 7.0) / 0.16) ** 2) * (z > 0.6)).astype(np.float32),
        nose=(np.exp(-((x / 0.12) ** 2) - ((y - 7.02) / 0.13) ** 2) * (z > 1.2)).astype(np.float32),
        under_eye=(np.exp(-(((wide - 0.27) / 0.13) ** 2) - ((y - 7.23) / 0.05) ** 2) * (z > 0.9)).astype(np.float32),
        front=_step(z, 0.3, 0.8),
        beard=cv2.GaussianBlur(beard, (0, 0), 2.5),
        lids=lids,
        lips=lips,
        ears=ears,
        cavity=np.maximum(nostril, parting).astype(np.float32),
    )


def _step(values: npt.NDArray[np.floating], low: Any, high: Any) -> FloatArray:
    return smooth_step(values, low, high).astype(np.float32)


def _noise(person: Identity, name: str, cells: int, octaves: int) -> FloatArray:
    rng = stream(person.seed, person.subject, "skin noise", name)
    total, power, gain = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32), 0.0, 1.0
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, cells << octave), dtype=np.float32)
        total += gain * cv2.resize(grid, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_CUBIC)
        power += gain * gain
        gain *= 0.5
    return total / np.float32(np.sqrt(power))


def _spots(head: HeadData, person: Identity, name: str, count: int, small: float, large: float) -> FloatArray:
    rng = stream(person.seed, person.subject, name)
    drawn = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    for _ in range(count):
        xy = np.array([[rng.uniform(-0.6, 0.6), rng.uniform(6.35, 7.95)]])
        centre = texels(head, xy, TEXTURE_SIZE)[0]
        place = tuple(round(c * 16) for c in centre)
        cv2.circle(drawn, place, int(16 * rng.uniform(small, large)), float(rng.uniform(0.4, 1)), -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(drawn, (0, 0), 0.7)


def _age_spots(head: HeadData, person: Identity) -> FloatArray:
    blots = _spots(head, person, "age spots", 26, 1.0, 4.5)
    return cv2.GaussianBlur(blots, (0, 0), 0.8)


def _freckles(person: Identity, zones: _Zones) -> FloatArray:
    if person.skin.freckles <= 0:
        return np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    grain = _noise(person, "freckles", 140, 1)
    where = np.clip(zones.cheeks * 1.4 + zones.nose + 0.12 * zones.front, 0, 1)
    return (np.clip(grain - 0.9, 0, 1.2) * where).astype(np.float32)


def _pack(albedo: FloatArray, rough: npt.NDArray[np.floating], height: FloatArray) -> FloatArray:
    out = np.empty((TEXTURE_SIZE, TEXTURE_SIZE, 6), np.float32)
    out[..., :3] = albedo
    out[..., 3] = rough
    across = 2 * HALF_SPAN * 0.9 / TEXTURE_SIZE
    along = (HIGHEST - LOWEST) / TEXTURE_SIZE
    out[..., 4] = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / (2 * across)
    out[..., 5] = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / (2 * along)
    return out
