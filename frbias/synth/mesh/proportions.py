"""Growth and ageing of the face's proportions, measured on photographs, as a displacement of the head mesh.

MakeHuman's baby, child, young and old shapes give the head its form in depth; where eyes, nose, mouth, jaw and
chin lie at which age comes from ``proportions.csv``: the mean of FG-NET's annotated points by age. The head of
the average person is warped onto it at every age, and everybody is warped by the same field, so what tells
people apart is left as it is.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import HeadData, load_head
from frbias.synth.mesh.identity import average_identity
from frbias.synth.mesh.landmarks import face_points
from frbias.synth.mesh.shape import shape_weights
from frbias.synth.mesh.smooth import smooth_step

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

# Viewer's left and right number of each row of the table among FG-NET's 68 points.
_SIDES: dict[str, tuple[int, int]] = {
    "jaw0": (0, 14),
    "jaw1": (1, 13),
    "jaw2": (2, 12),
    "jaw3": (3, 11),
    "jaw4": (4, 10),
    "jaw5": (5, 9),
    "jaw6": (6, 8),
    "chin": (7, 7),
    "brow_outer": (21, 15),
    "brow_upper_outer": (22, 16),
    "brow_upper_inner": (23, 17),
    "brow_inner": (24, 18),
    "brow_lower_inner": (25, 19),
    "brow_lower_outer": (26, 20),
    "eye_outer": (27, 32),
    "eye_upper": (28, 33),
    "eye_inner": (29, 34),
    "eye_lower": (30, 35),
    "pupil": (31, 36),
    "bridge": (37, 45),
    "nose_side": (38, 44),
    "ala": (39, 43),
    "ala_base": (40, 42),
    "nose_base": (41, 41),
    "nostril": (46, 47),
    "nose_tip": (67, 67),
    "mouth_corner": (48, 54),
    "lip_outer": (49, 53),
    "lip_peak": (50, 52),
    "lip_top": (51, 51),
    "lip_low_outer": (59, 55),
    "lip_low_inner": (58, 56),
    "lip_bottom": (57, 57),
}
# People in the photographs smile a little on average.
_EXPRESSION = {"mouthSmileLeft": 0.25, "mouthSmileRight": 0.25}
_DISTANCE = 13.0
# Reach (decimetres) and weight of the two parts of the covariance, and the variance left unexplained.
_REACHES = ((1.0, 1.0), (0.25, 0.35))
_NUGGET = 0.004
# Share of the measured correction that is applied, by age. MakeHuman overdraws children; a recogniser and an age
# estimator take the exaggerated ones for children, and with more of it young grown-ups look alike and old (docs/mesh.md).
_APPLIED = ((35.0, 55.0), (0.25, 1.0))
_SHOULDERS, _THROAT = 5.5, 6.15


@dataclass(frozen=True)
class Proportions:
    """The table: ages (a,), point names, and mean positions (a, p, 2) in distances between the pupils, y down."""

    ages: Array
    names: tuple[str, ...]
    points: Array

    def at(self, age: float) -> Array:
        """Mean half face at ``age`` years, float64 (p, 2), linear between the ages of the table."""
        flat = self.points.reshape(len(self.ages), -1)
        found = np.array([np.interp(age, self.ages, column) for column in flat.T])
        return found.reshape(-1, 2)


@lru_cache(maxsize=1)
def proportions() -> Proportions:
    """The table that comes with the package."""
    text = resources.files("frbias.synth.mesh").joinpath("proportions.csv").read_text(encoding="utf-8")
    header, *rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    ages = np.array([float(name[1:]) for name in header[1::2]])
    values = np.array([[float(value) for value in row[1:]] for row in rows])
    points = values.reshape(len(rows), len(ages), 2).transpose(1, 0, 2)
    return Proportions(ages, tuple(row[0] for row in rows), points)


def applied_share(age: float) -> float:
    """Share of the measured correction that :func:`growth_field` applies at ``age`` years."""
    return float(np.interp(age, *_APPLIED))


@lru_cache(maxsize=96)
def growth_field(age: float) -> FloatArray:
    """Displacement of every control vertex at ``age`` years, decimetres, float32 (n, 3)."""
    head, table = load_head(), proportions()
    person = average_identity()
    control = head.control(shape_weights(person, age, _EXPRESSION))
    found = face_points(head, control, head.refine(control)).astype(np.float64)
    target = table.at(age)
    middle = (found[31] + found[36]) / 2
    middle[1] -= 0.15
    depth = _DISTANCE / (_DISTANCE - (found[:, 2:] - 0.4))
    seen = (found[:, :2] - middle[:2]) * depth
    sides = [_SIDES[name] for name in table.names]
    left, right = seen[[a for a, _ in sides]], seen[[b for _, b in sides]]
    half = np.column_stack([(right[:, 0] - left[:, 0]) / 2, (left[:, 1] + right[:, 1]) / 2])
    half[:, 1] = half[table.names.index("pupil"), 1] - half[:, 1]
    size = float((half * target).sum() / (target * target).sum())
    moved = size * target - half
    shift = np.zeros((68, 3))
    for (a, b), (dx, dy) in zip(sides, moved, strict=True):
        if a == b:
            shift[a] = (0.0, -dy, 0.0)
        else:
            shift[a], shift[b] = (-dx, -dy, 0.0), (dx, -dy, 0.0)
    used = sorted({number for pair in sides for number in pair})
    weights, spread = _interpolator()
    pulls = np.einsum("pq,qc->pc", weights, shift[used] / depth[used])
    field = np.einsum("np,pc->nc", spread, pulls)
    for ball, pupil in ((head.eye_right, 31), (head.eye_left, 36)):
        field[ball] = shift[pupil] / depth[pupil]
    return (field * applied_share(age)).astype(np.float32)


@lru_cache(maxsize=1)
def _interpolator() -> tuple[Array, Array]:
    """Kriging matrices: inverse covariance of the points (p, p), and covariance of all vertices with them (n, p)."""
    head = load_head()
    used = sorted({number for name in proportions().names for number in _SIDES[name]})
    rest = neutral_control(head)
    centre = face_points(head, rest, head.refine(rest)).astype(np.float64)[used]
    inverse = symmetric_inverse(_covariance(centre, centre) + _NUGGET * np.eye(len(centre)))
    return inverse, _covariance(rest.astype(np.float64), centre) * off_shoulders(rest, _THROAT)[:, None]


def symmetric_inverse(matrix: Array) -> Array:
    """Inverse of a symmetric positive definite matrix (n, n) by Gauss and Jordan's elimination.

    Without a linear algebra library on purpose: its last bits depend on the number of threads it is given.
    """
    size = len(matrix)
    work = np.concatenate([matrix.astype(np.float64), np.eye(size)], axis=1)
    for row in range(size):
        work[row] /= work[row, row]
        factor = work[:, row].copy()
        factor[row] = 0
        work -= factor[:, None] * work[row][None]
    return work[:, size:]


def _covariance(a: Array, b: Array) -> Array:
    square = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.sum([weight * np.exp(-square / (2 * reach**2)) for reach, weight in _REACHES], axis=0)


def off_shoulders(rest: npt.NDArray[np.floating], throat: float) -> Array:
    """Share of a displacement of the head at rest positions (n, 3): 0 on the shoulders, 1 from height ``throat`` on, (n,)."""
    return smooth_step(rest[:, 1], _SHOULDERS, throat).astype(np.float64)


def neutral_control(head: HeadData) -> FloatArray:
    """Control mesh of the average adult of 25 years before any correction, float32 (n, 3)."""
    return head.control(shape_weights(average_identity(), 25.0, {}))
