"""The units of a journal as columns: many at a time by Arrow, and one by one where it finds anything odd."""

import csv
import io
import json
import math
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from frbias.core.data.listing import folders_of
from frbias.core.data.samples import NUMBER_COLUMNS, Rejected
from frbias.core.data.table_reading import POOL

_LINE = pa.schema(
    [
        ("unit", pa.large_string()),
        ("count", pa.int64()),
        ("bytes", pa.int64()),
        ("rejected", pa.large_string()),
    ]
)
BRACE = b"{"  # the line of a unit begins with it, and no row does
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, csv.Error)
Int64 = npt.NDArray[np.int64]
Record = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """Units whose rows have the same columns.

    Attributes:
        columns: Names, ``file_name`` first; none when no unit has rows.
        units: Keys.
        lines: Number of each, ascending: of units, or of lines.
        counts: Rows of each.
        rejected: Number of a unit -> what of it gave no image.
        table: The rows of all of them, one after the other.
        folders: Those of the files of the rows, each with its ``/``.
    """

    columns: tuple[str, ...]
    units: Sequence[str]
    lines: Sequence[int]
    counts: Int64
    rejected: Mapping[int, Sequence[Rejected]]
    table: Any
    folders: Set[str]

    @property
    def starts(self) -> Int64:
        """First row of every unit."""
        return np.cumsum(self.counts) - self.counts


