"""The table of samples as CSV text, a block of rows at a time, by Arrow's compiled formatting.

Floats are written in their shortest exact form, whole ones without ``.0``, unknown ones as nothing. Blocks with a text
that needs quotes, and floats that Python writes with an exponent, take the slow way; the text is the same either way.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_ROWS = 50_000
_NEEDS_QUOTES = '[",\r\n]'


def csv_blocks(frame: pd.DataFrame) -> Iterator[bytes]:
    """The header, then the rows of a table as UTF-8 text."""
    yield frame.iloc[:0].to_csv(index=False, lineterminator="\n").encode()
    for start in range(0, len(frame), _ROWS):
        yield _block(frame.iloc[start : start + _ROWS])


def cell(value: Any) -> str:
    """One value as text."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return str(value)


def _block(part: pd.DataFrame) -> bytes:
    columns = [_texts(part.iloc[:, number]) for number in range(part.shape[1])]
    quoted = (c for c, kind in zip(columns, part.dtypes, strict=True) if kind != np.float64)
    special = any(pc.any(pc.match_substring_regex(c, _NEEDS_QUOTES)).as_py() for c in quoted)
    if special or len(columns) < 2:
        texts = {number: column.to_pylist() for number, column in enumerate(columns)}
        return pd.DataFrame(texts).to_csv(index=False, header=False, lineterminator="\n").encode()
    lines = pc.binary_join_element_wise(*columns, pa.scalar(",", pa.large_string()))
    text = pc.binary_join_element_wise(lines, pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string()))
    ends = np.frombuffer(text.buffers()[1], np.int64)
    return text.buffers()[2].to_pybytes()[: int(ends[len(text)])]


def _texts(column: "pd.Series[Any]") -> Any:
    if column.dtype == np.float64:
        return _numbers(column.to_numpy())
    if isinstance(column.dtype, pd.StringDtype):
        found = pa.array(column, from_pandas=True)
        found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
        return pc.fill_null(found.cast(pa.large_string()), "")
    return _array([cell(value) for value in column])


def _numbers(values: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        whole = (values == np.floor(values)) & (size < 1e15)
        plain = whole | ((size >= 1e-4) & (size < 1e9))
        whole_texts = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.large_string())
    texts = pa.array(np.where(plain & ~whole, values, 0.5)).cast(pa.large_string())
    texts = pc.if_else(pa.array(whole), whole_texts, texts)
    if plain.all():
        return texts
    return pc.replace_with_mask(texts, pa.array(~plain), _array([cell(v) for v in values[~plain]]))


def _array(texts: Sequence[str]) -> Any:
    return pa.array(texts, pa.large_string())
