"""The contact sheet of a report: a few people (rows) at a few ages (columns), as small inlined pictures."""

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.data.images import encode_jpeg, read_image
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import BadImageError

THUMBNAIL = 192
_JPEG_QUALITY = 86


@dataclass(frozen=True)
class Cell:
    """One picture of the sheet; ``picture`` is a data URI, empty where the set has no such image."""

    subject: str
    age: float
    picture: str


@dataclass(frozen=True)
class ContactSheet:
    """Rows of people, columns of ages.

    Attributes:
        ages: Column heads, years.
        rows: One list of cells per person, as long as ``ages``.
        subjects, images: Size of the whole set that the sheet is taken from.
    """

    ages: tuple[float, ...]
    rows: tuple[tuple[Cell, ...], ...]
    subjects: int
    images: int


def contact_sheet(table: SampleTable, *, subjects: int = 6, ages: int = 8) -> ContactSheet | None:
    """Choose people and ages evenly over a set and inline their pictures.

    Args:
        table: Images with subjects and ages.
        subjects: Largest number of rows; those with the most of the chosen ages come first, else in table order.
        ages: Largest number of columns.

    Returns:
        The sheet, or None when the set has no image with a known age or none of them can be read.
    """
    years, people = np.round(table.ages), np.array(table.subjects)
    known = np.isfinite(years)
    if not known.any():
        return None
    columns = _spread(np.unique(years[known]), ages)
    chosen = _rows(people[known], years[known], columns, subjects)
    paths = table.paths
    rows = []
    for person in chosen:
        found = [np.flatnonzero((people == person) & (years == age)) for age in columns]
        cells = [
            Cell(str(person), float(age), thumbnail(paths[int(hits[0])]) if hits.size else "")
            for age, hits in zip(columns, found, strict=True)
        ]
        if any(cell.picture for cell in cells):
            rows.append(tuple(cells))
    if not rows:
        return None
    return ContactSheet(tuple(float(a) for a in columns), tuple(rows), len(set(people)), len(table))


def thumbnail(path: object, side: int = THUMBNAIL) -> str:
    """A square picture of at most ``side`` pixels as a data URI; empty when the file cannot be read."""
    import cv2  # not at the top: see frbias.core.data.images

    try:
        image = read_image(path)  # type: ignore[arg-type]
    except BadImageError:
        return ""
    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = image[top : top + edge, left : left + edge]
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA) if edge > side else square
    return data_uri(encode_jpeg(np.ascontiguousarray(small, dtype=np.uint8), _JPEG_QUALITY), "image/jpeg")


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as a ``data:`` address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _rows(
    people: npt.NDArray[np.str_], years: npt.NDArray[np.float64], columns: npt.NDArray[np.float64], limit: int
) -> list[str]:
    order = list(dict.fromkeys(people.tolist()))
    filled = {name: len(set(years[people == name]) & set(columns)) for name in order}
    best = max(filled.values())
    complete = [name for name in order if filled[name] == best]
    if len(complete) >= limit:
        return [complete[i] for i in _positions(len(complete), limit)]
    rest = sorted((n for n in order if filled[n] < best), key=lambda n: -filled[n])
    return complete + rest[: limit - len(complete)]


def _spread(values: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.float64]:
    return values[_positions(len(values), limit)] if len(values) > limit else values


def _positions(length: int, limit: int) -> list[int]:
    return [int(i) for i in np.linspace(0, length - 1, limit).round()]
