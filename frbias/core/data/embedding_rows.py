"""The rows beside embeddings that anybody made: which columns are needed, and what they may hold.

===========  ========  ==========================================================================
column       needed    meaning
===========  ========  ==========================================================================
subject      yes       identity label
embedding    yes       one vector a row; as a table of numbers ``e0``, ``e1`` ... where a file has no lists
age          no        years, 0 to 150; empty or NaN when unknown
sex          no        ``m``, ``f`` or empty
file_name    no        path of the image relative to its image set; rows are numbered without it
===========  ========  ==========================================================================

Names of columns are compared in lower case with ``_`` for spaces and dashes. Other columns are kept as they are.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.foundation.errors import BadInputError

COLUMNS = ("file_name", "subject", "age", "sex")
NEEDED = "needed are 'subject' and 'embedding' (or e0, e1, ...); 'age', 'sex' and 'file_name' are optional"
MAX_NAME = 1024
_NUMBERS = ("yaw", "pitch", "detector_score", "quality", "estimated_age")
_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


def normal_name(column: object) -> str:
    """A column's name as it is compared: lower case, ``_`` for spaces and dashes."""
    return re.sub(r"[\s-]+", "_", str(column).strip().lower())


def vector_columns(names: list[str], where: Path) -> list[str]:
    """The columns ``e0`` .. ``eD`` of a table without lists, in order.

    Raises:
        BadInputError: There are none, or one in between is missing.
    """
    present = {name for name in names if re.fullmatch(r"e\d{1,6}", name)}
    wanted = [f"e{i}" for i in range(len(present))]
    if not present:
        raise BadInputError(f"{where} has no column 'embedding' and none called 'e0'; {NEEDED}.")
    if missing := [name for name in wanted if name not in present]:
        raise BadInputError(f"{where} has {len(present)} columns of an embedding, but lacks {missing[0]!r}.")
    return wanted


def checked_matrix(matrix: npt.NDArray[Any], rows: int, where: Path) -> npt.NDArray[np.float32]:
    """``matrix`` as float32 (rows, D).

    Raises:
        BadInputError: Another shape, no numbers, a value that is not finite in float32, or a vector of zeros.
    """
    if matrix.dtype.kind not in "fiu":
        raise BadInputError(f"{where}: the embedding is made of {matrix.dtype}, not of numbers.")
    if matrix.ndim != 2 or len(matrix) != rows or (rows and not matrix.shape[1]):
        raise BadInputError(
            f"{where}: {rows} rows cannot have an embedding of shape {matrix.shape}; it has to be (rows, D)."
        )
    with np.errstate(over="ignore"):
        exact = np.ascontiguousarray(matrix, dtype=np.float32)
    bad = ~np.isfinite(exact).all(axis=1)
    if bad.any():
        raise BadInputError(f"{where}, row {int(np.argmax(bad)) + 1}: the embedding is not finite.")
    zero = ~exact.any(axis=1)
    if zero.any():
        raise BadInputError(
            f"{where}, row {int(np.argmax(zero)) + 1}: the embedding is all zeros, so it has no direction."
        )
    return exact


def checked_rows(frame: pd.DataFrame, where: Path) -> pd.DataFrame:
    """The rows with ``file_name``, ``subject``, ``age``, ``sex`` first and of the right types, further columns after them.

    Raises:
        BadInputError: ``subject`` is missing, or a value cannot be what its column says; names the row.
    """
    frame = frame.rename(columns={name: normal_name(name) for name in frame.columns}).reset_index(drop=True)
    if frame.columns.has_duplicates:
        raise BadInputError(f"{where} has two columns called {frame.columns[frame.columns.duplicated()][0]!r}.")
    if "subject" not in frame.columns:
        raise BadInputError(f"{where} lacks the column 'subject'; {NEEDED}.")
    count = len(frame)
    known: dict[str, Any] = {
        "file_name": _names(frame["file_name"], where) if "file_name" in frame.columns else _numbered(count),
        "subject": _text(frame["subject"]),
        "age": _ages(frame["age"], where) if "age" in frame.columns else np.full(count, np.nan),
        "sex": _sexes(frame["sex"]) if "sex" in frame.columns else np.full(count, "", object),
    }
    for name in frame.columns:
        if name in _NUMBERS:
            known[name] = _numbers(frame[name], where)
        elif name not in known:
            known[name] = frame[name]
    return pd.DataFrame(known)


def _numbered(count: int) -> list[str]:
    return [f"row-{i}" for i in range(count)]


def _text(column: "pd.Series[Any]") -> npt.NDArray[Any]:
    """Labels as text: nothing as empty, 7.0 as 7."""
    values = column.to_numpy(dtype=object)
    missing = pd.isna(column).to_numpy()
    return np.array([_label(v) if not gone else "" for v, gone in zip(values, missing, strict=True)], dtype=object)


def _label(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _sexes(column: "pd.Series[Any]") -> npt.NDArray[Any]:
    short = {"male": "m", "female": "f", "man": "m", "woman": "f", "M": "m", "F": "f"}
    return np.array([short.get(v, short.get(v.lower(), v)) for v in _text(column)], dtype=object)


def _names(column: "pd.Series[Any]", where: Path) -> npt.NDArray[Any]:
    names = _text(column)
    seen: set[str] = set()
    for row, name in enumerate(names, start=1):
        problem = (
            "is empty" if not name.strip(" .") else
            "is too long" if len(name) > MAX_NAME else
            "leaves the folder of the images; write paths relative to it" if _OUTSIDE.search(name) or "\0" in name else
            "is used twice" if name in seen else ""
        )  # fmt: skip
        if problem:
            raise BadInputError(f"{where}, row {row}: file_name {name[:80]!r} {problem}.")
        seen.add(name)
    return names


def _ages(column: "pd.Series[Any]", where: Path) -> npt.NDArray[np.float64]:
    ages = _numbers(column, where)
    with np.errstate(invalid="ignore"):
        bad = (ages < 0) | (ages > 150)
    if bad.any():
        row = int(np.argmax(bad))
        raise BadInputError(f"{where}, row {row + 1}: age {ages[row]:g} is not between 0 and 150 years.")
    return ages


def _numbers(column: "pd.Series[Any]", where: Path) -> npt.NDArray[np.float64]:
    """Finite numbers, NaN where nothing is given."""
    given = column.notna().to_numpy()
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        for row, value in enumerate(column.to_numpy(dtype=object), start=1):
            if isinstance(value, list | tuple | dict | set | np.ndarray):
                raise BadInputError(f"{where}, row {row}: {column.name} {str(value)[:40]!r} is not a number.")
        given = given & np.array([v != "" for v in column.to_numpy(dtype=object)], dtype=bool)
    found = pd.to_numeric(column.where(given), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if column.dtype == bool or (given & ~np.isfinite(found)).any():
        row = 0 if column.dtype == bool else int(np.argmax(given & ~np.isfinite(found)))
        raise BadInputError(f"{where}, row {row + 1}: {column.name} {str(column.iloc[row])[:40]!r} is not a number.")
    return found
