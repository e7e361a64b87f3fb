"""Strands of hair as chains of short segments, the form in which they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Strands:
    """Segments of many strands.

    Attributes:
        points: float32 (n, 3), decimetres.
        first: int32 (m,): segment s runs from ``points[first[s]]`` to the next point.
        near, far: Half widths at the two ends, decimetres, float32 (m,).
        start, end: Place of the ends along the strand, 0 root to 1 tip, float32 (m,).
        tint: Albedo, float32 (m, 3).
        kind: HAIR, BROW (also lashes and beard) or FRAME (of glasses), uint8 (m,).
    """

    points: FloatArray
    first: npt.NDArray[np.int32]
    near: FloatArray
    far: FloatArray
    start: FloatArray
    end: FloatArray
    tint: FloatArray
    kind: npt.NDArray[np.uint8]


def strands(paths: npt.NDArray[np.floating], width: float, tint: npt.NDArray[np.floating], kind: int) -> Strands:
    """Strands along ``paths`` (s, k, 3) that taper from ``width`` to a third of it; ``tint`` (s, 3)."""
    count, length, _ = paths.shape
    steps = length - 1
    first = (np.arange(count)[:, None] * length + np.arange(steps)[None]).ravel()
    place = np.linspace(0, 1, length)
    half = 0.5 * width * (1 - 0.65 * place)
    each = [np.tile(values, count).astype(np.float32) for values in (half[:-1], half[1:], place[:-1], place[1:])]
    return Strands(
        points=np.ascontiguousarray(paths.reshape(-1, 3), dtype=np.float32),
        first=first.astype(np.int32),
        near=each[0],
        far=each[1],
        start=each[2],
        end=each[3],
        tint=np.repeat(tint, steps, axis=0).astype(np.float32),
        kind=np.full(count * steps, kind, dtype=np.uint8),
    )


def join(parts: Sequence[Strands]) -> Strands:
    """All strands of ``parts`` in one."""
    shift = np.cumsum([0, *(len(part.points) for part in parts)])
    return Strands(
        points=np.concatenate([part.points for part in parts]),
        first=np.concatenate([part.first + offset for part, offset in zip(parts, shift, strict=False)]).astype(
            np.int32
        ),
        near=np.concatenate([part.near for part in parts]),
        far=np.concatenate([part.far for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        tint=np.concatenate([part.tint for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
    )
