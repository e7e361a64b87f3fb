"""SHA-256 of the files of an image set, kept, so that what has not changed is not read again.

A file counts as unchanged when its size and its times of change (of content, and of name and rights) are those of the
time it was hashed, and it had not been written in the two seconds before: in those a second change would not show.
The store lies below ``cache/hashes`` in the data root; it can be deleted at any time.
"""

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from frbias.core.assets.paths import data_home
from frbias.core.foundation.devices import usable_cores
from frbias.core.foundation.files import TEMPORARY_PREFIX, atomic_path
from frbias.core.foundation.hashes import sha256_bytes, sha256_file

MISSING, UNREADABLE = "missing", "unreadable"
_JOB = 64  # files that a thread hashes at a time
_SETTLED = 2_000_000_000  # nanoseconds
_LONG_AGO = 3600.0  # seconds
_OF_THE_FILE = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)  # a fault of one file, not of the machine
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Stats:
    size: Int64  # -1: there is no such file
    changed: Int64
    touched: Int64

    def same(self, other: "_Stats") -> npt.NDArray[np.bool_]:
        """Which rows agree in everything."""
        alike = (self.size == other.size) & (self.changed == other.changed) & (self.touched == other.touched)
        return np.asarray(alike & (self.size >= 0))


def file_hashes(root: Path, names: Sequence[str]) -> list[str]:
    """Hexadecimal SHA-256 of the files ``names`` below ``root``, in order.

    ``missing`` where there is no such file, ``unreadable`` where its content cannot be had: whoever reads it lists why.
    """
    place = _place(root)
    now, stats = time.time_ns(), _stats(root, names)
    known, hashes = _known(place, names)
    stale = np.flatnonzero(~stats.same(known) & (stats.size >= 0))
    prefix, jobs = (
        os.path.join(root, ""),
        [stale[first : first + _JOB].tolist() for first in range(0, len(stale), _JOB)],
    )
    with ThreadPoolExecutor(usable_cores()) as pool:
        for job, made in zip(
            jobs, pool.map(lambda rows: [hash_of_file(prefix + names[row]) for row in rows], jobs), strict=True
        ):
            for row, digest in zip(job, made, strict=True):
                hashes[row] = digest
    for row in np.flatnonzero(stats.size < 0).tolist():
        hashes[row] = MISSING
    settled = (np.maximum(stats.changed, stats.touched) < now - _SETTLED) & (stats.size >= 0)
    settled &= [digest not in (MISSING, UNREADABLE) for digest in hashes]
    if len(stale) and settled.any():
        _keep(place, names, stats, hashes, settled)
    return hashes


def _place(root: Path) -> Path:
    return data_home() / "cache" / "hashes" / f"{sha256_bytes(os.path.abspath(root).encode())[:32]}.parquet"


def hash_of_file(path: str) -> str:
    """Hexadecimal SHA-256 of one file, or why there is none, as :func:`file_hashes` says it."""
    try:
        return sha256_file(path)
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        if error.errno not in _OF_THE_FILE:
            raise
        return UNREADABLE


def _stats(root: Path, names: Sequence[str]) -> _Stats:
    found, prefix = list[tuple[int, int, int]](), os.path.join(root, "")
    for name in names:
        try:
            stat = os.stat(prefix + name)
            regular = stat.st_mode & 0o170000 == 0o100000
        except OSError:
            regular = False
        found.append((stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) if regular else (-1, -1, -1))
    return _Stats(*np.array(found, np.int64).reshape(-1, 3).T.copy())


def _known(place: Path, names: Sequence[str]) -> tuple[_Stats, list[str]]:
    """What is kept of the files; sizes of -2 where nothing is."""
    nothing = _Stats(*np.full((3, len(names)), -2, np.int64)), [""] * len(names)
    try:
        columns = ["name", "size", "changed", "touched", "sha256"]
        table = pq.read_table(place, columns=columns, page_checksum_verification=True)
        rows = pc.index_in(pa.array(names, pa.string()), value_set=table.column("name").combine_chunks())
        picked = table.take(rows)
        numbers = (picked.column(name).fill_null(-2).to_numpy().astype(np.int64) for name in columns[1:4])
        return _Stats(*numbers), picked.column("sha256").fill_null("").to_pylist()
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):  # damaged, or of another frbias
        return nothing


def _keep(place: Path, names: Sequence[str], stats: _Stats, hashes: list[str], rows: npt.NDArray[np.bool_]) -> None:
    columns = {
        "name": pa.array(names, pa.string()),
        "size": pa.array(stats.size),
        "changed": pa.array(stats.changed),
        "touched": pa.array(stats.touched),
        "sha256": pa.array(hashes, pa.string()),
    }
    with contextlib.suppress(OSError), atomic_path(place) as temporary:  # to keep nothing is no failure
        place.parent.chmod(0o700)
        _clear_leftovers(place.parent)
        pq.write_table(pa.table(columns).filter(pa.array(rows)), temporary, write_page_checksum=True)


def _clear_leftovers(folder: Path) -> None:
    """Delete what killed processes left half written; others may be writing now, which takes seconds."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if leftover.stat().st_mtime < time.time() - _LONG_AGO:
            leftover.unlink(missing_ok=True)
