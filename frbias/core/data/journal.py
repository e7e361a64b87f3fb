"""The journal of an image set in the making: a line of JSON for every finished unit, its rows below it, in a file for every rank.

The line has the unit's ``unit`` (key), the ``count`` of its rows, the ``bytes`` of what is below it, and what was ``rejected``
(a list in JSON), if anything. Below it are the names of the columns and the rows as they will stand in ``metadata.csv``,
``file_name`` first; nothing when there are no rows. Where they need quotes, or one of them looks like the line of a unit,
they are in that line instead, as ``columns`` and ``rows``: so every line that begins with a brace is that of a unit. All of it
is written after the files of the rows; what was torn by a crash, or is damaged, is ignored.
"""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from frbias.core.data.journal_lines import BRACE, Block, Room, blocks_of, rejection_record
from frbias.core.data.listing import Listing
from frbias.core.data.samples import NUMBER_COLUMNS, TEXT_COLUMNS, Rejected
from frbias.core.data.table_reading import fill, frame_of
from frbias.core.data.table_text import cell
from frbias.core.foundation.ahead import done_ahead
from frbias.core.foundation.folders import JOURNAL

_CHUNK = 4 * 1024**2  # bytes read at a time
_THREADS = 2  # that parse
_room = Room()
_LOST = "lost"  # beside the journal when files of it were found missing
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Journal:
    """Units that were made.

    Attributes:
        blocks: Of lines that have the same columns.
        places: Unit -> its row in ``where``.
        where: Number of a block, and of a unit in it, shape (n, 2).
        lost: Whether units were left out because files of them are not there.
    """

    blocks: list[Block] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    where: Int64 = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    lost: bool = False

    def __contains__(self, unit: str) -> bool:
        return unit in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, units: Iterable[str]) -> int:
        """How many rows some units have."""
        return sum(int(self.blocks[block].counts[number]) for block, number in self._where(units).tolist())

    def rejected(self, unit: str) -> Sequence[Rejected]:
        """What of a unit gave no image."""
        block, number = self.where[self.places[unit]].tolist()
        return self.blocks[block].rejected.get(number, ())

    def frame(self, units: Sequence[str]) -> pd.DataFrame:
        """The rows of units, in their order; columns in the order in which they come up."""
        wanted = self._where(units)
        counts = np.zeros(len(wanted), np.int64)
        starts = np.zeros(len(wanted), np.int64)
        tables, place = [], 0
        for number in self._in_order_of_columns(wanted):
            block, mine = self.blocks[number], wanted[:, 0] == number
            counts[mine] = block.counts[wanted[mine, 1]]
            starts[mine] = place + block.starts[wanted[mine, 1]]
            tables.append(block.table)
            place += block.table.num_rows
        if not counts.sum():
            return pd.DataFrame()
        table = pa.concat_tables(tables, promote_options="default")
        rows = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        if len(rows) != table.num_rows or (rows != np.arange(len(rows))).any():
            table = table.take(pa.array(rows))
        return frame_of(table, TEXT_COLUMNS, NUMBER_COLUMNS)

    def _where(self, units: Iterable[str]) -> Int64:
        return self.where[np.fromiter(map(self.places.__getitem__, units), np.int64)]

    def _in_order_of_columns(self, wanted: Int64) -> list[int]:
        """Blocks with rows that are wanted, those with the columns of the first unit first."""
        numbers, first = np.unique(wanted[:, 0], return_index=True)
        numbers = numbers[np.argsort(first)]
        used = [int(number) for number in numbers if self.blocks[int(number)].table.num_rows]
        kinds = list(dict.fromkeys(self.blocks[number].columns for number in used))
        return sorted(used, key=lambda number: (kinds.index(self.blocks[number].columns), number))


