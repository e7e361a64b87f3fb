"""What the counting of a tile reads and fills, by name."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SKIP = np.float32(-2.0)
"""Value of a tile cell that must not be counted (mated pairs, pairs left out by an option)."""
SKIP_BELOW = np.float32(-1.5)
SUM_BITS = 28
SUM_SCALE = 2.0**SUM_BITS
"""Scores are summed as whole numbers of this scale, rounded towards 0, and so are the squares of these numbers: exact to
4e-9 and 1.2e-8 each, in any order. Numbers of 32 bits hold any cosine, so that many are worked on at a time."""
Int32 = npt.NDArray[np.int32]


class TilePlace(NamedTuple):
    """Which pairs a tile holds.

    Attributes:
        first_row, first_column: Position of its corner among the sorted samples.
        rows, columns: Its size; less than a whole tile at the end.
        diagonal: Whether only cells above the diagonal are pairs.
    """

    first_row: int
    first_column: int
    rows: int
    columns: int
    diagonal: bool


class CountingRules(NamedTuple):
    """How a comparison is counted.

    Attributes:
        label: Label (group code + 1, 0 for none) of every sorted sample, ascending.
        run_end: For every sample the position after the last sample of its label.
        class_of: Class of a pair of labels, shape (labels, labels); negative: not counted.
        low, scale: Bin = int((score - low) * scale), clipped.
        wanted: Nonzero where a bin's comparisons are held, shape (classes, bins + 1); the last is of what is skipped.
        held_from, held_to: First and last wanted bin of every class, shape (classes,); the first is beyond the last when
            there is none.
    """

    label: Int32
    run_end: Int32
    class_of: Int32
    low: np.float32
    scale: np.float32
    wanted: npt.NDArray[np.uint8]
    held_from: Int32
    held_to: Int32


class Held(NamedTuple):
    """Comparisons in wanted bins, as far as filled: score, class, and the two positions among the sorted samples."""

    score: npt.NDArray[np.float32]
    kind: Int32
    row: Int32
    column: Int32

    @staticmethod
    def room(size: int) -> "Held":
        """Room for ``size`` comparisons."""
        return Held(np.empty(size, dtype=np.float32), *(np.empty(size, dtype=np.int32) for _ in range(3)))

    def first(self, filled: int) -> list[npt.NDArray[Any]]:
        """The filled part of each."""
        return [part[:filled] for part in self]

    def grown(self, filled: int, size: int) -> "Held":
        """Room for more, with the filled part kept."""
        bigger = Held.room(size)
        for new, old in zip(bigger, self, strict=True):
            new[:filled] = old[:filled]
        return bigger
