"""The lines of a journal as columns: many at a time by Arrow, and one by one where it finds anything odd."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from frbias.core.data.samples import NUMBER_COLUMNS, Rejected
from frbias.core.data.table_reading import text_of

_LINE = pa.schema(
    [
        ("unit", pa.large_string()),
        ("columns", pa.large_string()),
        ("rows", pa.large_string()),
        ("count", pa.int64()),
        ("rejected", pa.large_string()),
    ]
)
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
        lines: Number of the line of each, ascending.
        counts: Rows of each.
        rejected: Number of a unit -> what of it gave no image.
        table: The rows of all of them, one after the other.
    """

    columns: tuple[str, ...]
    units: Sequence[str]
    lines: Sequence[int]
    counts: Int64
    rejected: Mapping[int, Sequence[Rejected]]
    table: Any

    @property
    def starts(self) -> Int64:
        """First row of every unit."""
        return np.cumsum(self.counts) - self.counts


def blocks_of(data: bytes) -> list[Block]:
    """The units of some lines; lines that are damaged are left out."""
    try:
        return list(_parsed(data))
    except (pa.ArrowException, *_DAMAGE):
        return list(_looked_at(data))


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


def _parsed(data: bytes) -> Iterator[Block]:
    """All lines at once.

    Raises:
        ValueError, pyarrow.ArrowException: There is something odd about one of them.
    """
    lines = pyarrow.json.read_json(
        pa.py_buffer(data.lstrip(b"\n")),
        pyarrow.json.ReadOptions(
            use_threads=False, block_size=len(data)
        ),  # in one piece, which need not be put together
        pyarrow.json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="error"),
    ).combine_chunks()
    if any(column.null_count for column in lines.columns):
        raise ValueError("a line lacks something")
    kinds = lines.column("columns").combine_chunks().dictionary_encode()
    for kind, columns in enumerate(kinds.dictionary.to_pylist()):
        at = np.flatnonzero(kinds.indices.to_numpy() == kind)
        yield _parsed_alike(lines if len(at) == len(lines) else lines.take(pa.array(at)), at, _names(columns))


def _parsed_alike(lines: Any, at: Int64, names: tuple[str, ...]) -> Block:
    """Lines with the same columns."""
    counts, rows = lines.column("count").to_numpy(), lines.column("rows").combine_chunks()
    ends, text = text_of(rows)
    if (_whole_lines(ends, text) != counts).any() or b'"' in text or b"\r" in text:
        raise ValueError("rows that need care")
    table = _table(text, names)
    if table.num_rows != counts.sum():
        raise ValueError("rows that are none")
    given = lines.column("rejected").to_pylist()
    rejected = {number: _rejections(one) for number, one in enumerate(given) if one != _NOTHING}
    return Block(names, lines.column("unit").to_pylist(), at.tolist(), counts, rejected, table)


def _whole_lines(ends: Int64, text: bytes) -> Int64:
    """How many lines each of some texts has that lie between ``ends``; -1 where the last one has no end."""
    if not text:
        return np.zeros(len(ends) - 1, np.int64)
    is_end = np.frombuffer(text, np.uint8) == ord("\n")
    places = ends - ends[0]
    cut_off = (np.diff(places) > 0) & ~is_end[places[1:] - 1]
    return np.where(cut_off, -1, np.diff(np.searchsorted(np.flatnonzero(is_end), places)))


def _table(text: bytes, names: tuple[str, ...]) -> Any:
    if not text:
        return pa.table({})
    table = pyarrow.csv.read_csv(
        pa.py_buffer(text),
        pyarrow.csv.ReadOptions(use_threads=False, column_names=names),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: _type(name) for name in names}, null_values=[""], strings_can_be_null=False
        ),
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
        return Block(names, self.units, self.lines, np.array(self.counts, np.int64), self.rejected, table)


def _looked_at(data: bytes) -> Iterator[Block]:
    """Lines one by one, those that are damaged left out."""
    found: dict[tuple[str, ...], _Alike] = {}
    for number, line in enumerate(data.split(b"\n")):
        try:
            record = json.loads(line)
            names, rows = _names(record["columns"]), _rows(record)
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


def _rows(record: Record) -> list[list[Any]]:
    """The values of the rows of a unit.

    Raises:
        ValueError, csv.Error: They are damaged.
    """
    names = _names(record["columns"])
    rows = list(csv.reader(io.StringIO(record["rows"], newline=""), strict=True))
    if rows and not record["rows"].endswith("\n"):
        raise ValueError("a line that is cut off")
    if len(rows) != record["count"] or any(len(row) != len(names) for row in rows):
        raise ValueError("another number of rows, or of values")
    record["rows"].encode()
    return [[_value(name, text) for name, text in zip(names, row, strict=True)] for row in rows]


def _value(name: str, text: str) -> str | float | None:
    if name not in NUMBER_COLUMNS:
        return text
    if text and not math.isfinite(float(text)):
        raise ValueError("a number is not finite")
    return float(text) if text else None
