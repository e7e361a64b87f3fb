"""Rows of a column as Python values, some at a time, so that a million of them need not be there at once."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa

from frbias.core.data.table_reading import as_arrow

Rows = Callable[[int, int], list[Any]]


def rows_of(column: "pd.Series[Any] | pa.Array") -> Rows:
    """A function that gives the values from one row to before another; texts that are unknown are None."""
    if isinstance(column, pd.Series) and not isinstance(column.dtype, pd.StringDtype):
        values = column.to_numpy()
        return lambda start, end: list(values[start:end].tolist())
    texts = as_arrow(column) if isinstance(column, pd.Series) else column
    return lambda start, end: list(texts[start:end].to_pylist())
