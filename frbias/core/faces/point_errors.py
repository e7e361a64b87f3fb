"""How far detected face points are from annotated ones, in eye distances."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.groups import DEFAULT_GROUPS, group_by_age

BOUNDS = (0.1, 0.2, 0.3)
DEFINITION = (
    "root mean square over five points of the distance from the annotated point, divided by the distance between "
    "the annotated eyes"
)


@dataclass(frozen=True)
class PointErrors:
    """Errors of the points of several faces.

    Attributes:
        faces: Faces with an error.
        mean, median: Of the errors, eye distances; None without faces.
        above: Faces with an error above each of ``BOUNDS``.
    """

    faces: int
    mean: float | None
    median: float | None
    above: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the faces above each of ``BOUNDS``, 0..1; empty without faces."""
        return tuple(count / self.faces for count in self.above) if self.faces else ()


@dataclass(frozen=True)
class PointErrorReport:
    """Errors over all faces and by age group.

    Attributes:
        overall: All faces.
        groups: Group name -> its faces, in order of age; groups without a face are left out.
    """

    overall: PointErrors
    groups: dict[str, PointErrors]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the definition and the bounds."""
        return {
            "definition": DEFINITION,
            "bounds": list(BOUNDS),
            **_json(self.overall),
            "groups": {name: _json(errors) for name, errors in self.groups.items()},
        }


def point_error(found: npt.NDArray[np.float64], annotated: npt.NDArray[np.float64]) -> float:
    """Root mean square distance of five points (5, 2) from the annotated ones, in distances of the annotated eyes.

    NaN when the annotated eyes coincide.
    """
    eyes = float(np.hypot(*(annotated[1] - annotated[0])))
    return float(np.sqrt(((found - annotated) ** 2).sum(axis=1).mean())) / eyes if eyes > 0 else float("nan")


def report_point_errors(
    errors: npt.NDArray[np.float64], ages: npt.NDArray[np.float64], groups: str = DEFAULT_GROUPS
) -> PointErrorReport:
    """Sum up the errors of many faces.

    Args:
        errors: (n,) eye distances; NaN (no annotated points) is left out.
        ages: (n,) years, NaN unknown.
        groups: Age groups, e.g. ``0-12,13-19``.
    """
    grouping = group_by_age(ages, groups)
    by_group = {name: _summed(errors[grouping.codes == code]) for code, name in enumerate(grouping.names)}
    return PointErrorReport(_summed(errors), {name: found for name, found in by_group.items() if found.faces})


def _summed(errors: npt.NDArray[np.float64]) -> PointErrors:
    known = errors[np.isfinite(errors)]
    if not known.size:
        return PointErrors(0, None, None, (0,) * len(BOUNDS))
    above = tuple(int((known > bound).sum()) for bound in BOUNDS)
    return PointErrors(len(known), float(known.mean()), float(np.median(known)), above)


def _json(errors: PointErrors) -> dict[str, Any]:
    return {**asdict(errors), "above": list(errors.above), "shares": list(errors.shares)}
