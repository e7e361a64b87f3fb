"""The table that travels between stages: one row per face image.

Schema of ``metadata.csv`` (Hugging Face *imagefolder* convention, ``file_name`` first):

==================  =====================================================================================
column              meaning
==================  =====================================================================================
file_name           path of the image relative to the folder, with ``/``; unique
subject             identity label (text); empty where the source has no identities
age                 years as float; empty when unknown
sex                 ``m``, ``f`` or empty
ethnicity           free text or empty
yaw, pitch          head pose in degrees; positive yaw turns the face to the viewer's right
seed                seed the image was drawn from
source_file         the file this image was made from
generator           name of the generator (``mesh``, ``cusp``, ``eg3d``); empty for photographs
detector_score      confidence of the face detector, 0..1
point_agreement     1 minus the root mean square distance between the face points that views at several scales
                    gave, in eye distances; 0..1, 1: all agree
transform_residual  root mean square distance of the points from the ArcFace template after the similarity
                    transform, as a fraction of the crop's side; >= 0
point_error         root mean square distance of the detected from the annotated points, in eye distances; >= 0
quality             face quality, 0..1
estimated_age       years, by an estimator
x1,y1 .. x5,y5      pixels: viewer's left eye, right eye, nose tip, left and right mouth corner
==================  =====================================================================================

``file_name``, ``subject`` and ``age`` are required; other columns are kept as they are.

Schema of ``rejected.csv``, one row per file that gave no image: ``file`` (the source), ``reason`` (one clause), and
``subject``, ``age``, ``sex`` as far as they are known (empty otherwise), so that failures can be counted by group.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.data.table_reading import are_harmless_names, read_plain
from frbias.core.data.table_text import cell, csv_blocks
from frbias.core.foundation.delimited import read_delimited
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import atomic_path, write_text

METADATA_NAME = "metadata.csv"
REJECTED_NAME = "rejected.csv"
MAX_NAME = 1000
REQUIRED_COLUMNS = ("file_name", "subject", "age")
POINT_COLUMNS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "x5", "y5")
NUMBER_COLUMNS = frozenset(
    {
        *("age", "yaw", "pitch", "detector_score", "quality", "estimated_age"),
        *("point_agreement", "transform_residual", "point_error"),
        *POINT_COLUMNS,
    }
)
COLUMN_MEANINGS = {
    "file_name": "path of the image relative to the folder",
    "subject": "identity label, text",
    "age": "years",
    "sex": "m, f or empty",
    "ethnicity": "free text or empty",
    "yaw": "head pose in degrees; positive turns the face to the viewer's right",
    "pitch": "head pose in degrees",
    "seed": "seed the image was drawn from",
    "source_file": "the file this image was made from",
    "generator": "name of the generator",
    "detector_score": "confidence of the face detector, 0..1",
    "point_agreement": "1 minus the distance between the face points of several views, in eye distances",
    "transform_residual": "distance of the points from the ArcFace template, as a fraction of the crop's side",
    "point_error": "distance of the detected from the known points, in eye distances",
    "quality": "face quality, 0..1",
    "estimated_age": "years, by an estimator",
    **{
        f"{axis}{k}": f"pixels: {what}"
        for k, what in enumerate(
            ("viewer's left eye", "viewer's right eye", "nose tip", "left mouth corner", "right mouth corner"), start=1
        )
        for axis in "xy"
    },
}
"""What the columns mean, in words for those who get a set without this program."""
TEXT_COLUMNS = frozenset({"file_name", "subject", "sex", "ethnicity", "source_file", "generator"})


@dataclass(frozen=True)
class SampleTable:
    """Face images under one folder.

    Attributes:
        root: Folder that ``file_name`` is relative to.
        frame: One row per image, columns as in the module's schema; ``subject`` is str, ``age`` float64 (NaN unknown).
    """

    root: Path
    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def paths(self) -> list[Path]:
        """Absolute or root-relative path of every image, in row order."""
        return [self.root / name for name in self.frame["file_name"]]

    @property
    def subjects(self) -> list[str]:
        """Subject label of every row."""
        return [str(s) for s in self.frame["subject"]]

    @property
    def ages(self) -> npt.NDArray[np.float64]:
        """Age in years of every row, shape (n,), NaN where unknown."""
        return self.frame["age"].to_numpy(dtype=np.float64)

    def points(self, row: int) -> npt.NDArray[np.float64] | None:
        """The five face points of one row in pixels, shape (5, 2), or None when the table has none for it."""
        return self.select([row]).every_point()[0]

    def every_point(self) -> list[npt.NDArray[np.float64] | None]:
        """:meth:`points` of every row, in row order."""
        if (values := self.point_array()) is None:
            return [None] * len(self)
        known = ~np.asarray(np.isnan(values).any(axis=(1, 2)))
        return [points if there else None for points, there in zip(values, known.tolist(), strict=True)]

    def point_array(self) -> npt.NDArray[np.float64] | None:
        """The face points of all rows in pixels, shape (n, 5, 2), NaN unknown; None when the table has no columns of them."""
        if any(c not in self.frame.columns for c in POINT_COLUMNS):
            return None
        return self.frame[list(POINT_COLUMNS)].to_numpy(dtype=np.float64).reshape(-1, 5, 2)

    def select(self, mask: npt.NDArray[np.bool_] | list[int]) -> "SampleTable":
        """The rows chosen by a boolean mask or a list of positions, in order, over the same root."""
        rows = self.frame.loc[mask] if isinstance(mask, np.ndarray) and mask.dtype == bool else self.frame.iloc[mask]
        return SampleTable(self.root, rows.reset_index(drop=True))

    def content_hash(self) -> str:
        """SHA-256 of the table as it would be written (names, subjects, ages and the rest, not the pixels)."""
        digest = hashlib.sha256()
        for block in csv_blocks(_ordered(self.frame)):
            digest.update(block)
        return digest.hexdigest()


def make_table(root: Path, rows: list[dict[str, Any]]) -> SampleTable:
    """Build a table from row dictionaries.

    Raises:
        BadInputError: A required column is missing, an age is not a number of years from 0 to 150,
            a file name is used twice or leaves ``root``.
    """
    return table_of(root, pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(REQUIRED_COLUMNS)))


def table_of(root: Path, frame: pd.DataFrame) -> SampleTable:
    """:func:`make_table` of rows in a frame."""
    return SampleTable(Path(root), _checked(frame, str(root)))


def read_samples(folder: Path) -> SampleTable:
    """Read ``folder/metadata.csv``.

    Raises:
        BadInputError: The folder or its table does not exist, or the table breaks the schema.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give an image set (a folder with {METADATA_NAME}).")
    path = folder / METADATA_NAME
    if not path.is_file():
        raise BadInputError(
            f"{folder} has no {METADATA_NAME}; give an image set written by frbias, or import the folder first."
        )
    frame = read_plain(path, TEXT_COLUMNS, NUMBER_COLUMNS)
    if frame is None:
        frame = pd.DataFrame(read_delimited(path).columns, dtype=object)
    return SampleTable(folder, _checked(frame, str(path)))


