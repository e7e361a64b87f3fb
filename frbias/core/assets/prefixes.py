"""Entries of the cache of frozen prefixes: a folder each, with one array and, written last, a record of it.

What they hold is known to :mod:`frbias.core.training.cache`; here is where they lie, and whether they are whole.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frbias.core.assets.paths import data_home
from frbias.core.foundation.files import read_json, sha256_file, write_json

DATA, RECORD, LOCK = "features.bin", "entry.json", ".lock"


def prefix_folder() -> Path:
    """Folder of the cached prefixes, below the data root; may be deleted at any time that no training runs."""
    return data_home() / "cache" / "prefix"


def finish_entry(entry: Path, record: dict[str, Any]) -> None:
    """Write the record of an entry whose array is whole, with the array's size and hash."""
    data = entry / DATA
    write_json(entry / RECORD, {**record, "bytes": data.stat().st_size, "sha256": sha256_file(data)})


def is_entry(entry: Path, shape: Sequence[int], size: int) -> bool:
    """Whether an entry is there, of that shape, with an array of ``size`` bytes."""
    try:
        record = read_json(entry / RECORD)
        return bool(record["shape"] == list(shape) and (entry / DATA).stat().st_size == size)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def entries() -> list[Path]:
    """Every finished entry; folders with a full stop in their name are being built."""
    return sorted(path.parent for path in prefix_folder().glob(f"*/{RECORD}") if "." not in path.parent.name)


def problem_of(entry: Path) -> str:
    """What is wrong with a finished entry, compared with its hash; empty when nothing is."""
    try:
        record = read_json(entry / RECORD)
        size, digest = int(record["bytes"]), str(record["sha256"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return f"{RECORD} is damaged"
    try:
        there = (entry / DATA).stat().st_size
        if there != size:
            return f"{DATA} has {there} of {size} bytes"
        return "" if sha256_file(entry / DATA) == digest else f"{DATA} has another content than when it was made"
    except OSError:
        return f"{DATA} is missing"
