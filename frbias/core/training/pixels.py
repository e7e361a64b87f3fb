"""The faces of an image set, decoded once and kept as pixels."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frbias.core.data.images import read_image
from frbias.core.data.samples import Rejected, SampleTable, rejected_row
from frbias.core.foundation.devices import ALONE, World, processes_here, usable_cores
from frbias.core.foundation.errors import BadImageError, BadInputError
from frbias.core.foundation.group import decided_by_the_leader, of_everyone, of_the_leader
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.requests import refuse

_IN_MEMORY = 4 * 1024**3
_SPARE = 1024**3
_SIZE = 112
_PREFIX = "frbias-faces-"


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


def read_faces(table: SampleTable, *, world: World = ALONE, progress: Progress = SILENT) -> FaceSet:
    """Decode every image of an aligned set; images that cannot be used are left out and listed.

    Args:
        table: The set.
        world: Processes that need the same faces. They decode a share each, into one file a machine that all of them map;
            it has no name any more while it is used, so that nothing of it stays, however they end.
        progress: Where to report.

    Raises:
        UsageError: There is no room for the pixels.
        BadInputError: No image is left, or the set is not aligned to 112x112.
    """
    pixels = _shared_room(len(table), world) if world.size > 1 else _room(len(table))
    helpers = processes_here() if world.size > 1 else 1
    mine = np.arange(world.local_rank if world.size > 1 else 0, len(table), helpers)
    reasons: dict[int, str] = {}
    paths = table.paths
    with progress.task("reading faces", len(mine)) as advance, ThreadPoolExecutor(usable_cores()) as pool:
        for row, found in zip(mine.tolist(), pool.map(_read, (paths[row] for row in mine)), strict=True):
            advance(1)
            if isinstance(found, str):
                reasons[row] = found
            else:
                pixels[row] = found
    for others in of_everyone(reasons, world):
        reasons |= others
    kept = [row for row in range(len(table)) if row not in reasons]
    rejected = [rejected_row(table.frame.iloc[row].to_dict(), reasons[row]) for row in sorted(reasons)]
    _check(len(kept), rejected, table.root)
    if rejected and (world.size == 1 or world.local_rank == 0):
        for place, row in enumerate(kept):
            pixels[place] = pixels[row]
    of_everyone(None, world)  # all have moved what they had to move
    pixels = pixels[: len(kept)]
    return FaceSet(table.select(kept), pixels, rejected, decided_by_the_leader(lambda: _hash(pixels), world))


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
    refuse(filter(None, [no_room(count)]))
    with tempfile.TemporaryFile(prefix=_PREFIX) as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _shared_room(count: int, world: World) -> npt.NDArray[np.uint8]:
    """Space for ``count`` faces in a file that the processes of a machine share.

    Raises:
        UsageError: A machine has no room for it.
    """
    path = Path(tempfile.gettempdir()) / f"{_PREFIX}{of_the_leader(secrets.token_hex(8), world)}"
    first = world.local_rank == 0
    refuse(filter(None, of_everyone(no_room(count) if first else "", world)))
    if first:
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.truncate(max(1, count * _SIZE * _SIZE * 3))
    of_everyone(None, world)  # the file is there
    pixels = np.memmap(path, np.uint8, "r+", shape=(count, _SIZE, _SIZE, 3))
    of_everyone(None, world)  # all have mapped it
    if first:
        path.unlink()
    return pixels


def no_room(count: int) -> str:
    """Why the pixels of ``count`` faces find no place, in a sentence; empty when they do."""
    needed, place = count * _SIZE * _SIZE * 3, tempfile.gettempdir()
    free = shutil.disk_usage(place).free
    if needed + _SPARE <= free:
        return ""
    return (
        f"The pixels of {count:,} faces take {needed / 1e9:.1f} GB in {place}, which has {free / 1e9:.1f} GB free; "
        "set TMPDIR to a folder on a disk with room."
    )


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
