"""Atomic writes and hashes of files: a reader never sees half a file, whatever kills the writer."""

import errno
import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.folders import TEMPORARY_PREFIX as TEMPORARY_PREFIX
from frbias.core.foundation.folders import make_below
from frbias.core.foundation.hashes import sha256_bytes as sha256_bytes
from frbias.core.foundation.hashes import sha256_file as sha256_file
from frbias.core.foundation.hashes import sha256_json as sha256_json

OUT_OF_MEMORY = "There is not enough memory; close other programs, or use fewer --workers or a smaller --batch-size."
_FLUSHED = 16  # files at a time
_ASKING = threading.Lock()
_MEMORY_WORDS = ("allocate memory", "out of memory", "bad_alloc", "bad allocation", "insufficient memory")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it when the block ends without error.

    For libraries that want to write to a name themselves (Parquet, safetensors, figures). The
    temporary name keeps the suffix of ``path``. On an exception the temporary file is removed and
    ``path`` is left as it was.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        yield temporary
        _flush(temporary)
        _put(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_all(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write several files as :func:`write_bytes` writes one, waiting for the disk once for all of them.

    Flushed at the same time they share what the disk has to do (five times as fast for eight of them); none gets its
    name before all are on the disk.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, data in files:
            written.append((_temporary(path), path))
            written[-1][0].write_bytes(data)
        with ThreadPoolExecutor(min(len(written), _FLUSHED) or 1) as pool:
            list(pool.map(_flush, (temporary for temporary, _ in written)))
        for temporary, path in written:
            _put(temporary, path)
    finally:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A new file beside ``path``, with its suffix."""
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    return Path(name)


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _put(temporary: Path, path: Path) -> None:
    temporary.chmod(0o666 & ~_umask())
    temporary.replace(path)


def make_folder(path: Path) -> None:
    """Make a folder and its parents where they are missing, except an output folder that was there and has vanished.

    Raises:
        FolderVanishedError: It, or the output folder it lies in, was removed meanwhile.
    """
    if not make_below(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically, making parent folders as needed."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with ``\\n`` line ends to ``path`` atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON (keys in the given order; NaN and infinities refused) atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file written by :func:`write_json`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that frbias wrote.

    Raises:
        BadInputError: It is gone, damaged, or something else than an object.
    """
    try:
        value = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is missing or damaged (expected a JSON object); make it again.") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path}: expected a JSON object, found {type(value).__name__}; make it again.")
    return value


def remove_temporaries(folder: Path) -> None:
    """Delete what a killed :func:`atomic_path` left anywhere below ``folder``."""
    for leftover in Path(folder).rglob(TEMPORARY_PREFIX + "*"):
        leftover.unlink(missing_ok=True)


def place_problem(path: Path) -> str:
    """Why nothing can be written at ``path``, as the rest of a sentence about it; empty when nothing speaks against it."""
    path = Path(path)
    for parent in (path, *path.parents):
        try:
            if not parent.exists():
                continue
            if parent is not path and not parent.is_dir():
                return f"cannot be written: {parent} is a file, not a folder."
        except OSError as error:
            return f"cannot be written: {error.strerror}."
        return "" if os.access(parent, os.W_OK) else f"cannot be written: there is no permission to write in {parent}."
    return ""


def os_error_sentence(error: OSError) -> str:
    """An error of the operating system in one sentence that says what to do."""
    place = _place(error)
    if "usable temporary directory" in str(error):
        return (
            "There is no folder for temporary files; set TMPDIR to one that can be written, and run the command again."
        )
    sentences = {
        errno.ENOSPC: f"The disk is full{f' ({place})' if place else ''}; free some space and run the command again.",
        errno.EDQUOT: f"Your disk quota is used up{f' ({place})' if place else ''}; free some space and try again.",
        errno.EACCES: f"There is no permission for {place}; choose another place or ask its owner.",
        errno.EPERM: f"There is no permission for {place}; choose another place or ask its owner.",
        errno.EROFS: f"{place} can only be read, not written; choose another place.",
        errno.ENOTDIR: f"{place} cannot be used: a part of that path is a file, not a folder.",
        errno.EEXIST: f"{place} is a file, where a folder is needed.",
        errno.EISDIR: f"{place} is a folder, where a file is needed.",
        errno.ENOENT: f"{place} does not exist.",
        errno.ENOMEM: OUT_OF_MEMORY,
        errno.ENAMETOOLONG: f"The name {place[:60]}... is too long for this file system.",
        errno.EMFILE: "Too many files are open at once; raise the limit (ulimit -n) or use fewer workers.",
        errno.EIO: f"{place} cannot be read or written: the device reports an error.",
    }
    anywhere = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM)
    told = sentences.get(error.errno or 0) if place or error.errno in anywhere else None
    return told or f"{f'{place}: ' if place else ''}{error.strerror or reason_of(error)}."


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that the disk is full, or came of one that does."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if getattr(at, "errno", None) == errno.ENOSPC or "No space left on device" in str(at):
            return True
        seen.add(id(at))
        at = at.__cause__ or at.__context__
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that there was not enough memory."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _MEMORY_WORDS)


def _place(error: OSError) -> str:
    name = error.filename2 or error.filename
    if not isinstance(name, str | os.PathLike):
        return ""
    path = Path(name)
    return str(path.parent if path.name.startswith(TEMPORARY_PREFIX) else path)


def _umask() -> int:
    with _ASKING:  # to ask is to change it
        mask = os.umask(0)
        os.umask(mask)
    return mask
