"""Any folder, with a CSV file that says who is who: columns ``file_name, subject, age`` or common names for them."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from frbias.core.data.samples import SampleTable, make_table
from frbias.core.foundation.delimited import read_delimited
from frbias.core.foundation.errors import BadInputError, reason_of

MAX_BYTES = 1024**3
SYNONYMS = {
    "file_name": ("file_name", "filename", "file", "path", "image", "image_path", "img"),
    "subject": ("subject", "subject_id", "identity", "id", "person", "person_id", "name", "label"),
    "age": ("age", "age_years", "years"),
    "sex": ("sex", "gender"),
    "ethnicity": ("ethnicity", "race"),
}
_SEX = {"m": "m", "male": "m", "man": "m", "f": "f", "female": "f", "woman": "f"}


def read_csv_table(path: Path) -> tuple[SampleTable, list[tuple[str, str]]]:
    """Read a CSV file that lists images relative to its own folder.

    Returns:
        The table, and (file, reason) of every line whose image is missing or leaves the folder.

    Raises:
        BadInputError: It is no CSV file, a line has more or fewer fields than the header, it names no files, or an age
            is no number of years.
    """
    path = Path(path)
    frame = _read(path)
    columns = {_column(frame, wanted): wanted for wanted in SYNONYMS}
    columns.pop(None, None)
    frame = frame.rename(columns={str(old): new for old, new in columns.items()})
    if "file_name" not in frame.columns:
        raise BadInputError(
            f"{path} has no column of file names; call it file_name (also known: {', '.join(SYNONYMS['file_name'][1:])})."
        )
    for column in ("subject", "age"):
        if column not in frame.columns:
            frame[column] = ""
    if "sex" in frame.columns:
        frame["sex"] = frame["sex"].map(lambda v: _SEX.get(str(v).strip().lower(), ""))
    rows: list[dict[str, Any]] = []
    rejected: list[tuple[str, str]] = []
    seen: set[str] = set()
    for row in frame.to_dict("records"):
        name = str(row["file_name"]).replace("\\", "/").removeprefix("./")
        problem = "listed twice" if name in seen else _problem(path.parent, name)
        seen.add(name)
        if problem:
            rejected.append((name if name.isprintable() else ascii(name), problem))
        else:
            rows.append({**{str(k): v for k, v in row.items()}, "file_name": name})
    if not rows:
        raise BadInputError(f"{path} lists no image that is there; file names are relative to {path.parent}.")
    return make_table(path.parent, rows), rejected


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInputError(f"{path} has more than {MAX_BYTES} bytes.")
        return pd.DataFrame(read_delimited(path, ",;\t").columns, dtype=object)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read as CSV: {reason_of(error)}") from error


def _column(frame: pd.DataFrame, wanted: str) -> str | None:
    present = {re.sub(r"[\s_-]+", "_", str(c).strip().lower()): str(c) for c in frame.columns}
    return next((present[name] for name in SYNONYMS[wanted] if name in present), None)


def _problem(root: Path, name: str) -> str:
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or ":" in parts[0]:
        return "leaves the folder"
    target = root / name
    try:
        if not target.resolve().is_relative_to(root.resolve()):
            return "a link that leaves the folder"
        return "" if target.is_file() else "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, RuntimeError):  # a name that no file has, links that lead in a circle
        return "no name that a file can have"
