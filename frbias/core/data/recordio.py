"""Training sets in RecordIO (insightface's ``train.rec``, ``train.idx``, ``property``), read without mxnet.

A record is ``magic 0xced7230a, kind and length`` (two little-endian uint32: the upper three bits are the kind, the lower
29 the length), the data, and padding to four bytes (dmlc-core, ``recordio.h``). Data that happens to hold the magic number
is cut there into a first (1), middle (2) and last (3) part; kind 0 is a whole record. A record's data begins with a header
``flag (uint32), label (float32), id, id2 (uint64)``; with flag > 0 that many float32 labels follow, then the encoded
picture. ``train.idx`` has a line ``key <tab> offset`` per record. In insightface's sets record 0 has no picture but two
numbers: the pictures are the keys from 1 to below the first one, the records after them sum up identities.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from frbias.core.foundation.errors import BadInputError

MAGIC = 0xCED7230A
MAX_RECORD = 64 * 1024 * 1024
MAX_RECORDS = 200_000_000
MAX_LABELS = 4096
MAX_IDENTITY = 2**31
_HEADER = struct.Struct("<IfQQ")
_FRAME = struct.Struct("<II")
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


@dataclass(frozen=True)
class Record:
    """One picture of a training set.

    Attributes:
        key: Its key in the index.
        identity: Number of the person; None when the label is no whole number from 0.
        data: Encoded bytes.
    """

    key: int
    identity: int | None
    data: bytes


def is_recordio(path: Path) -> bool:
    """True for a ``.rec`` file, and for a folder that holds ``train.rec``."""
    path = Path(path)
    return path.suffix.lower() == ".rec" if path.is_file() else (path / "train.rec").is_file()


def record_files(path: Path) -> tuple[Path, Path]:
    """The ``.rec`` file and its index beside it.

    Raises:
        BadInputError: One of them is missing.
    """
    path = Path(path)
    records = path / "train.rec" if path.is_dir() else path
    index = records.with_suffix(".idx")
    for file, what in ((records, "pictures"), (index, "index")):
        if not file.is_file():
            raise BadInputError(
                f"{file} does not exist; a RecordIO set is a .rec file with its .idx beside it ({what})."
            )
    return records, index


def read_index(index: Path) -> list[tuple[int, int]]:
    """(key, offset) of every record, in the order of the offsets.

    Raises:
        BadInputError: A line is no pair of numbers, a key comes twice, or there is none.
    """
    found: dict[int, int] = {}
    try:
        with index.open(encoding="ascii") as stream:
            for number, line in enumerate(stream, start=1):
                words = line.split()
                if not words:
                    continue
                if len(words) != 2 or not all(word.isdigit() and len(word) < 19 for word in words):
                    raise BadInputError(
                        f"{index}, line {number}: 'key <tab> offset' is expected, found {line.strip()[:60]!r}."
                    )
                key, offset = int(words[0]), int(words[1])
                if key in found:
                    raise BadInputError(f"{index}, line {number}: the key {key} comes twice.")
                found[key] = offset
                if len(found) > MAX_RECORDS:
                    raise BadInputError(f"{index} lists more than {MAX_RECORDS} records.")
    except UnicodeDecodeError:
        raise BadInputError(f"{index} is no index of a RecordIO set: it is not text.") from None
    if not found:
        raise BadInputError(f"{index} lists no record.")
    return sorted(found.items(), key=lambda entry: (entry[1], entry[0]))


def count_pictures(path: Path) -> int:
    """How many pictures a set claims to hold, from its index and first record."""
    records, index = record_files(path)
    entries = read_index(index)
    with records.open("rb") as stream:
        return len(_pictures(stream, records, entries))


def iterate_records(path: Path) -> Iterator[Record | tuple[int, str]]:
    """The pictures of a set in the order of the file, one in memory at a time.

    Yields:
        A :class:`Record`, or (key, reason) for a record that cannot be used.

    Raises:
        BadInputError: The files are missing or the index cannot be read, or its first record is no RecordIO.
    """
    records, index = record_files(path)
    entries = read_index(index)
    with records.open("rb") as stream:
        size = records.stat().st_size
        for key, offset in _pictures(stream, records, entries):
            try:
                yield _record(key, _read(stream, records, offset, size))
            except BadInputError as error:
                yield key, error.message.removeprefix(f"{records}, ")


def _pictures(stream: BinaryIO, records: Path, entries: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The entries that are pictures: all of them, or those that insightface's record 0 says."""
    size = records.stat().st_size
    key, offset = min(entries)
    data = _read(stream, records, offset, size)
    flag, labels, _ = _unpacked(data, f"{records}, record {key}")
    if key != 0 or flag == 0:
        return entries
    end = labels[0]
    if not (math.isfinite(end) and 1 <= end <= MAX_RECORDS and end == int(end)):
        raise BadInputError(f"{records}, record 0: says that its pictures end at {end:g}, which is no key.")
    return [(k, o) for k, o in entries if 1 <= k < int(end)]


def _record(key: int, data: bytes) -> Record:
    _, labels, picture = _unpacked(data, f"record {key}")
    label = labels[0]
    known = math.isfinite(label) and 0 <= label < MAX_IDENTITY and label == int(label)
    return Record(key, int(label) if known else None, picture)


def _unpacked(data: bytes, what: str) -> tuple[int, tuple[float, ...], bytes]:
    if len(data) < _HEADER.size:
        raise BadInputError(f"{what}: has {len(data)} bytes, less than a header.")
    flag, label, _, _ = _HEADER.unpack_from(data)
    if flag == 0:
        return 0, (label,), data[_HEADER.size :]
    end = _HEADER.size + 4 * flag
    if flag > MAX_LABELS or end > len(data):
        raise BadInputError(f"{what}: claims {flag} labels, which it does not hold.")
    return flag, struct.unpack_from(f"<{flag}f", data, _HEADER.size), data[end:]


def _read(stream: BinaryIO, records: Path, offset: int, size: int) -> bytes:
    """The data of the record at ``offset``, its parts joined by the magic number they were cut at."""
    parts: list[bytes] = []
    total, at, expected = 0, offset, (_WHOLE, _FIRST)
    stream.seek(min(offset, size))
    while True:
        frame = stream.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            raise BadInputError(f"{records}, offset {at}: the file ends in the middle of a record; is it whole?")
        magic, word = _FRAME.unpack(frame)
        kind, length = word >> 29, word & (2**29 - 1)
        if magic != MAGIC:
            raise BadInputError(f"{records}, offset {at}: no record begins here (its magic number is {magic:#010x}).")
        if kind not in expected:
            raise BadInputError(f"{records}, offset {at}: a part of kind {kind} does not belong here.")
        total += length
        if total > MAX_RECORD:
            raise BadInputError(f"{records}, offset {offset}: a record of more than {MAX_RECORD} bytes is claimed.")
        if at + _FRAME.size + length > size:
            raise BadInputError(f"{records}, offset {at}: {length} bytes are claimed, but the file ends before them.")
        parts.append(stream.read(length))
        if kind in (_WHOLE, _LAST):
            return struct.pack("<I", MAGIC).join(parts)
        stream.seek(-length % 4, 1)
        at += _FRAME.size + length + (-length % 4)
        expected = (_MIDDLE, _LAST)
