"""Data sets that are one file of pictures: RecordIO training sets and insightface's verification sets.

They become image sets like any other: every picture a file with the bytes it was packed with, decoded once within bounds,
and a table. Pictures already there from an interrupted import are not written again. Names are made of numbers alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.data.binsets import picture_name, read_bin
from frbias.core.data.datasets.layouts.layout import Layout
from frbias.core.data.images import decode_image, image_suffix
from frbias.core.data.recordio import Record, count_pictures, is_recordio, iterate_records, record_files
from frbias.core.data.samples import Rejected
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.files import sha256_bytes, sha256_file, sha256_json, write_bytes
from frbias.core.foundation.progress import SILENT, Progress

RECORDIO = Layout("recordio", "RecordIO training set", "train.rec", lambda path: None)
BIN = Layout("bin", "insightface verification set", "lfw.bin", lambda path: None, identities=False)


@dataclass
class Unpacked:
    """What was unpacked.

    Attributes:
        layout: What it was.
        rows: Rows of ``metadata.csv``.
        digests: SHA-256 of every file by name.
        rejected: What was left out.
    """

    layout: Layout
    rows: list[dict[str, Any]]
    digests: dict[str, str]
    rejected: list[Rejected]


@dataclass(frozen=True)
class _Picture:
    name: str
    subject: str = ""
    data: bytes | None = None
    problem: str = ""


def packed_layout(path: Path) -> Layout | None:
    """What kind of packed set ``path`` is; None when it is none."""
    path = Path(path)
    if path.exists() and is_recordio(path):
        return RECORDIO
    return BIN if path.is_file() and path.suffix.lower() == ".bin" else None


def packed_identity(path: Path) -> str:
    """SHA-256 over the files of a packed set."""
    if packed_layout(path) is BIN:
        return sha256_file(Path(path))
    return sha256_json([sha256_file(file) for file in record_files(path)])


def unpack_pictures(path: Path, out: Path, *, progress: Progress = SILENT) -> Unpacked:
    """Write every picture of a packed set below ``out``.

    Raises:
        BadInputError: The set cannot be read.
    """
    layout = packed_layout(path)
    if layout is None:
        raise BadInputError(f"{path} is no packed set of pictures (.rec or .bin).")
    found = Unpacked(layout, [], {}, [])
    entries, total = (
        (_of_bin(path), 2 * len(read_bin(path))) if layout is BIN else (_of_records(path), count_pictures(path))
    )
    with progress.task("unpacking", total) as advance:
        for picture in entries:
            try:
                file, data = _kept(picture)
                if not (out / file).exists() or (out / file).read_bytes() != data:
                    write_bytes(out / file, data)
                found.digests[file] = sha256_bytes(data)
                found.rows.append({"file_name": file, "subject": picture.subject, "age": None})
            except BadImageError as error:
                found.rejected.append(Rejected(picture.name, error.reason, picture.subject))
            advance(1)
    if not found.rows:
        first = found.rejected[0]
        raise BadInputError(f"{path} holds no picture that can be decoded; {first.file}: {first.reason}.")
    return found


def _kept(picture: _Picture) -> tuple[str, bytes]:
    if picture.data is None:
        raise BadImageError(picture.problem)
    suffix = image_suffix(picture.data)
    if suffix is None:
        raise BadImageError("is neither a JPEG nor a PNG image")
    decode_image(picture.data, Path(picture.name))
    return str(Path(picture.name).with_suffix(suffix)), picture.data


def _of_records(path: Path) -> Iterator[_Picture]:
    for record in iterate_records(path):
        if not isinstance(record, Record):
            yield _Picture(f"record {record[0]}", problem=record[1])
        elif record.identity is None:
            yield _Picture(f"record {record.key}", problem="its label is no number of a person")
        else:
            subject = f"{record.identity:07d}"
            yield _Picture(f"{subject}/{record.key:09d}.jpg", subject, record.data)


def _of_bin(path: Path) -> Iterator[_Picture]:
    found = read_bin(path)
    for number in range(2 * len(found)):
        yield _Picture(picture_name(number), "", found.data(number))
