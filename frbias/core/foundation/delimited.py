"""Tables as delimited text, strictly: what cannot be read without guessing is refused with its line.

Spreadsheets of some countries write decimal commas and semicolons, and readers that guess turn such a file into other
numbers without a word. Here every row has as many fields as the header, and nothing becomes an index.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from frbias.core.foundation.errors import BadInputError

_NAMES = {",": "comma", "\t": "tab", ";": "semicolon"}
_MAX_FIELD = 1_000_000


@dataclass(frozen=True)
class Delimited:
    """A table of texts.

    Attributes:
        columns: Name -> values, in the order of the file.
        lines: Line of the file that each row ends on, from 1.
    """

    columns: dict[str, list[str]]
    lines: list[int]


def read_delimited(path: Path, separators: str = ",") -> Delimited:
    """Read a table with a header.

    Args:
        path: UTF-8 text, with or without byte order mark.
        separators: Those allowed; the header says which one is used, the first of them that it holds.

    Raises:
        BadInputError: A row has too many or too few fields, the header names a column twice or not at all, or the
            text is no such table; the line is named.
    """
    path = Path(path)
    csv.field_size_limit(_MAX_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return _read(path, stream, separators)
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8 text; save it as CSV, UTF-8.") from error


def check_delimited(path: Path, separators: str = ",") -> None:
    """Refuse what :func:`read_delimited` would refuse, keeping nothing: for large tables that a faster reader reads.

    Raises:
        BadInputError: As :func:`read_delimited`.
    """
    path = Path(path)
    csv.field_size_limit(_MAX_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for _ in _even_rows(path, stream, separators):
                pass
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8 text; save it as CSV, UTF-8.") from error


def _read(path: Path, stream: TextIO, separators: str) -> Delimited:
    rows = _even_rows(path, stream, separators)
    _, names = next(rows)
    columns: list[list[str]] = [[] for _ in names]
    lines: list[int] = []
    for line, fields in rows:
        lines.append(line)
        for column, value in zip(columns, fields, strict=True):
            column.append(value)
    return Delimited(dict(zip(names, columns, strict=True)), lines)


def _even_rows(path: Path, stream: TextIO, separators: str) -> Iterator[tuple[int, list[str]]]:
    """The names of the columns, then every row, each with its line and as many fields as there are names."""
    first = stream.readline()
    stream.seek(0)
    separator = next((s for s in separators if s in first), separators[0])
    rows = _rows(path, stream, separator)
    line, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    _check_header(path, names, separator)
    yield line, names
    for line, fields in rows:
        if len(fields) != len(names):
            raise BadInputError(f"{path}, line {line}: {_misfit(fields, len(names), separator)}")
        yield line, fields


def _rows(path: Path, stream: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(stream, delimiter=separator, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInputError(f"{path}, line {reader.line_num}: cannot be read as CSV ({error}).") from error
        if fields:
            yield reader.line_num, fields


def _check_header(path: Path, names: list[str], separator: str) -> None:
    if not any(names):
        raise BadInputError(f"{path} has no header; its first line names the columns.")
    if "" in names:
        trailing = names[-1] == "" and "" not in names[:-1]
        where = f"ends with a {_NAMES[separator]}" if trailing else f"has no name for column {names.index('') + 1}"
        raise BadInputError(f"{path}, line 1: the header {where}; every column needs a name.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"{path}, line 1: the column {twice!r} is there twice.")


def _misfit(fields: list[str], wanted: int, separator: str) -> str:
    sentence = f"{len(fields)} fields where the header has {wanted}"
    if len(fields) == wanted + 1 and fields[-1] == "":
        return f"{sentence}; the line ends with a {_NAMES[separator]} too many."
    if separator == "," and len(fields) > wanted:
        return f"{sentence}; write numbers with a decimal point, not a comma, or put the field in quotes."
    other = next((s for s in _NAMES if s != separator and any(s in field for field in fields)), None)
    if len(fields) < wanted and other is not None:
        return f"{sentence}; it is separated by a {_NAMES[other]}, the header by a {_NAMES[separator]}."
    return f"{sentence}."
