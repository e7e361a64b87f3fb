"""A CSV table read by Arrow when nothing in it needs care; everything else is left to the careful reader.

Care is needed for quotes, ragged rows, carriage returns, names in the header that need trimming, and numbers that Arrow
does not take. What is wrong with a table is for the careful reader to say.

What Arrow reads from is memory of its own. Its threads may still let go of that when Python is shutting down, and to let go
of memory of Python then ends the process with an abort.
"""

import os
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

POOL = pa.system_memory_pool()
"""Where large tables are put. Arrow's own pool takes huge pages, which a virtual machine first has to get from its host, and
does not give them back."""
_PIECE = 1 << 20  # bytes
_SUSPICIOUS = r"\\|:|\.\.|^/|^[./]*$"


def read_plain(path: Path, texts: frozenset[str], numbers: frozenset[str]) -> pd.DataFrame | None:
    """The table with texts as ``str`` and numbers as float64 (NaN unknown); None when it needs care."""
    data = _read(path)
    first, end, _ = bytes(memoryview(data)[:_PIECE]).partition(b"\n")
    try:
        names = first.decode("utf-8")
    except UnicodeDecodeError:
        return None
    header = names.split(",")
    careful = not end or "\ufffd" in names or first.startswith(b"\xef\xbb\xbf") or _needs_care(data)
    if careful or any(name != name.strip() or not name for name in header) or len(set(header)) < len(header):
        return None
    kinds = {name: pa.float64() if name in numbers else pa.string() for name in header}
    how = csv.ConvertOptions(column_types=kinds, null_values=[""], strings_can_be_null=False)
    try:
        table = csv.read_csv(data, convert_options=how, memory_pool=POOL)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError):
        return None
    del data
    if any(pc.any(pc.is_inf(table.column(name))).as_py() for name in header if name in numbers):
        return None
    return frame_of(table, texts, numbers)


def _read(path: Path) -> Any:
    """The bytes of a file, as an Arrow buffer."""
    with Path(path).open("rb", buffering=0) as stream:
        data = pa.allocate_buffer(os.fstat(stream.fileno()).st_size, memory_pool=POOL)
        return data.slice(0, fill(memoryview(data), stream))


def fill(room: memoryview, stream: FileIO) -> int:
    """Read a file into some bytes until they are full or it ends; how many there are."""
    place = 0
    while place < len(room) and (count := stream.readinto(room[place:])):
        place += count
    return place


def _needs_care(data: Any) -> bool:
    """Whether there is anything in a table (an Arrow buffer) beside lines of plain values."""
    letters = memoryview(data)
    for start in range(0, len(letters), _PIECE):
        piece = bytes(letters[start : start + _PIECE + 1])
        if b'"' in piece or b"\r" in piece or b"\n\n" in piece:
            return True
    return bytes(letters[-1:]) != b"\n"


def frame_of(table: Any, texts: frozenset[str], numbers: frozenset[str]) -> pd.DataFrame:
    """An Arrow table with texts as ``str``, numbers as float64 (NaN unknown), other columns as they are."""
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name)
        table = table.drop_columns(name)  # so that it goes as soon as it is copied
        if name in numbers:
            columns[name] = _numbers(column)
        else:
            columns[name] = pd.Series(column.to_pandas(), dtype="str" if name in texts else object)
    return pd.DataFrame(columns, copy=False)


def _numbers(column: Any) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Numbers of a chunked Arrow column in one array that can be written to, NaN where there is none."""
    if not len(column):
        return np.empty(0)
    values = np.frombuffer(pa.allocate_buffer(8 * len(column), memory_pool=POOL), np.float64)
    return np.concatenate([chunk.to_numpy(zero_copy_only=False) for chunk in column.chunks], out=values)


def are_harmless_names(names: "pd.Series[Any]") -> bool:
    """Whether no file name can be wrong: all different, short, and without anything that could leave the folder."""
    found = as_arrow(names)
    if not pa.types.is_large_string(found.type):
        return False
    if found.null_count or pc.any(pc.greater(pc.binary_length(found), 1000)).as_py():
        return False
    if not _are_plain(found) and pc.any(pc.match_substring_regex(found, _SUSPICIOUS)).as_py():
        return False
    return are_different(found)


def as_arrow(column: "pd.Series[Any]") -> Any:
    """A column as one Arrow array, texts as large ones."""
    found = pa.array(column, from_pandas=True)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return found.cast(pa.large_string()) if pa.types.is_string(found.type) else found


def are_different(texts: Any) -> bool:
    """Whether no two texts of an Arrow array are the same; that ascending ones are not is seen at once."""
    if pc.all(pc.less(texts[:-1], texts[1:])).as_py():
        return True
    return bool(pc.count_distinct(texts).as_py() == len(texts))


def _are_plain(names: Any) -> bool:
    """Whether the text of all names, looked at as one, can hold nothing suspicious."""
    ends, text = text_of(names)
    if any(mark in text for mark in (b"\\", b":", b"..")) or not (np.diff(ends) > 0).all():
        return False
    first = np.frombuffer(text, np.uint8)[ends[:-1] - ends[0]]
    return not np.isin(first, np.frombuffer(b"/.", np.uint8)).any()


def text_of(texts: Any) -> tuple["np.ndarray[Any, np.dtype[np.int64]]", bytes]:
    """Where the texts of an Arrow array of large ones begin and end, and all of their bytes from the first of them on."""
    if not len(texts):
        return np.zeros(1, np.int64), b""
    ends = np.frombuffer(texts.buffers()[1], np.int64)
    ends = ends[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    text = b"" if data is None else data.slice(int(ends[0]), int(ends[-1] - ends[0])).to_pybytes()
    return ends, text
