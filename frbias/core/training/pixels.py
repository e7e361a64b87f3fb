"""The faces of an image set, decoded once and kept as pixels."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frbias.core.data.images import read_image
from frbias.core.data.samples import Rejected, SampleTable, rejected_row
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.progress import SILENT, Progress

_IN_MEMORY = 4 * 1024**3
_SIZE = 112


@dataclass(frozen=True)
class FaceSet:
    """Aligned faces and their rows.

    Attributes:
        table: The rows whose image could be used, in their order.
        pixels: uint8 RGB (n, 112, 112, 3), one per row.
        rejected: The images that could not be used.
        sha256: Hash of the pixels.
    """

    table: SampleTable
    pixels: npt.NDArray[np.uint8]
    rejected: list[Rejected]
    sha256: str


def read_faces(table: SampleTable, *, progress: Progress = SILENT) -> FaceSet:
    """Decode every image of an aligned set; images that cannot be used are left out and listed.

    Raises:
        BadInputError: No image is left, or the set is not aligned to 112x112.
    """
    pixels = _room(len(table))
    rejected: list[Rejected] = []
    kept: list[int] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, progress.task("reading faces", len(table)) as advance:
        for row, found in enumerate(pool.map(_read, table.paths)):
            advance(1)
            if isinstance(found, str):
                rejected.append(rejected_row(table.frame.iloc[row].to_dict(), found))
                continue
            pixels[len(kept)] = found
            kept.append(row)
    _check(len(kept), rejected, table.root)
    pixels = pixels[: len(kept)]
    return FaceSet(table.select(kept), pixels, rejected, _hash(pixels))


def _read(path: Path) -> npt.NDArray[np.uint8] | str:
    try:
        return read_image(path, only=(_SIZE, _SIZE))
    except BadImageError as error:
        return error.reason


def _room(count: int) -> npt.NDArray[np.uint8]:
    """Space for ``count`` faces: memory, or an unnamed file when it is much."""
    shape = (count, _SIZE, _SIZE, 3)
    if count * _SIZE * _SIZE * 3 <= _IN_MEMORY:
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="frbias-faces-") as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _check(kept: int, rejected: list[Rejected], root: Path) -> None:
    if kept:
        return
    if not rejected:
        raise BadInputError(f"{root} lists no images.")
    if all(one.reason.endswith(f", not {_SIZE}x{_SIZE}") for one in rejected):
        raise BadInputError(
            f"{root} is not aligned ({rejected[0].reason}).", hint=f"frbias align {root} --out {root}-aligned"
        )
    raise BadInputError(
        f"{root}: no image of {len(rejected)} can be used; the first: {rejected[0].file} {rejected[0].reason}."
    )


def _hash(pixels: Iterable[npt.NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256()
    for image in pixels:
        digest.update(image.tobytes())
    return digest.hexdigest()