def append(stream: IO[bytes], unit: str, rows: Sequence[Mapping[str, Any]], rejected: Sequence[Rejected]) -> None:
    """Add a unit's line, and see that it is on disk.

    Raises:
        ValueError: A number is not finite.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    values = [[row.get(name) for name in columns] for row in rows]
    if any(isinstance(value, float) and not math.isfinite(value) for row in values for value in row):
        raise ValueError(f"a number of unit {unit} is not finite")
    names = _csv([columns]) if columns else ""
    text = _csv([[cell(value) for value in row] for row in values])
    below = _plain(names + text)
    line: dict[str, str | int] = {"unit": unit, "count": len(rows)}
    line |= {"columns": names.rstrip("\n"), "rows": text} if below is None else {"bytes": len(below)}
    if rejected:
        line["rejected"] = json.dumps([rejection_record(one) for one in rejected], allow_nan=False)
    stream.write(json.dumps(line).encode() + b"\n" + (below or b""))
    stream.flush()
    os.fsync(stream.fileno())


def read_journal(out: Path, *, listed: bool = False) -> Journal:
    """Units of every rank whose files are all there. Files are not looked at one by one.

    Args:
        out: The image set.
        listed: List every folder; else those alone that have changed since the journal was written. A file that was
            removed while the set was being made is noticed by listing alone.
    """
    paths = sorted((Path(out) / JOURNAL).glob("rank-*.jsonl"))
    there, blocks, lost = Listing(out, 0 if listed else _written(out, paths)), list[Block](), False
    units, found = list[str](), list[Int64]()  # place in the files, number of the block, number in it
    for at, (some,) in done_ahead(_parsing(paths), threads=_THREADS, depth=2 * _THREADS):
        for block in some:
            whole = np.flatnonzero(_are_whole(block, there))
            lost |= len(whole) < len(block.units)
            units += [block.units[number] for number in whole.tolist()]
            found.append(np.stack([at + np.asarray(block.lines)[whole], np.full_like(whole, len(blocks)), whole], 1))
            blocks.append(block)
    if not units:
        return Journal(lost=lost)
    every = np.concatenate(found)
    order = np.argsort(every[:, 0], kind="stable")
    return Journal(blocks, {units[place]: place for place in order.tolist()}, every[:, 1:], lost)


def note_losses(out: Path) -> None:
    """Have all folders listed whenever the journal is read from now on."""
    (Path(out) / JOURNAL / _LOST).touch()


def _written(out: Path, paths: Sequence[Path]) -> int:
    """When the journal was written last, in nanoseconds: all its files were there then. 0 when some were found missing."""
    if not paths or (Path(out) / JOURNAL / _LOST).exists():
        return 0
    return min(path.stat().st_mtime_ns for path in paths)


def _parsing(paths: Sequence[Path]) -> Iterator[tuple[int, list[Callable[[], list[Block]]]]]:
    """Reading the pieces of all files, each with a number that grows by more than the lines."""
    at = 0
    for path in paths:
        for start, end in _pieces(path):
            yield at, [partial(_read_piece, path, start, end)]
            at += end - start + 1


def _pieces(path: Path) -> Iterator[tuple[int, int]]:
    """First byte of some whole units of a file, and the first behind them."""
    with path.open("rb") as stream:
        start, size = 0, os.fstat(stream.fileno()).st_size
        while start < size:
            stream.seek(start + _CHUNK)
            stream.readline()
            while stream.peek(1)[:1] not in (b"", BRACE):
                stream.readline()
            end = min(stream.tell(), size)
            yield start, end
            start = end


def _read_piece(path: Path, start: int, end: int) -> list[Block]:
    data = _room.of("piece", end - start)
    with path.open("rb", buffering=0) as stream:
        stream.seek(start)
        count = fill(data, stream)
    return blocks_of(data[:count], _room)


def _are_whole(block: Block, there: Listing) -> npt.NDArray[np.bool_]:
    """Which units of a block have all of their files."""
    if not block.table.num_rows:
        return np.ones(len(block.units), np.bool_)
    here = there.of(block.table.column("file_name").combine_chunks(), block.folders)
    if here.all():
        return np.ones(len(block.units), np.bool_)
    lost = np.cumsum(np.concatenate([[0], ~here]))
    return np.asarray(lost[block.starts + block.counts] == lost[block.starts])


def _plain(rows: str) -> bytes | None:
    """Rows that can be read without care and cannot be taken for the line of a unit; None of others."""
    if '"' in rows or "\r" in rows or "\n{" in f"\n{rows}":
        return None
    try:
        return rows.encode()
    except UnicodeEncodeError:
        return None


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    returns = any("\r" in value for row in rows for value in row)  # they end a line, and old Pythons do not quote them
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL).writerows(rows)
    return text.getvalue()