def write_samples(table: SampleTable, folder: Path | None = None) -> None:
    """Write the table as ``metadata.csv`` in ``folder`` (default: its root), atomically; same table, same bytes."""
    with atomic_path((folder or table.root) / METADATA_NAME) as temporary, temporary.open("wb") as stream:
        stream.writelines(csv_blocks(_ordered(table.frame)))


@dataclass(frozen=True)
class Rejected:
    """A file that gave no image.

    Attributes:
        file: Name of the source.
        reason: One clause.
        subject: Identity label; empty when unknown.
        age: Years; NaN when unknown.
        sex: ``m``, ``f`` or empty.
    """

    file: str
    reason: str
    subject: str = ""
    age: float = math.nan
    sex: str = ""


def rejected_row(row: Mapping[Any, Any], reason: str) -> Rejected:
    """The rejection of one row of a table, given as a dictionary of its columns."""
    sex = row.get("sex")
    return Rejected(
        str(row["file_name"]), reason, str(row["subject"]), float(row["age"]), sex if isinstance(sex, str) else ""
    )


def read_rejected(folder: Path) -> list[Rejected]:
    """The rows of ``folder/rejected.csv``; none when there is no such file.

    Raises:
        BadInputError: The table lacks the columns ``file`` and ``reason``, or an age is no number.
    """
    path = Path(folder) / REJECTED_NAME
    if not path.is_file():
        return []
    found = read_delimited(path)
    try:
        return [
            Rejected(
                row["file"],
                row["reason"],
                row.get("subject", ""),
                float(row.get("age") or "nan"),
                row.get("sex", ""),
            )
            for row in pd.DataFrame(found.columns, dtype=object).to_dict("records")
        ]
    except (KeyError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read as a table of rejected files: {error}.") from error


def write_rejected(folder: Path, rejected: Sequence[Rejected]) -> None:
    """Write ``rejected.csv`` in ``folder``, atomically, or remove it when nothing was rejected."""
    path = Path(folder) / REJECTED_NAME
    if not rejected:
        path.unlink(missing_ok=True)
        return
    frame = pd.DataFrame([asdict(one) for one in rejected])
    write_text(path, frame.map(cell).to_csv(index=False, lineterminator="\n"))


def to_csv_text(frame: pd.DataFrame) -> str:
    """CSV text of a table: required columns first, floats in shortest exact form, unknown as empty."""
    return b"".join(csv_blocks(_ordered(frame))).decode()


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    rest = [c for c in frame.columns if c not in REQUIRED_COLUMNS]
    return frame[[*REQUIRED_COLUMNS, *rest]]


def _checked(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    missing = [c for c in REQUIRED_COLUMNS if c not in frame.columns]
    if missing:
        raise BadInputError(f"{where} lacks the column {missing[0]!r}; required are {', '.join(REQUIRED_COLUMNS)}.")
    frame = frame.copy(deep=False)
    for column in frame.columns:
        if column in TEXT_COLUMNS and frame[column].dtype == "str" and not frame[column].hasnans:
            continue
        if column in TEXT_COLUMNS and isinstance(frame[column].dtype, pd.StringDtype):
            frame[column] = frame[column].fillna("").astype(str)
        elif column in TEXT_COLUMNS:
            frame[column] = (
                frame[column].astype(object).map(lambda v: "" if v is None or v != v else str(v)).astype(str)
            )
        elif column in NUMBER_COLUMNS:
            frame[column] = _numbers(frame[column], column, where)
    ages = frame["age"].to_numpy(dtype=np.float64)
    bad = np.flatnonzero((ages < 0) | (ages > 150) | np.isinf(ages))
    if bad.size:
        raise BadInputError(f"{where}, row {bad[0] + 2}: age {ages[bad[0]]:g} is not between 0 and 150 years.")
    if not are_harmless_names(frame["file_name"]):
        _check_names(frame["file_name"].tolist(), where)
    return frame.reset_index(drop=True)


def _numbers(column: "pd.Series[Any]", name: str, where: str) -> "pd.Series[Any]":
    if column.dtype == np.float64 and not np.isinf(column).any():
        return column

    def parse(position: int, value: Any) -> float:
        if value is None or value == "" or value is pd.NA:
            return math.nan
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise BadInputError(f"{where}, row {position + 2}: {name} {value!r} is not a number.") from None
        if math.isinf(number):
            raise BadInputError(f"{where}, row {position + 2}: {name} {value!r} is not a finite number.")
        return number

    return pd.Series([parse(i, v) for i, v in enumerate(column)], index=column.index, dtype=np.float64)


def _check_names(names: list[str], where: str) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names):
        parts = name.replace("\\", "/").split("/")
        if len(name) > MAX_NAME:
            raise BadInputError(
                f"{where}, row {position + 2}: file_name has {len(name)} characters; at most {MAX_NAME}."
            )
        if all(part in ("", ".") for part in parts) and name:
            raise BadInputError(f"{where}, row {position + 2}: file_name {name!r} names no file.")
        if not name or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise BadInputError(f"{where}, row {position + 2}: file_name {name!r} leaves the folder.")
        if name in seen:
            raise BadInputError(f"{where}, row {position + 2}: file_name {name!r} is used twice.")
        seen.add(name)
