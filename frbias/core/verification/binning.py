"""Monotone bins of scores and the tally of non-mated comparisons that exact counts come from.

A tally holds, per class of comparison, a fine histogram of all scores and the scores themselves in some bins.
A count at a threshold is exact when the scores of the threshold's bin are held; asking for another is an error,
never an approximation.
"""

import bisect
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Int64 = npt.NDArray[np.int64]
COSINE_BINS = 1 << 15


class NotHeldError(LookupError):
    """The scores of a bin that an exact count needs are not held; ``bins`` says which."""

    def __init__(self, bins: list[int]) -> None:
        super().__init__(f"the scores of bins {bins} are not held")
        self.bins = bins


@dataclass(frozen=True, slots=True)
class Bins:
    """Bin of a score = int((score - low) * scale), clipped to 0..count-1; monotone in the score.

    Attributes:
        low, scale: In the dtype of the scores.
        count: Number of bins.
    """

    low: np.floating[Any]
    scale: np.floating[Any]
    count: int

    def of(self, scores: npt.ArrayLike) -> Int64:
        """Bin of every score, same shape."""
        values = np.asarray(scores, dtype=self.low.dtype)
        return ((values - self.low) * self.scale).astype(np.int64).clip(0, self.count - 1)

    def lower_edges(self) -> Scores:
        """Smallest score of every bin, shape (count,), in the scores' dtype; the first is -inf."""
        kind = self.low.dtype.type
        steps = np.arange(self.count).astype(self.low.dtype)
        edges: Scores = (self.low + steps / self.scale).astype(self.low.dtype)
        wanted = np.arange(self.count)
        for _ in range(64):
            too_low = self.of(edges) < wanted
            if not too_low[1:].any():
                break
            edges = np.where(too_low, np.nextafter(edges, kind(np.inf)), edges)
        for _ in range(64):
            below = np.nextafter(edges, kind(-np.inf))
            can_fall = self.of(below) >= wanted
            if not can_fall[1:].any():
                break
            edges = np.where(can_fall, below, edges)
        edges[0] = kind(-np.inf)
        return edges


def cosine_bins() -> Bins:
    """Bins of float32 cosines: 32768 of width 6.1e-5 over -1..1."""
    return Bins(np.float32(-1), np.float32(COSINE_BINS / 2), COSINE_BINS)


def bins_of_range(scores: Scores, count: int = 1 << 13) -> Bins:
    """Bins over the range of some scores, in their dtype."""
    kind = scores.dtype.type
    low, high = float(scores.min()), float(scores.max())
    width = max(high - low, float(np.finfo(scores.dtype).tiny) * count)
    return Bins(kind(low), kind(min(count / width, float(np.finfo(scores.dtype).max) / 4)), count)


@dataclass(frozen=True)
class Tally:
    """Non-mated comparisons of every class.

    Attributes:
        bins: The bins.
        histogram: Comparisons per class and bin, shape (classes, bins).
        sums: Sum of the scores and of their squares per class, shape (classes, 2).
        held: True where the scores of a bin are held, shape (classes, bins).
        score: Held scores, ascending, shape (h,).
        kind: Class of each held score.
        first, second: Positions of the two samples (or subjects, for score files; -1 unknown) of each held score.
    """

    bins: Bins
    histogram: Int64
    sums: npt.NDArray[np.float64]
    held: npt.NDArray[np.bool_]
    score: Scores
    kind: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]

    @property
    def counts(self) -> Int64:
        """Comparisons per class, shape (classes,)."""
        return self.histogram.sum(axis=1)

    def complete(self, classes: Int64) -> bool:
        """Whether every score of these classes is held."""
        return bool((self.held[classes] | (self.histogram[classes] == 0)).all())

    def at_least(self, threshold: np.floating[Any], classes: Int64 | None = None) -> Int64:
        """Comparisons with score >= threshold, shape (classes,), exact.

        Args:
            threshold: In the scores' dtype.
            classes: Classes that have to be exact (default: all); the others hold 0.

        Raises:
            NotHeldError: The threshold lies in a bin whose scores are not held.
        """
        wanted = np.arange(len(self.histogram)) if classes is None else np.asarray(classes)
        position = int(self.bins.of(threshold))
        if not (self.held[wanted, position] | (self.histogram[wanted, position] == 0)).all():
            raise NotHeldError([position])
        found = np.zeros(len(self.histogram), dtype=np.int64)
        found[wanted] = self.histogram[wanted, position + 1 :].sum(axis=1)
        inside = slice(np.searchsorted(self.score, threshold), self._end_of_bin(position))
        extra = np.bincount(self.kind[inside], minlength=len(found))
        found[wanted] += extra[wanted]
        return found

    def threshold(self, classes: Int64, allowed: int) -> np.floating[Any]:
        """The ``at_most`` threshold of the pooled classes: smallest of their scores with at most ``allowed`` accepted.

        Raises:
            NotHeldError: A bin that decides it is not held.
        """
        pooled = self.histogram[classes].sum(axis=0)
        from_top = pooled[::-1].cumsum()[::-1]
        if from_top[0] == 0:
            raise ValueError("there are no comparisons to take a threshold from")
        if allowed >= from_top[0]:
            return self._smallest_in(int(np.flatnonzero(pooled)[0]), classes)
        position = int(np.flatnonzero(from_top > allowed)[-1])
        above = np.flatnonzero(pooled[position + 1 :])
        scores = self._scores_of(position, classes)
        rejected = scores[len(scores) - 1 - (allowed - int(from_top[position] - pooled[position]))]
        higher = scores[np.searchsorted(scores, rejected, side="right") :]
        if len(higher):
            return higher[0]
        if len(above):
            return self._smallest_in(position + 1 + int(above[0]), classes)
        return np.nextafter(rejected, rejected.dtype.type(np.inf))

    def moments(self, classes: Int64) -> tuple[float, float]:
        """Mean and standard deviation (ddof = 0) of the pooled classes."""
        count = int(self.histogram[classes].sum())
        total, squares = self.sums[classes].sum(axis=0)
        mean = float(total) / count
        return mean, float(np.sqrt(max(float(squares) / count - mean * mean, 0.0)))

    def _end_of_bin(self, position: int) -> int:
        return bisect.bisect_right(range(len(self.score)), position, key=lambda k: int(self.bins.of(self.score[k])))

    def _scores_of(self, position: int, classes: Int64) -> Scores:
        if not (self.held[classes, position] | (self.histogram[classes, position] == 0)).all():
            raise NotHeldError([position])
        inside = slice(self._end_of_bin(position - 1), self._end_of_bin(position))
        return self.score[inside][np.isin(self.kind[inside], classes)]

    def _smallest_in(self, position: int, classes: Int64) -> np.floating[Any]:
        return self._scores_of(position, classes)[0]
