"""FG-NET: ``001A43a.JPG`` is subject 001 at 43, first of several images at that age.

Accepted, in any letter case: flat, in ``images/``, in one folder per identity, and the re-sorted
``001/001_43a.jpg``. The 68 points of the ``.pts`` files follow FG-NET's own order (that of XM2VTS), not
iBUG's; five of them are the points every aligner wants.
"""

import re
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.layouts.layout import FaceName, Layout
from frbias.core.foundation.errors import BadInputError

POINT_COUNT = 68
# Viewer's left eye, right eye, nose tip, left and right mouth corner in FG-NET's order, counted from 0.
FIVE_POINTS = (31, 36, 67, 48, 54)
MAX_POINTS_BYTES = 64 * 1024
_STEM = re.compile(r"(\d{3})(?:A|_)(\d{2})([a-z]?)", re.IGNORECASE | re.ASCII)
_SUFFIXES = (".jpg", ".jpeg", ".png")
_IDENTITY = re.compile(r"\d{1,3}", re.ASCII)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read an FG-NET name; None when it is none, or lies in another identity's folder."""
    found = _STEM.fullmatch(path.stem)
    if found is None or path.suffix.lower() not in _SUFFIXES:
        return None
    subject, age, letter = found.groups()
    if _IDENTITY.fullmatch(path.parent.name) and int(path.parent.name) != int(subject):
        return None
    return FaceName(subject, float(age), key=f"{subject}a{age}{letter}".lower())


def read_points(data: bytes) -> npt.NDArray[np.float64]:
    """The 68 points of a ``.pts`` file in pixels, shape (68, 2), in FG-NET's order.

    Raises:
        BadInputError: The text is no such file, or has another number of points.
    """
    if len(data) > MAX_POINTS_BYTES:
        raise BadInputError(f"it has {len(data)} bytes")
    lines = [line.strip() for line in data.decode("ascii", errors="replace").splitlines()]
    head, _, rest = "\n".join(lines).partition("{")
    body, closed, _ = rest.partition("}")
    fields = dict(part.split(":", 1) for part in head.split("\n") if ":" in part)
    try:
        announced = int(fields.get("n_points", "").strip())
        values = [[float(number) for number in line.split()] for line in body.split("\n") if line]
    except ValueError:
        raise BadInputError("it holds something else than numbers") from None
    if announced != POINT_COUNT or len(values) != POINT_COUNT or not closed or any(len(v) != 2 for v in values):
        raise BadInputError(f"it does not hold {POINT_COUNT} points of two numbers")
    points = np.array(values, dtype=np.float64)
    if not np.isfinite(points).all() or np.abs(points).max() > 1e6:
        raise BadInputError("a point is not finite")
    return points


def format_points(points: npt.NDArray[np.float64]) -> bytes:
    """A ``.pts`` file of 68 points in pixels, shape (68, 2), in FG-NET's order."""
    if points.shape != (POINT_COUNT, 2):
        raise ValueError(f"FG-NET has {POINT_COUNT} points, not {points.shape}")
    lines = [f"{x:.3f} {y:.3f}" for x, y in points]
    return "\n".join(["version: 1", f"n_points: {POINT_COUNT}", "{", *lines, "}", ""]).encode("ascii")


def five_points(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The five alignment points of FG-NET's 68, shape (5, 2).

    Raises:
        BadInputError: The eyes are in the wrong order, so the points are not in FG-NET's.
    """
    chosen = points[list(FIVE_POINTS)]
    if not chosen[0, 0] < chosen[1, 0]:
        raise BadInputError("its eyes are not in FG-NET's order")
    return chosen


LAYOUT = Layout("fgnet", "FG-NET", "001A43a.JPG", parse, points=True)
