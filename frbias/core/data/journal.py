"""The journal of an image set in the making: one line of JSON for every finished unit, in a file for every rank.

A line has the unit's ``unit`` (key), the ``columns`` of its rows, the ``rows`` (lists of values, ``file_name`` first) and
what was ``rejected``. It is written after the files of its rows; a line torn by a crash is ignored.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from frbias.core.foundation.folders import JOURNAL

_BLOCK = 5000
Record = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A unit that was made.

    Attributes:
        columns: Of its rows, ``file_name`` first.
        rows: Values of every row.
        rejected: Its tasks without an image.
    """

    columns: tuple[str, ...]
    rows: list[list[Any]]
    rejected: list[Record]


def append(stream: IO[bytes], unit: str, rows: Sequence[Mapping[str, Any]], rejected: Sequence[Record]) -> None:
    """Add a unit's line, and see that it is on disk."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    values = [[row.get(name) for name in columns] for row in rows]
    line = {"unit": unit, "columns": columns, "rows": values, "rejected": list(rejected)}
    stream.write(json.dumps(line, allow_nan=False).encode() + b"\n")
    stream.flush()
    os.fsync(stream.fileno())


def read_journal(out: Path) -> dict[str, Finished]:
    """Units of every rank whose files are all there, by key. Folders are listed, files are not looked at one by one."""
    found: dict[str, Finished] = {}
    there = _Listing(Path(out))
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    for path in sorted((Path(out) / JOURNAL).glob("rank-*.jsonl")):
        with path.open("rb") as stream:
            for line in stream:
                try:
                    record = json.loads(line)
                    columns = tuple(record["columns"])
                    one = Finished(shared.setdefault(columns, columns), record["rows"], record["rejected"])
                    names = [row[0] for row in one.rows]
                    if all(name in there for name in names):
                        found[record["unit"]] = one
                except (ValueError, KeyError, TypeError, IndexError):
                    continue
    return found


def journal_frame(units: Sequence[Finished]) -> pd.DataFrame:
    """The rows of units, in their order."""
    blocks = [block for start in range(0, len(units), _BLOCK) for block in _frames(units[start : start + _BLOCK])]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame()


def _frames(units: Sequence[Finished]) -> Iterator[pd.DataFrame]:
    """Frames of consecutive units with the same columns."""
    start = 0
    for end in range(1, len(units) + 1):
        if end == len(units) or units[end].columns != units[start].columns:
            rows = [row for unit in units[start:end] for row in unit.rows]
            if rows:
                yield pd.DataFrame(rows, columns=list(units[start].columns))
            start = end


class _Listing:
    """Which files are below a folder; every folder is listed once, when one of its files is asked for."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.folders: dict[str, set[str]] = {}

    def __contains__(self, name: str) -> bool:
        folder, _, base = name.rpartition("/")
        if folder not in self.folders:
            try:
                self.folders[folder] = set(os.listdir(os.path.join(self.root, folder)))
            except OSError:
                self.folders[folder] = set()
        return base in self.folders[folder]
