"""Where hair grows: hairline, balding, brows; and how it greys."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.smooth import smooth_step
from frbias.synth.mesh.texture_space import azimuth

Array = npt.NDArray[np.floating]

_AZIMUTH = np.radians([0, 20, 38, 50, 58, 66, 76, 90, 105, 125, 150, 180])
_HAIRLINE = np.array([7.97, 7.98, 7.94, 7.78, 7.48, 7.25, 7.20, 7.45, 7.20, 6.85, 6.72, 6.68])
BROW_LINE = 7.492


def grey_share(person: Identity, age: float) -> float:
    """Share of grey hair at ``age`` years, 0..1."""
    return float(1 / (1 + np.exp(-(age - person.hair.grey_onset) / person.hair.grey_years)))


class Scalp:
    """The scalp of one person in template coordinates."""

    def __init__(self, person: Identity) -> None:
        self._person = person

    def recession(self, age: float) -> float:
        """How far male balding has gone, 0..1.2."""
        hair = self._person.hair
        return hair.bald * float(np.clip((age - hair.bald_onset) / 35, 0, 1.2))

    def on(self, place: Array) -> "Places":
        """The scalp at template positions (..., 3)."""
        return Places(self, place)

    def line(self, around: Array) -> Array:
        """Height of the hairline before any of it has gone, at |azimuth| ``around`` (...,)."""
        hair = self._person.hair
        line = np.interp(around, _AZIMUTH, _HAIRLINE) + hair.hairline * np.exp(-((around / 0.9) ** 2))
        return line + hair.peak * np.exp(-((around / 0.18) ** 2))

    def bald(self, place: Array, gone: float) -> Array | None:
        """Share of the hair above the hairline that is lost at (..., 3), 0..1; None for nobody's."""
        if self._person.female or gone <= 0:
            return None
        crown = np.exp(-((place[..., 0] / 0.5) ** 2) - ((place[..., 2] + 0.05) / 0.5) ** 2)
        crown = crown * smooth_step(place[..., 1], 7.8, 8.2)
        top = smooth_step(place[..., 1], 7.95, 8.25) * float(np.clip(1.4 * gone - 0.4, 0, 1))
        return float(np.clip(1.3 * gone - 0.25, 0, 1)) * np.maximum(crown, top)

    def brow_middle(self, along: Array) -> Array:
        """Height of the brow's middle line at 0 (inner end) to 1 (outer end)."""
        hair = self._person.hair
        arch = hair.brow_arch * np.sin(np.pi * np.clip(1.15 * along, 0, 1)) + hair.brow_tilt * (along - 0.3)
        natural = 0.022 * np.sin(np.pi * (0.15 + 0.75 * along)) - 0.09 * np.clip(along - 0.65, 0, 1)
        return BROW_LINE + hair.brow_height + arch + natural

    def brow_width(self, along: Array) -> Array:
        """Full width of the brow at 0..1, decimetres."""
        return self._person.hair.brow_thickness * np.interp(along, [0, 0.15, 0.6, 1], [0.75, 1, 0.8, 0.25])

    @property
    def brow_span(self) -> tuple[float, float]:
        """|x| of the brow's inner end and its length."""
        hair = self._person.hair
        return hair.brow_inset, 0.41 + hair.brow_length

    def brow_cover(self, place: Array) -> Array:
        """Tint of the skin under the brows, 0..1, at template positions (..., 3)."""
        start, length = self.brow_span
        wide = np.abs(place[..., 0])
        along = np.clip((wide - start) / length, 0, 1)
        away = (place[..., 1] - self.brow_middle(along)) / (0.62 * self.brow_width(along))
        ends = smooth_step(wide, start - 0.03, start + 0.04) * (
            1 - smooth_step(wide, start + length - 0.06, start + length + 0.02)
        )
        return 0.62 * self._person.hair.brow_density * np.exp(-(away**2)) * ends * (place[..., 2] > 0.6)


class Places:
    """The scalp of one person at fixed places of the head; what does not depend on age is found once.

    Args:
        scalp: Whose.
        place: Template positions (..., 3).
    """

    def __init__(self, scalp: Scalp, place: Array) -> None:
        self._scalp, self._place = scalp, place

    def density(self, age: float) -> Array:
        """Density of hair at ``age`` years, 0..1, shape (...,)."""
        gone, line, around = self._scalp.recession(age), self._line, self._around
        if gone != 0:
            temples, middle = np.exp(-(((around - 0.55) / 0.28) ** 2)), np.exp(-((around / 0.7) ** 2))
            line = line + gone * (0.45 * temples + 0.25 * middle)
        inside = smooth_step(self._place[..., 1] - line, -0.02, 0.08)
        lost = self._scalp.bald(self._place, gone)
        return inside if lost is None else inside * (1 - lost)

    def cover(self, age: float) -> Array:
        """Share of the skin's colour that roots hide at ``age`` years, 0..1, shape (...,)."""
        return self.density(age) * float(np.interp(age, [0, 1, 3], [0.45, 0.6, 0.985]))

    @cached_property
    def brow_cover(self) -> Array:
        """Tint of the skin under grown brows, 0..1, shape (...,)."""
        return self._scalp.brow_cover(self._place)

    @cached_property
    def _around(self) -> Array:
        return np.abs(azimuth(self._place))

    @cached_property
    def _line(self) -> Array:
        return self._scalp.line(self._around)
