"""What tells the heads of real people apart, as a displacement of the whole surface.

The principal components of scanned heads of the *ICT Face Model Light* (University of Southern California, Institute
for Creative Technologies, 2020; licence MIT, ``LICENSE_ICT_FACEKIT``), carried over to MakeHuman's mesh by
``tools/carry_scan_modes.py``. A person's form is a sum of them with normal coefficients, wider than in the scans, most of all
those of fine components: a recogniser tells people apart by them, and they caricature a face least (docs/mesh.md).
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.streams import stream

FloatArray = npt.NDArray[np.float32]
MODES_FILE = "scan_modes.npz"
# Standard deviation of coefficients, 1 being that of the scans: of the first (mostly the size of the head, which does not
# tell faces apart and which shoulders do not share), at the second, and from number _FINE on.
_SIZE_SPREAD, _SPREAD, _FINE_SPREAD, _FINE = 0.75, 1.5, 2.7, 40
# Nobody lies further out than this many standard deviations.
_LIMIT = 2.5
# Share of a grown person's form by age.
_SHARE = ((0.0, 2.0, 6.0, 12.0, 18.0), (0.57, 0.62, 0.75, 0.875, 1.0))
# Angle (radians) between a child's form and the one it grows into, by age: growth is not the same for everybody.
_TURNED = ((3.0, 18.0), (0.5, 0.0))


@dataclass(frozen=True)
class ScanModes:
    """Displacements of one standard deviation of each component, largest first.

    Attributes:
        vertices: Control vertices that move, int64 (n,).
        steps: Displacements in units of ``scale``, int8 (m, n, 3).
        scale: Decimetres a unit, float32 (m,).
    """

    vertices: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int8]
    scale: FloatArray


@lru_cache(maxsize=1)
def scan_modes() -> ScanModes:
    """The components that come with the package."""
    with (
        resources.files("frbias.synth.mesh").joinpath(MODES_FILE).open("rb") as file,
        np.load(file, allow_pickle=False) as data,
    ):
        return ScanModes(data["vertices"].astype(np.int64), data["steps"], data["scale"])


def scanned_share(age: float) -> float:
    """Share of a grown person's scanned form that shows at ``age`` years."""
    return float(np.interp(age, *_SHARE))


def grown_part(age: float) -> tuple[float, float]:
    """Factors of a grown person's form and of the child's own at ``age`` years; their squares have the sum 1."""
    angle = float(np.interp(age, *_TURNED))
    return float(np.cos(angle)), float(np.sin(angle))


def spreads(count: int) -> npt.NDArray[np.float64]:
    """Standard deviation of each coefficient, float64 (count,)."""
    wide = _SPREAD + (_FINE_SPREAD - _SPREAD) * np.minimum(np.arange(count) / _FINE, 1.0)
    wide[0] = _SIZE_SPREAD
    return wide


def scan_field(seed: int, subject: int, what: Literal["scan", "growth"] = "scan") -> FloatArray:
    """Displacement of every control vertex, decimetres, float32 (n, 3); a pure function of its arguments.

    ``scan`` is a grown person's form, ``growth`` what a child's form has beside that (:func:`grown_part`).
    """
    modes = scan_modes()
    drawn = np.clip(stream(seed, subject, what).normal(size=len(modes.scale)), -_LIMIT, _LIMIT)
    factors = (drawn * spreads(len(modes.scale)) * modes.scale).astype(np.float32)
    total = np.zeros((len(modes.vertices), 3), np.float32)
    for step, factor in zip(modes.steps, factors, strict=True):
        total += factor * step
    field = np.zeros_like(load_head().base)
    field[modes.vertices] = total
    return field