class Room(threading.local):
    """Memory that a thread uses again, since getting new memory from the system takes as long as the reading."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def of(self, name: str, size: int) -> memoryview:
        """So many bytes for one use of them, until it is asked for again."""
        if name not in self.held or size > self.held[name].size:
            self.held[name] = pa.allocate_buffer(size, memory_pool=POOL)
        return memoryview(self.held[name])[:size]

    def as_arrow(self, name: str, size: int) -> Any:
        """The same bytes as Arrow reads them: memory of its own, as :mod:`table_reading` says."""
        return self.held[name].slice(0, size)


def blocks_of(data: memoryview, room: Room) -> list[Block]:
    """The units of some lines; those that are damaged are left out."""
    try:
        return list(_parsed(data, room))
    except (pa.ArrowException, *_DAMAGE):
        return list(_looked_at(bytes(data)))


def rejection_record(one: Rejected) -> Record:
    """What gave no image, as JSON."""
    return {**asdict(one), "age": None if math.isnan(one.age) else one.age}


def _rejections(text: str) -> list[Rejected]:
    return [
        Rejected(**{**one, "age": math.nan if one["age"] is None else float(one["age"])}) for one in json.loads(text)
    ]


def _names(columns: str) -> tuple[str, ...]:
    """The names that a line gives its columns.

    Raises:
        ValueError: They are none.
    """
    if not columns:
        return ()
    (names,) = csv.reader([columns], strict=True)
    if names[0] != "file_name" or len(set(names)) < len(names):
        raise ValueError("no columns of an image set")
    return tuple(names)


def _type(name: str) -> Any:
    return pa.float64() if name in NUMBER_COLUMNS else pa.large_string()


def _parsed(data: memoryview, room: Room) -> Iterator[Block]:
    """All units at once.

    Raises:
        ValueError, pyarrow.ArrowException: There is something odd about one of them.
    """
    places = _places(data)
    if not len(places.line):
        return
    text = _joined(data, places.line, places.names - places.line, room, "units")
    lines = pyarrow.json.read_json(
        room.as_arrow("units", len(text)),
        pyarrow.json.ReadOptions(
            use_threads=False, block_size=len(text)
        ),  # in one piece, which need not be put together
        pyarrow.json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="error"),
        memory_pool=POOL,
    ).combine_chunks()
    if any(lines.column(name).null_count for name in ("unit", "count", "bytes")):
        raise ValueError("a line lacks something")
    told = lines.column("count").to_numpy(), lines.column("bytes").to_numpy()
    if not (np.array_equal(told[0], places.counts) and np.array_equal(told[1], places.end - places.names)):
        raise ValueError("other rows than there should be")
    for columns, at in _kinds(data, places).items():
        size = len(_joined(data, places.rows[at], (places.end - places.rows)[at], room, "rows"))
        rows = room.as_arrow("rows", size)
        yield _parsed_alike(
            lines if len(at) == len(lines) else lines.take(pa.array(at)), at, places.counts[at], rows, _names(columns)
        )


class _Places(NamedTuple):
    """Where things are, of every unit.

    Attributes:
        line, names, rows, end: First byte of its line, of the names of its columns, of its rows, and that behind these.
        counts: Number of its rows.
    """

    line: Int64
    names: Int64
    rows: Int64
    end: Int64
    counts: Int64


def _places(data: memoryview) -> _Places:
    """Where the units of some lines are; empty lines behind them are none.

    Raises:
        ValueError: The last line is cut off, or rows are not where they should be.
    """
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == ord("\n")) + 1
    if len(letters) and (not len(ends) or ends[-1] < len(letters)):
        raise ValueError("a line that is cut off")
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    empty = np.concatenate([np.zeros(1, np.int64), np.cumsum(letters[starts[:-1]] == ord("\n"))])
    units = np.flatnonzero(letters[starts[:-1]] == ord(BRACE))
    behind = np.append(units, len(ends))[1:]  # the line behind the last row
    if empty[units[0] if len(units) else len(ends)] < (units[0] if len(units) else len(ends)):
        raise ValueError("rows of no unit")
    without = empty[behind] - empty[units]
    below, end = behind - units - 1 - without, starts[behind] - without
    if (below == 1).any() or (letters[(end - 1)[below > 0]] != ord("\n")).any():
        raise ValueError("columns without rows, or an empty line among rows")
    rows = np.where(below > 0, starts[np.minimum(units + 2, len(ends))], end)
    return _Places(starts[units], ends[units], rows, end, np.maximum(below - 1, 0))


def _kinds(data: memoryview, places: _Places) -> dict[str, Int64]:
    """Columns (a line of CSV; none of units without rows) -> numbers of the units that have them."""
    widths = places.rows - places.names
    if (widths == widths[0]).all() and len(data) >= places.names[-1] + widths[0]:
        windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), max(widths[0], 1))
        if not widths[0] or (windows[places.names] == windows[places.names[0]]).all():
            return {str(data[places.names[0] : places.rows[0]], "utf-8").rstrip("\n"): np.arange(len(widths))}
    found: dict[bytes, list[int]] = {}
    for number, (start, end) in enumerate(zip(places.names.tolist(), places.rows.tolist(), strict=True)):
        found.setdefault(bytes(data[start:end]), []).append(number)
    return {names.decode().rstrip("\n"): np.array(at, np.int64) for names, at in found.items()}


def _joined(data: memoryview, starts: Int64, sizes: Int64, room: Room, name: str) -> memoryview:
    """Parts of some bytes, one after the other."""
    found, place = room.of(name, int(sizes.sum())), 0
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):  # no list of parts: it would be looked
        found[place : place + size] = data[start : start + size]  # through for garbage again and again
        place += size
    return found


def _parsed_alike(lines: Any, at: Int64, counts: Int64, rows: Any, names: tuple[str, ...]) -> Block:
    """Units with the same columns; ``rows`` are an Arrow buffer."""
    letters = np.frombuffer(rows, np.uint8)
    if (letters == ord('"')).any() or (letters == ord("\r")).any():
        raise ValueError("rows that need care")
    table = _table(rows, names)
    if table.num_rows != counts.sum():
        raise ValueError("rows that are none")
    given = lines.column("rejected").to_pylist()
    rejected = {number: _rejections(one) for number, one in enumerate(given) if one}
    return Block(names, lines.column("unit").to_pylist(), at.tolist(), counts, rejected, table, _folders(table))


def _folders(table: Any) -> Set[str]:
    if not table.num_rows:
        return frozenset()
    return folders_of(table.column("file_name").combine_chunks())


def _table(text: Any, names: tuple[str, ...]) -> Any:
    if not text.size:
        return pa.table({})
    table = pyarrow.csv.read_csv(
        text,
        pyarrow.csv.ReadOptions(use_threads=False, column_names=names),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: _type(name) for name in names}, null_values=[""], strings_can_be_null=False
        ),
        memory_pool=POOL,
    )
    numbers = [name for name in names if name in NUMBER_COLUMNS]
    if any(pc.any(pc.is_inf(table.column(name))).as_py() for name in numbers):
        raise ValueError("a number is not finite")
    return table


@dataclass
class _Alike:
    """Units with the same columns, as they come."""

    units: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    rejected: dict[int, list[Rejected]] = field(default_factory=dict)
    rows: list[list[Any]] = field(default_factory=list)

    def block(self, names: tuple[str, ...]) -> Block:
        columns = list(zip(*self.rows, strict=True)) or [()] * len(names)
        table = pa.table({n: pa.array(c, _type(n)) for n, c in zip(names, columns, strict=True)})
        return Block(
            names, self.units, self.lines, np.array(self.counts, np.int64), self.rejected, table, _folders(table)
        )


def _looked_at(data: bytes) -> Iterator[Block]:
    """Units one by one, those that are damaged left out."""
    found: dict[tuple[str, ...], _Alike] = {}
    lines = data.split(b"\n")
    for number, line in enumerate(lines):
        if not line.startswith(BRACE):
            continue
        try:
            record = json.loads(line)
            names, rows = _below(record, lines, number + 1) if "bytes" in record else _within(record)
            rejected = _rejections(record.get("rejected", "[]"))
            (record["unit"] + "".join(names)).encode()
        except _DAMAGE:
            continue
        one = found.setdefault(names, _Alike())
        if rejected:
            one.rejected[len(one.units)] = rejected
        one.units.append(record["unit"])
        one.lines.append(number)
        one.counts.append(len(rows))
        one.rows += rows
    for names, one in found.items():
        yield one.block(names)


def _within(record: Record) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and values of the rows that are in the line of a unit.

    Raises:
        ValueError, csv.Error: They are damaged.
    """
    names, text = _names(record["columns"]), record["rows"]
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if rows and not text.endswith("\n"):
        raise ValueError("a line that is cut off")
    if len(rows) != record["count"] or any(len(row) != len(names) for row in rows):
        raise ValueError("another number of rows, or of values")
    text.encode()
    return names, [[_value(name, text) for name, text in zip(names, row, strict=True)] for row in rows]


def _below(record: Record, lines: Sequence[bytes], first: int) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and values of the rows below the line of a unit.

    Args:
        record: What that line says.
        lines: All lines.
        first: Number of the line behind it.

    Raises:
        ValueError: They are torn, or others than there should be.
    """
    count = operator.index(record["count"])
    mine = lines[first : first + count + 1] if count else []
    text = b"".join(line + b"\n" for line in mine)
    if len(text) != record["bytes"] or first + len(mine) >= len(lines):  # the last line has no end
        raise ValueError("other rows than there should be")
    columns, _, rows = text.decode().partition("\n")
    return _within({"columns": columns, "rows": rows, "count": count})


def _value(name: str, text: str) -> str | float | None:
    if name not in NUMBER_COLUMNS:
        return text
    if text and not math.isfinite(float(text)):
        raise ValueError("a number is not finite")
    return float(text) if text else None
