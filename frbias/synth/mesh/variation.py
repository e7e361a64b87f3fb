"""What tells heads apart beyond MakeHuman's sliders: smooth random displacements of the whole surface.

A person's field is a draw of a Gaussian process over the head with a squared exponential covariance at four
reaches, the morphable model of Luethi, Gerig, Jud and Vetter (*Gaussian process morphable models*, IEEE PAMI
40(8), 2018), drawn with random Fourier features. Most of it is mirrored, the rest is the asymmetry that every face has.
It adds to the forms of scanned heads (:mod:`frbias.synth.mesh.scans`) what lies between these.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.fourier import features
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.proportions import neutral_control, off_shoulders
from frbias.synth.mesh.streams import stream

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """One part of the covariance: reach and standard deviation (across, up, forward) in decimetres, and waves drawn."""

    reach: float
    spread: tuple[float, float, float]
    waves: int


SCALES = (
    Scale(0.95, (0.0184, 0.0200, 0.0340), 24),
    Scale(0.42, (0.0132, 0.0148, 0.0256), 40),
    Scale(0.20, (0.0068, 0.0080, 0.0136), 56),
    Scale(0.11, (0.0024, 0.0028, 0.0064), 72),
)
_ASYMMETRY = 0.22
# Share of the finer parts that is left out at the lips, whose two sides must meet.
_LIPS_KEPT = 0.55
# Height from which on the whole field applies, decimetres.
THROAT = 6.3


def variation_field(seed: int, subject: int) -> FloatArray:
    """Displacement of every control vertex of an adult, decimetres, float32 (n, 3); a pure function of its arguments."""
    place, fade, lips = _places()
    mirrored = place * np.array([-1.0, 1.0, 1.0])
    total = np.zeros(place.shape)
    for number, scale in enumerate(SCALES):
        rng = stream(seed, subject, "variation", number)
        for share, even in ((np.sqrt(1 - _ASYMMETRY**2), True), (_ASYMMETRY, False)):
            wave = rng.normal(0, 1 / scale.reach, (scale.waves, 3))
            phase = rng.uniform(0, 2 * np.pi, scale.waves)
            gain = rng.normal(0, np.sqrt(2 / scale.waves), (scale.waves, 3)) * np.array(scale.spread) * share
            field = _waves(place, wave, phase, gain)
            if even:
                other = _waves(mirrored, wave, phase, gain) * np.array([-1.0, 1.0, 1.0])
                field = (field + other) / np.sqrt(2)
            total += field if number == 0 else field * (1 - lips[:, None])
    return (total * fade[:, None]).astype(np.float32)


def _waves(place: Array, wave: Array, phase: Array, gain: Array) -> Array:
    total = np.zeros((3, len(place)))
    for feature, strength in zip(features(np.ascontiguousarray(place.T), wave, phase), gain, strict=True):
        for axis in range(3):
            total[axis] += feature * strength[axis]
    return np.ascontiguousarray(total.T)


@lru_cache(maxsize=1)
def _places() -> tuple[Array, Array, Array]:
    """Rest positions (n, 3), the share of the field that applies (n,), and how near the lips a vertex is (n,)."""
    rest = neutral_control(load_head()).astype(np.float64)
    mouth = np.exp(-((rest[:, 0] / 0.30) ** 4) - ((rest[:, 1] - 6.51) / 0.13) ** 4)
    return rest, off_shoulders(rest, THROAT), _LIPS_KEPT * mouth
