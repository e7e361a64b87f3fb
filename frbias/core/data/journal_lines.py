"""The units of a journal as columns: many at a time by Arrow, and one by one where it finds anything odd."""

import csv
import io
import json
import math
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any

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
        ("columns", pa.large_string()),
        ("count", pa.int64()),
        ("rejected", pa.large_string()),
        ("bytes", pa.int64()),
    ]
)
BRACE = b"{"  # the line of a unit begins with it, and no row does
_NOTHING = "[]"
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
        self.held: dict[str, bytearray] = {}

    def of(self, name: str, size: int) -> memoryview:
        """So many bytes for one use of them, until it is asked for again."""
        if size > len(self.held.get(name, b"")):
            self.held[name] = bytearray(size)
        return memoryview(self.held.get(name, bytearray()))[:size]


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
    starts, firsts, sizes, counts = _places(data)
    if not len(starts):
        return
    text = _joined(data, starts, firsts - starts, room.of("units", int((firsts - starts).sum())))
    lines = pyarrow.json.read_json(
        pa.py_buffer(text),
        pyarrow.json.ReadOptions(
            use_threads=False, block_size=len(text)
        ),  # in one piece, which need not be put together
        pyarrow.json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="error"),
        memory_pool=POOL,
    ).combine_chunks()
    if any(column.null_count for column in lines.columns):
        raise ValueError("a line lacks something")
    told = lines.column("count").to_numpy(), lines.column("bytes").to_numpy()
    if not (np.array_equal(told[0], counts) and np.array_equal(told[1], sizes)):
        raise ValueError("other rows than there should be")
    kinds = lines.column("columns").combine_chunks().dictionary_encode()
    for kind, columns in enumerate(kinds.dictionary.to_pylist()):
        at = np.flatnonzero(kinds.indices.to_numpy() == kind)
        rows = _joined(data, firsts[at], sizes[at], room.of("rows", int(sizes[at].sum())))
        yield _parsed_alike(
            lines if len(at) == len(lines) else lines.take(pa.array(at)), at, counts[at], rows, _names(columns)
        )


def _places(data: memoryview) -> tuple[Int64, Int64, Int64, Int64]:
    """Of every unit: where its line and its rows begin, and the bytes and number of these; empty lines are none.

    Raises:
        ValueError: The last line is cut off, rows belong to no unit, or there is an empty line among them.
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
    firsts, counts = ends[units], behind - units - 1 - without
    sizes = starts[behind] - firsts - without
    if (letters[(firsts + sizes - 1)[counts > 0]] != ord("\n")).any():
        raise ValueError("an empty line among rows")
    return starts[units], firsts, sizes, counts


def _joined(data: memoryview, starts: Int64, sizes: Int64, room: memoryview) -> memoryview:
    """Parts of some bytes, one after the other, in ``room`` made for them."""
    place = 0
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):  # no list of parts: it would be looked
        room[place : place + size] = data[start : start + size]  # through for garbage again and again
        place += size
    return room


def _parsed_alike(lines: Any, at: Int64, counts: Int64, rows: memoryview, names: tuple[str, ...]) -> Block:
    """Units with the same columns."""
    letters = np.frombuffer(rows, np.uint8)
    if (letters == ord('"')).any() or (letters == ord("\r")).any():
        raise ValueError("rows that need care")
    table = _table(rows, names)
    if table.num_rows != counts.sum():
        raise ValueError("rows that are none")
    given = lines.column("rejected").to_pylist()
    rejected = {number: _rejections(one) for number, one in enumerate(given) if one != _NOTHING}
    return Block(names, lines.column("unit").to_pylist(), at.tolist(), counts, rejected, table, _folders(table))


def _folders(table: Any) -> Set[str]:
    if not table.num_rows:
        return frozenset()
    return folders_of(table.column("file_name").combine_chunks())


def _table(text: memoryview, names: tuple[str, ...]) -> Any:
    if not text:
        return pa.table({})
    table = pyarrow.csv.read_csv(
        pa.py_buffer(text),
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
            names, rows = _names(record["columns"]), _rows(record, lines, number + 1)
            rejected = _rejections(record["rejected"])
            (record["unit"] + record["columns"]).encode()
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


def _rows(record: Record, lines: Sequence[bytes], below: int) -> list[list[Any]]:
    """The values of the rows of a unit.

    Args:
        record: What the line of the unit says.
        lines: All lines.
        below: Number of the line behind it.

    Raises:
        ValueError, csv.Error: They are damaged.
    """
    names = _names(record["columns"])
    text = record["rows"] if "rows" in record else _below(record, lines, below)
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if rows and not text.endswith("\n"):
        raise ValueError("a line that is cut off")
    if len(rows) != record["count"] or any(len(row) != len(names) for row in rows):
        raise ValueError("another number of rows, or of values")
    text.encode()
    return [[_value(name, text) for name, text in zip(names, row, strict=True)] for row in rows]


def _below(record: Record, lines: Sequence[bytes], first: int) -> str:
    """The rows below the line of a unit.

    Raises:
        ValueError: They are torn, or more than they should be.
    """
    rows = lines[first : first + operator.index(record["count"])]
    text = b"".join(row + b"\n" for row in rows)
    if len(text) != record["bytes"] or first + len(rows) >= len(lines):  # the last line has no end
        raise ValueError("other rows than there should be")
    return text.decode()


def _value(name: str, text: str) -> str | float | None:
    if name not in NUMBER_COLUMNS:
        return text
    if text and not math.isfinite(float(text)):
        raise ValueError("a number is not finite")
    return float(text) if text else None
