"""Results that several stages share, kept once: a folder of entries named after the work they hold.

::

    <root>/<kind>/<key>/       an ordinary output folder of a stage, with its provenance
    <root>/locks/<kind>-<key>  held while an entry is made or read; its time says when the entry was last used

Entries are content-addressed (the key is the hash of the work), so nothing in them can be out of date. The least
recently used go first when the whole is larger than its limit. Faces are personal data: only the owner can read them.
"""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.folders import make_private
from frbias.core.foundation.provenance import read_provenance

LIMIT_VARIABLE = "FRBIAS_CACHE_SIZE"
DEFAULT_LIMIT = 20 * 1024**3
_LOCKS, _GONE = "locks", ".gone-"
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True)
class Entry:
    """One result in the cache.

    Attributes:
        kind: ``aligned`` or ``embeddings``.
        key: Hash of the work.
        path: Its folder.
        size: Bytes.
        used: When it was last used, seconds since 1970.
        complete: False for work that was interrupted (it is resumed).
    """

    kind: str
    key: str
    path: Path
    size: int
    used: float
    complete: bool


@dataclass(frozen=True)
class Cache:
    """A size-bounded store of results.

    Attributes:
        root: Its folder.
        limit: Bytes it may hold; 0 keeps nothing beyond its use.
        kinds: Kinds of its results; other folders in ``root`` are not its own and never touched.
    """

    root: Path
    limit: int = DEFAULT_LIMIT
    kinds: tuple[str, ...] = ("aligned", "embeddings")

    def place(self, kind: str, key: str) -> Path:
        """Folder of an entry, whether it exists or not."""
        return self.root / kind / key

    @contextmanager
    def using(self, kind: str, key: str, *, lock: bool = True) -> Iterator[Path]:
        """Hold an entry while the block makes or reads it; other processes that want the same one wait.

        Args:
            kind: Kind of result.
            key: Hash of the work.
            lock: False for the ranks of a torchrun launch beside the leader, who holds it for all.
        """
        if not lock:
            yield self.place(kind, key)
            return
        for folder in (self.root, self.root / _LOCKS, self.root / kind):
            make_private(folder)
        held = self._lock(kind, key)
        with FileLock(held):
            os.utime(held)
            yield self.place(kind, key)
            os.utime(held)
        self.trim()

    def entries(self) -> list[Entry]:
        """Every entry, most recently used first."""
        found = []
        for folder in (f for kind in self.kinds for f in (self.root / kind).glob("*")):
            if not folder.is_dir() or folder.name.startswith(_GONE):
                continue
            kind, key = folder.parent.name, folder.name
            held = self._lock(kind, key)
            used = held.stat().st_mtime if held.exists() else 0.0
            complete = bool((read_provenance(folder) or {}).get("complete"))
            found.append(Entry(kind, key, folder, _size(folder), used, complete))
        return sorted(found, key=lambda entry: (-entry.used, entry.key))

    def trim(self) -> list[Entry]:
        """Remove the least recently used entries until the rest is within the limit; returns what was removed."""
        kept, removed = 0, []
        for entry in self.entries():
            kept += entry.size
            if kept > self.limit and self._remove(entry):
                kept -= entry.size
                removed.append(entry)
        self._sweep()
        return removed

    def clear(self, kind: str | None = None) -> list[Entry]:
        """Remove every entry (of a kind) that no process is using; returns what was removed."""
        removed = [e for e in self.entries() if kind in (None, e.kind) and self._remove(e)]
        self._sweep()
        return removed

    def _lock(self, kind: str, key: str) -> Path:
        return self.root / _LOCKS / f"{kind}-{key}"

    def _remove(self, entry: Entry) -> bool:
        """Take an entry away, unless a process is using it: renamed first, so that nobody sees half of it."""
        held = self._lock(entry.kind, entry.key)
        make_private(held.parent)
        try:
            with FileLock(held, timeout=0):
                gone = entry.path.with_name(f"{_GONE}{secrets.token_hex(4)}")
                entry.path.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
        except (Timeout, FileNotFoundError):
            return False
        return True

    def _sweep(self) -> None:
        """Remove what a killed process had half removed, and locks of entries that are long gone."""
        for leftover in (f for kind in self.kinds for f in (self.root / kind).glob(f"{_GONE}*")):
            shutil.rmtree(leftover, ignore_errors=True)
        month_ago = time.time() - 30 * 86400
        for held in (self.root / _LOCKS).glob("*"):
            kind, _, key = held.name.partition("-")
            if held.stat().st_mtime < month_ago and not self.place(kind, key).exists():
                held.unlink(missing_ok=True)


def cache_limit(text: str | None = None) -> int:
    """Bytes of a limit such as ``20G`` or ``500M``; default: the variable ``FRBIAS_CACHE_SIZE``, else 20 GiB.

    Raises:
        UsageError: It is no size.

    Example:
        >>> cache_limit("1.5K")
        1536
    """
    wanted = text if text is not None else os.environ.get(LIMIT_VARIABLE, "")
    if not wanted.strip():
        return DEFAULT_LIMIT
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", wanted, re.IGNORECASE)
    if match is None:
        raise UsageError(f"{LIMIT_VARIABLE}={wanted!r} is no size; write e.g. 20G, 500M or 0.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return total
