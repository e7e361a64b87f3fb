"""A CSV table read by Arrow when nothing in it needs care; everything else is left to the careful reader.

Care is needed for quotes, ragged rows, carriage returns, names in the header that need trimming, and numbers that Arrow
does not take. What is wrong with a table is for the careful reader to say.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

_SUSPICIOUS = r"\\|:|\.\.|^/|^[./]*$"


def read_plain(path: Path, texts: frozenset[str], numbers: frozenset[str]) -> pd.DataFrame | None:
    """The table with texts as ``str`` and numbers as float64 (NaN unknown); None when it needs care."""
    data = Path(path).read_bytes()
    try:
        header = data[: data.find(b"\n")].decode("utf-8").split(",")
    except UnicodeDecodeError:
        return None
    careful = (
        b'"' in data or b"\r" in data or not data.endswith(b"\n") or b"\n\n" in data or data[:3] == b"\xef\xbb\xbf"
    )
    if careful or any(name != name.strip() or not name for name in header) or len(set(header)) < len(header):
        return None
    kinds = {name: pa.float64() if name in numbers else pa.string() for name in header}
    how = csv.ConvertOptions(column_types=kinds, null_values=[""], strings_can_be_null=False)
    try:
        table = csv.read_csv(pa.py_buffer(data), convert_options=how)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError):
        return None
    columns: dict[str, Any] = {}
    for name in header:
        column = table.column(name)
        if name in numbers:
            values = column.to_numpy().astype(np.float64, copy=True)
            if np.isinf(values).any():
                return None
            columns[name] = values
        else:
            columns[name] = pd.Series(column.to_pandas(), dtype="str" if name in texts else object)
    return pd.DataFrame(columns)


def are_harmless_names(names: "pd.Series[Any]") -> bool:
    """Whether no file name can be wrong: all different, short, and without anything that could leave the folder."""
    found = pa.array(names, from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    if not pa.types.is_string(found.type) and not pa.types.is_large_string(found.type):
        return False
    odd = pc.or_(pc.match_substring_regex(found, _SUSPICIOUS), pc.greater(pc.binary_length(found), 1000))
    return found.null_count == 0 and not pc.any(odd).as_py() and pc.count_distinct(found).as_py() == len(found)
