"""What crops are called: as the pictures that they are cut from, with ``.png``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from frbias.core.data.table_reading import are_different, as_arrow, text_of
from frbias.core.data.table_rows import Rows, rows_of

_SUFFIX = 4  # of .png and .jpg


def crops_of(files: "pd.Series[Any]") -> Rows:
    """:func:`crop_names` of a column of file names."""
    quick = _usual_names(as_arrow(files))
    return rows_of(pd.Series(crop_names(files.tolist()), dtype=object) if quick is None else quick)


def crop_names(names: Sequence[str]) -> list[str]:
    """PNG names for source names, kept unique (also without regard to case) when only the suffix differs."""
    stems = [_stem(name) for name in names]
    if len({stem.lower() for stem in stems}) == len(stems):
        return [stem + ".png" for stem in stems]
    uses = Counter(stem.lower() for stem in stems)
    taken: set[str] = set()
    result = []
    for stem, name in zip(stems, names, strict=True):
        low = stem.lower()
        if uses[low] == 1 and low not in taken:
            taken.add(low)
            result.append(stem + ".png")
            continue
        base = stem if uses[low] == 1 else f"{stem}_{Path(name).suffix.lstrip('.').lower()}"
        unique, count = base, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{base}_{count}"
        taken.add(unique.lower())
        result.append(unique + ".png")
    return result


def _stem(name: str) -> str:
    """A path without its last suffix, as :mod:`pathlib` sees it."""
    front, back = name[:-4], name[-4:]
    usual = back in (".png", ".jpg") and front[-1:] not in ("", "/", ".") and "//" not in name and "./" not in name
    return front if usual and name[0] != "/" else Path(name).with_suffix("").as_posix()


def _usual_names(files: Any) -> Any:
    """The names of all crops where nothing about the files is unusual, and no two of them meet; else None."""
    if not pa.types.is_large_string(files.type) or files.null_count:
        return None
    ends, text = text_of(files)
    usual = text.isascii() and b"//" not in text and b"./" not in text and (np.diff(ends) > _SUFFIX).all()
    if not usual or not pc.all(pc.or_(pc.ends_with(files, ".png"), pc.ends_with(files, ".jpg"))).as_py():
        return None
    letters, first = np.frombuffer(text, np.uint8), ends - ends[0]
    if (letters[first[:-1]] == ord("/")).any() or np.isin(letters[first[1:] - _SUFFIX - 1], [*b"/."]).any():
        return None
    stems = pc.utf8_slice_codeunits(files, 0, -_SUFFIX)
    if not are_different(pc.ascii_lower(stems)):
        return None
    return pc.binary_join_element_wise(stems, pa.scalar(".png", stems.type), pa.scalar("", stems.type))
