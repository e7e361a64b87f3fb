"""Unpacking archives from strangers: nothing leaves the target, nothing grows without bound, nothing is linked."""

import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import atomic_path, is_disk_full
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.words import counted

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_MEMBERS = 2_000_000
MAX_TOTAL = 256 * 1024**3
MAX_RATIO = 200
_RATIO_FLOOR = 64 * 1024**2
MAX_TABLE = 32 * 1024**2
_TAIL = 66_000  # the end of a zip archive: its last record with the longest comment
_MAX_HEAD = 1024 * 1024
_BLOCK = 1024 * 1024
# What the readers of zip, tar and their packings raise at damaged bytes, beside errors of the disk.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, KeyError, ValueError, OverflowError)
_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db")


@dataclass(frozen=True)
class Member:
    """One file of an archive.

    Attributes:
        name: Its path in the archive, checked: relative, without ``..``.
        size: Bytes it claims to unpack to.
        raw: Its name as the archive spells it.
    """

    name: PurePosixPath
    size: int
    raw: str


class _BoundedInfo(tarfile.TarInfo):
    """A member whose header is bounded: long names and extended headers are read into memory as a whole."""

    def _proc_member(self, opened: tarfile.TarFile) -> tarfile.TarInfo:
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in (*extended, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) and self.size > _MAX_HEAD:
            raise tarfile.ReadError(f"a header of {self.size} bytes; at most {_MAX_HEAD} are read")
        return super()._proc_member(opened)  # type: ignore[misc]


def is_archive(path: Path) -> bool:
    """True for a file whose name says it is an archive."""
    return Path(path).is_file() and str(path).lower().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path, target: Path, *, progress: Progress = SILENT) -> list[Member]:
    """Unpack a zip or tar archive below ``target``.

    Everything is checked before the first byte is written: one member that is absolute, climbs out of the
    target, is a link or a device, or a total that is absurd for the size of the archive, and the whole
    archive is refused. While unpacking, no member may give more than it claimed.

    Returns:
        The members written, in the order of the archive.

    Raises:
        BadInputError: The archive is refused, broken or encrypted.
    """
    archive, target = Path(archive), Path(target)
    try:
        if str(archive).lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                members = _checked(archive, list(_zip_members(archive, opened)), progress)
                return _write(members, target, lambda member: opened.open(member.raw), progress, archive)
        with tarfile.open(archive, tarinfo=_BoundedInfo) as tar:
            members = _checked(archive, list(_tar_members(archive, tar)), progress)
            return _write(members, target, lambda member: tar.extractfile(member.raw), progress, archive)
    except (*DAMAGED, tarfile.TarError, OSError, NotImplementedError) as error:
        if is_disk_full(error):
            raise
        raise BadInputError(f"{archive} cannot be unpacked: {str(error) or type(error).__name__}.") from error
    except RuntimeError as error:  # zipfile's way of saying that a password is needed
        raise BadInputError(f"{archive} is encrypted; unpack it with its password and import the folder.") from error


def check_table(path: Path, most: int = MAX_TABLE) -> None:
    """Refuse a zip archive whose table of contents is longer than ``most`` bytes, before it is read into memory.

    Raises:
        BadInputError: It is.
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return  # no zip archive: whoever opens it says so
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    wide = end - 76  # where the wider form of the record and its locator stand, if there are such
    if wide >= 0 and tail[wide : wide + 4] == b"PK\x06\x06":
        length = max(length, int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    if length > most:
        raise BadInputError(f"{path} is refused: its table of contents has {length} bytes; at most {most} are read.")


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        mode = info.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(archive, info.filename, "is a link or a device")
        if info.flag_bits & 1:
            raise RuntimeError("encrypted")
        name = _safe_name(archive, info.filename)
        if not info.is_dir():
            yield Member(name, info.file_size, info.filename)


def _tar_members(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    total = 0
    for count, info in enumerate(opened):
        total += info.size  # before going on, which would unpack this member
        if count > MAX_MEMBERS or total > _allowed(archive):
            raise _bomb(archive, total)
        name = _safe_name(archive, info.name)
        if not (info.isreg() or info.isdir()):
            raise _refused(archive, info.name, "is a link or a device")
        if info.isreg():
            yield Member(name, info.size, info.name)


def _safe_name(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    wild = "\\" in name or ":" in name or any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    if not name or path.is_absolute() or ".." in path.parts or wild or len(name) > 1024:
        raise _refused(archive, name, "would leave the target folder")
    return path


def _refused(archive: Path, name: str, why: str) -> BadInputError:
    return BadInputError(f"{archive} is refused and nothing of it was written: its member {name[:200]!r} {why}.")


def _checked(archive: Path, members: list[Member], progress: Progress) -> list[Member]:
    total = sum(member.size for member in members)
    if len(members) > MAX_MEMBERS or total > _allowed(archive):
        raise _bomb(archive, total)
    kept, seen = [], set()
    for member in members:
        if any(part in _CLUTTER or part.startswith("._") for part in member.name.parts):
            continue
        if member.name in seen:
            raise _refused(archive, str(member.name), "is there twice")
        seen.add(member.name)
        kept.append(member)
    if dropped := len(members) - len(kept):
        progress.note(
            f"{counted(dropped, 'file')} that systems keep beside others passed over ({', '.join(_CLUTTER)}, ._*)"
        )
    return kept


def _allowed(archive: Path) -> int:
    return min(MAX_TOTAL, max(archive.stat().st_size * MAX_RATIO, _RATIO_FLOOR))


def _bomb(archive: Path, total: int) -> BadInputError:
    packed = archive.stat().st_size
    return BadInputError(
        f"{archive} is refused: its {packed} bytes would unpack to {total} or more (a decompression bomb)."
    )


def _write(
    members: list[Member],
    target: Path,
    opener: Callable[[Member], IO[bytes] | None],
    progress: Progress,
    archive: Path,
) -> list[Member]:
    with progress.task(f"unpacking {archive.name}", len(members)) as advance:
        for member in members:
            source = opener(member)
            if source is None:
                raise _refused(archive, str(member.name), "cannot be read")
            with source, atomic_path(target / member.name) as temporary:
                _copy(source, temporary, member, archive)
            advance(1)
    return members


def _copy(source: IO[bytes], path: Path, member: Member, archive: Path) -> None:
    left = member.size
    with path.open("wb") as stream:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise BadInputError(f"{archive}: {member.name} is larger than it claims; unpacking was stopped.")
            stream.write(block)
