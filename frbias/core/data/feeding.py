"""Faces decoded ahead of what uses them: threads fill the next batches while the last one is worked on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frbias.core.data.images import read_image
from frbias.core.foundation.ahead import done_ahead
from frbias.core.foundation.errors import BadImageError

Faces = npt.NDArray[np.uint8]
_JOB = 32  # images that a thread takes at a time
_AHEAD = 4  # jobs waiting for every thread


@dataclass(frozen=True)
class Batch:
    """Consecutive images.

    Attributes:
        faces: uint8 RGB (n, height, width, 3), zeros where there is no image; overwritten when the next batch is asked for.
        reasons: Why there is none, one clause each; empty where there is one.
    """

    faces: Faces
    reasons: list[str]


def face_batches(
    paths: Sequence[Path | str],
    size: tuple[int, int],
    batch: int,
    *,
    threads: int,
    room: Callable[[tuple[int, ...]], Faces] = lambda shape: np.zeros(shape, np.uint8),
) -> Iterator[Batch]:
    """Decode images in order, a few batches ahead of the one that was asked for.

    Args:
        paths: Files.
        size: Height and width that an image has to have.
        batch: Images in a batch; the last may have fewer.
        threads: Threads.
        room: Makes the memory of a batch; pinned memory is copied to a device in the background.
    """
    depth = 1 + -(-threads * _AHEAD * _JOB // batch)
    free = [room((min(batch, len(paths)), *size, 3)) for _ in range(min(1 + depth, -(-len(paths) // batch)))]

    def items() -> Iterator[tuple[Faces, list[Callable[[], list[str]]]]]:
        for number, start in enumerate(range(0, len(paths), batch)):
            chosen = paths[start : start + batch]
            faces = free[number % len(free)][: len(chosen)]
            cuts = [slice(first, first + _JOB) for first in range(0, len(chosen), _JOB)]
            yield faces, [partial(_fill, chosen[cut], faces[cut]) for cut in cuts]

    for faces, reasons in done_ahead(items(), threads=threads, depth=depth):
        yield Batch(faces, [reason for some in reasons for reason in some])


def _fill(paths: Sequence[Path | str], faces: Faces) -> list[str]:
    """Decode into ``faces``; the reasons, empty where it went well."""
    return [_load(path, place) for path, place in zip(paths, faces, strict=False)]


def _load(path: Path | str, place: Faces) -> str:
    try:
        place[:] = read_image(path, only=(place.shape[0], place.shape[1]))
    except BadImageError as error:
        place[:] = 0
        return error.reason
    return ""
