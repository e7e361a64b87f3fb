"""Output folders against accidents: one process at a time, never made anew once vanished, damage noticed.

While a stage fills a folder it holds ``.lock`` in it (a lock of the operating system, so it ends with the process,
however that ends). When it is done, ``.files.csv`` lists every file with its size and SHA-256. Names that begin with
a full stop are frbias' own and do not make a folder occupied.
"""

import contextlib
import csv
import hashlib
import io
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from frbias.core.foundation.errors import BadInputError, FrbiasError, UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX system: no locks
    fcntl = None  # type: ignore[assignment]

LOCK_NAME, LISTING_NAME, JOURNAL = ".lock", ".files.csv", ".journal"
TEMPORARY_PREFIX = ".frbias-tmp-"
OWN_NAMES = frozenset({LOCK_NAME, LISTING_NAME})
_LOGS = ("tensorboard",)  # holds times, and goes on being written
_PATIENCE = 3.0  # seconds: workers of a killed process need a moment to go


class FolderVanishedError(FrbiasError):
    """An output folder was removed while it was being filled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} was removed while it was being filled; run the command again to make it anew.")


class Hold:
    """A folder that this process works in; let go with :meth:`release`, or when nobody refers to it any more.

    Args:
        folder: It exists.
        lock: Keep other processes out; False for worker processes of one that does.

    Raises:
        UsageError: Another process works there.
    """

    def __init__(self, folder: Path, *, lock: bool = True) -> None:
        self.folder = Path(os.path.abspath(folder))
        self._handle = _locked(self.folder) if lock else None

    def release(self) -> None:
        """Let other processes have the folder; can be called again."""
        if _HELD.get(self.folder) is self:
            del _HELD[self.folder]
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                if _is_that(handle, self.folder / LOCK_NAME):
                    (self.folder / LOCK_NAME).unlink()
            os.close(handle)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the end of the interpreter anything may be gone
            self.release()

    def still_there(self) -> bool:
        """Whether the folder is the one that was held, not another of its name."""
        return self._handle is None or _is_that(self._handle, self.folder / LOCK_NAME)


_HELD: "WeakValueDictionary[Path, Hold]" = WeakValueDictionary()


def hold(folder: Path, *, lock: bool = True) -> Hold:
    """Hold ``folder`` for this process; the same hold when this process has it already.

    Raises:
        UsageError: Another process works there.
    """
    place = Path(os.path.abspath(folder))
    found = _HELD.get(place)
    if found is None or not found.still_there():
        found = Hold(place, lock=lock)
        _HELD[place] = found
    return found


def make_below(path: Path) -> bool:
    """Make the missing folders down to ``path`` when it lies in a held folder, never that folder itself.

    Returns:
        Whether it lies in one; nothing is done when it does not.

    Raises:
        FolderVanishedError: The held folder is gone.
    """
    held = _held_above(path)
    if held is None:
        return False
    place = held.folder
    for name in Path(os.path.abspath(path)).relative_to(place).parts:
        place = place / name
        try:
            place.mkdir()
        except FileExistsError:
            if not place.is_dir():
                raise
        except FileNotFoundError:
            raise FolderVanishedError(held.folder) from None
    return True


def _held_above(path: Path) -> Hold | None:
    """The innermost held folder that ``path`` is or lies in.

    Raises:
        FolderVanishedError: A held folder above it is gone.
    """
    if not _HELD:
        return None
    place, found = Path(os.path.abspath(path)), None
    for parent in (place, *place.parents):
        held = _HELD.get(parent)
        if held is None:
            continue
        if not (parent.is_dir() and held.still_there()):
            raise FolderVanishedError(parent)
        found = found or held
    return found


def make_private(path: Path) -> Path:
    """Make a folder and its missing parents, readable by their owner only; those that are there stay as they are."""
    missing = [folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    return Path(path)


def is_occupied(folder: Path) -> bool:
    """Whether a folder holds anything beside what a killed claim may have left."""
    return any(not _is_leftover(entry.name) for entry in os.scandir(folder))


def empty_folder(folder: Path, keep: str) -> None:
    """Remove everything in ``folder`` but its lock and the file ``keep``."""
    for entry in sorted(Path(folder).iterdir()):
        if entry.name in (keep, LOCK_NAME):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def write_listing(folder: Path, leave_out: str) -> str:
    """CSV text (name, bytes, sha256) of every file below ``folder`` whose path has no name of frbias' own."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", "bytes", "sha256"))
    for name in _files(Path(folder)):
        if name != leave_out:
            path = Path(folder) / name
            rows.writerow((name, path.stat().st_size, _sha256(path)))
    return text.getvalue()


def damage(folder: Path, *, deep: bool = False) -> list[str]:
    """What is wrong with the files of a finished folder, one clause each; empty when nothing is, or nothing is listed.

    Args:
        folder: The folder.
        deep: Compare contents too, not only sizes.
    """
    try:
        text = (Path(folder) / LISTING_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError):
        return [f"{LISTING_NAME} cannot be read"]
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error:
        return [f"{LISTING_NAME} is damaged"]
    found = []
    for row in rows:
        try:
            name, size, digest = str(row["file"]), int(row["bytes"]), str(row["sha256"])
        except (KeyError, TypeError, ValueError):
            return [f"{LISTING_NAME} is damaged"]
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return [f"{LISTING_NAME} names {name}, which is outside of the folder"]
        path = Path(folder) / name
        try:
            there = path.stat().st_size
            if not path.is_file():
                found.append(f"{name} is no file")
            elif there != size:
                found.append(f"{name} has {there} of {size} bytes")
            elif deep and _sha256(path) != digest:
                found.append(f"{name} has another content than when it was made")
        except OSError:
            found.append(f"{name} is missing")
        except ValueError:  # no name that a file can have
            return [f"{LISTING_NAME} is damaged"]
    return found


def refuse_damaged(folder: Path) -> None:
    """Refuse a finished folder whose files are missing or cut short.

    Raises:
        BadInputError: One of them is; the first is named.
    """
    found = damage(folder)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BadInputError(f"{folder} was finished, but {found[0]}{more}; make it again with --force.")


def _files(root: Path) -> Iterator[str]:
    for parent, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith(".") and name not in _LOGS)
        for name in sorted(names):
            if not name.startswith("."):
                yield (Path(parent) / name).relative_to(root).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_leftover(name: str) -> bool:
    return name in OWN_NAMES or name.startswith(TEMPORARY_PREFIX)


def _locked(folder: Path) -> int | None:
    """An open, locked ``.lock`` that is the one in the folder; None where the file system has no locks."""
    if fcntl is None:
        return None
    until = time.monotonic() + _PATIENCE
    while True:
        handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_that(handle, folder / LOCK_NAME):
                return handle
            os.close(handle)
            continue
        except BlockingIOError:
            os.close(handle)
        except OSError:
            os.close(handle)
            return None
        if time.monotonic() > until:
            raise UsageError(
                f"Another process works in {folder}; wait until it is done, or choose another folder with --out."
            )
        time.sleep(0.05)


def _is_that(handle: int, path: Path) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
