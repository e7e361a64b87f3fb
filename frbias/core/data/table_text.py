"""The table of samples as CSV text, a block of rows at a time, by Arrow's compiled formatting.

Floats are written in their shortest exact form, whole ones without ``.0``, unknown ones as nothing. Blocks with a text
that needs quotes, and floats that Python writes with an exponent, take the slow way; the text is the same either way.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frbias.core.data.table_reading import as_arrow, text_of
from frbias.core.foundation.ahead import done_ahead
from frbias.core.foundation.devices import usable_cores

_ROWS = 20_000
_MOST_THREADS = 8
_NEED_QUOTES = (b'"', b",", b"\r", b"\n")
_WHOLE = pa.array([str(k) for k in range(1000)], pa.large_string())
_ENDS = pa.array(["", *(f".{k:03d}".rstrip("0") for k in range(1, 1000))], pa.large_string())  # of k thousandths


def csv_blocks(frame: pd.DataFrame) -> Iterator[bytes]:
    """The header, then the rows of a table as UTF-8 text; large tables by several threads."""
    yield frame.iloc[:0].to_csv(index=False, lineterminator="\n").encode()
    parts = (frame.iloc[start : start + _ROWS] for start in range(0, len(frame), _ROWS))
    if len(frame) <= _ROWS:
        yield from map(_block, parts)
        return
    threads = min(usable_cores(), _MOST_THREADS)
    for _, (text,) in done_ahead(((None, [partial(_block, part)]) for part in parts), threads=threads, depth=threads):
        yield text


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
    if any(mark in text for _, text in map(text_of, quoted) for mark in _NEED_QUOTES) or len(columns) < 2:
        texts = {number: column.to_pylist() for number, column in enumerate(columns)}
        return pd.DataFrame(texts).to_csv(index=False, header=False, lineterminator="\n").encode()
    columns[-1] = pc.binary_join_element_wise(columns[-1], _scalar(""), _scalar("\n"))
    return text_of(pc.binary_join_element_wise(*columns, _scalar(",")))[1]


def _texts(column: "pd.Series[Any]") -> Any:
    if column.dtype == np.float64:
        return _numbers(column.to_numpy())
    if isinstance(column.dtype, pd.StringDtype):
        return pc.fill_null(as_arrow(column), "")
    return _array([cell(value) for value in column])


def _numbers(values: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        thousandths = np.rint(values * 1000)
        # below 15 digits, the number nearest to a decimal has that decimal as its shortest text
        short = (values >= 0) & (values < 1e9) & (thousandths / 1000 == values)
        whole = (values == np.floor(values)) & (np.abs(values) < 1e15) & ~short
        unknown = np.isnan(values)
        other = ~short & ~whole & ~unknown
        plain = other & (np.abs(values) >= 1e-4) & (np.abs(values) < 1e9)
    found = _short(np.where(short, thousandths, 0).astype(np.int64))
    for mask, some in ((whole, lambda v: pa.array(v.astype(np.int64))), (plain, pa.array)):
        if mask.any():
            found = pc.replace_with_mask(found, pa.array(mask), some(values[mask]).cast(pa.large_string()))
    if unknown.any():
        found = pc.replace_with_mask(found, pa.array(unknown), _scalar(""))
    odd = other & ~plain
    return pc.replace_with_mask(found, pa.array(odd), _array([cell(v) for v in values[odd]])) if odd.any() else found


def _short(thousandths: "np.ndarray[Any, np.dtype[np.int64]]") -> Any:
    """Texts of numbers that are given in thousandths, none of them negative."""
    whole, rest = np.divmod(thousandths, 1000)
    small = pa.array(whole)
    texts = _WHOLE.take(small) if len(whole) and whole.max() < len(_WHOLE) else small.cast(pa.large_string())
    return pc.binary_join_element_wise(texts, _ENDS.take(pa.array(rest)), _scalar("")) if rest.any() else texts


def _scalar(text: str) -> Any:
    return pa.scalar(text, pa.large_string())


def _array(texts: Sequence[str]) -> Any:
    return pa.array(texts, pa.large_string())
