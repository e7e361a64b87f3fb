"""Which files are below a folder, without looking at each: folders are listed, or only looked at when nothing can have changed.

A folder that was last changed before a time at which its files are known to have been there still has them all: to add,
remove or rename a file changes the time of its folder (the one that nobody can set). Times of less than two seconds
before count as later, since clocks of file systems are coarse.
"""

import os
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.data.table_reading import text_of
from frbias.core.foundation.devices import usable_cores

_WORD = 8  # bytes
_FOLDERS = 256  # that a thread lists at a time
_SETTLED = 2_000_000_000  # nanoseconds
_HAS_TIMES = os.name == "posix"  # elsewhere the time is that at which the folder was made


class Listing:
    """Which files are below a folder; every folder is looked at once, when its files are asked for.

    Args:
        root: The folder.
        since: Nanoseconds; every file that is asked for was there then. 0: nothing is known, all folders are listed.
    """

    def __init__(self, root: Any, since: int = 0) -> None:
        self.root = os.path.join(root, "")
        self.before = since - _SETTLED if _HAS_TIMES else 0
        self.unchanged: set[str] = set()
        self.listed: set[str] = set()
        self.files: set[str] = set()

    def of(self, names: Any, folders: Set[str]) -> npt.NDArray[np.bool_]:
        """Which of some files (an Arrow array of large strings, paths with ``/``) are there; ``folders`` are all of theirs."""
        self._look_at(folders - self.unchanged - self.listed)
        if folders.isdisjoint(self.listed):
            return np.ones(len(names), np.bool_)
        wanted = names.to_pylist()
        if folders.isdisjoint(self.unchanged) and self.files.issuperset(wanted):
            return np.ones(len(names), np.bool_)
        there = (name in self.files or name[: name.rfind("/") + 1] in self.unchanged for name in wanted)
        return np.fromiter(there, np.bool_, len(wanted))

    def _look_at(self, folders: Set[str]) -> None:
        self.unchanged.update(self._unchanged(folders))
        changed = list(folders - self.unchanged)
        cuts = [changed[start : start + _FOLDERS] for start in range(0, len(changed), _FOLDERS)]
        with ThreadPoolExecutor(min(usable_cores(), len(cuts) or 1)) as pool:
            for found in pool.map(self._list, cuts):
                self.files.update(found)
        self.listed.update(changed)

    def _unchanged(self, folders: Set[str]) -> Iterator[str]:
        if self.before <= 0 or not folders:
            return
        with suppress(OSError), _opened(self.root) as root:
            for folder in folders:
                try:
                    if os.stat(folder or os.curdir, dir_fd=root).st_ctime_ns < self.before:
                        yield folder
                except (OSError, ValueError):  # not there; a name that cannot be one
                    continue

    def _list(self, folders: Sequence[str]) -> list[str]:
        return [folder + name for folder in folders for name in self._names(self.root + folder)]

    @staticmethod
    def _names(folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except (OSError, ValueError):
            return []


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """A folder that names are looked up in, which is faster than a path from the root for each."""
    number = os.open(folder, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def folders_of(names: Any) -> set[str]:
    """The folders of some paths (an Arrow array of large strings), each with its ``/``; empty for the root."""
    ends, text = text_of(names)
    data = np.frombuffer(text + bytes(_WORD), np.uint8)
    starts, stops = ends[:-1] - ends[0], ends[1:] - ends[0]
    last = np.flatnonzero(data == ord("/"))
    if len(last) != len(starts) or not ((last >= starts) & (last < stops)).all():  # not one in every name
        slashes = np.concatenate([[-1], last])
        last = slashes[np.searchsorted(slashes, stops) - 1]
    lengths = np.maximum(last + 1 - starts, 0)
    found = set[str]()
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        mine = starts[lengths == length]
        new = np.ones(len(mine), np.bool_)  # another folder than that of the row before
        new[1:] = False
        for word in _words(data, mine, length):
            new[1:] |= word[1:] != word[:-1]
        found.update(text[start : start + length].decode() for start in mine[new].tolist())
    return found


def _words(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], length: int) -> Iterator[npt.NDArray[np.uint64]]:
    """The bytes of some texts of one length, eight at a time; there are eight more bytes behind the last text."""
    at_any_place = np.lib.stride_tricks.as_strided(data, (len(data) - _WORD + 1, _WORD), (1, 1), writeable=False)
    for first in range(0, length, _WORD):
        eight = np.ascontiguousarray(at_any_place[starts + first])
        if length - first < _WORD:
            eight[:, length - first :] = 0
        yield eight.view(np.uint64)[:, 0]
