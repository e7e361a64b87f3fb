"""Monotone bins of scores and the tally of non-mated comparisons that exact counts come from.

A tally holds, per class of comparison, a fine histogram of all scores and the scores themselves in some bins.
A count at a threshold is exact when the scores of the threshold's bin are held; asking for another is an error,
never an approximation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating[Any]]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
COSINE_BINS = 1 << 15
# Below this share of the squared mean, rounding is all that a difference of large numbers has left of a variance.
_CANCELLED = 1e-9


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
        with np.errstate(over="ignore"):  # infinite becomes the last bin
            return np.asarray(((values - self.low) * self.scale).clip(0, self.count - 1).astype(np.int64))

    def lower_edges(self) -> Scores:
        """Smallest score of every bin, shape (count,), in the scores' dtype; the first is -inf."""
        return _lower_edges(self)

    def _search_edges(self) -> Scores:
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


@lru_cache(maxsize=8)
def _lower_edges(bins: Bins) -> Scores:
    edges = bins._search_edges()
    edges.flags.writeable = False
    return edges


def cosine_bins() -> Bins:
    """Bins of float32 cosines: 32768 of width 6.1e-5 over -1..1."""
    return Bins(np.float32(-1), np.float32(COSINE_BINS / 2), COSINE_BINS)


def bins_of_range(scores: Scores, count: int = 1 << 13) -> Bins:
    """Bins over the range of some scores, in their dtype."""
    kind = scores.dtype.type
    low, high = float(scores.min()), float(scores.max())
    if low == high:  # one value alone has no range of its own
        half = max(abs(low), 1.0) / 100
        low, high = low - half, high + half
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
        pairs: Gives :attr:`first` and :attr:`second`; called when they are asked for.
    """

    bins: Bins
    histogram: Int64
    sums: npt.NDArray[np.float64]
    held: npt.NDArray[np.bool_]
    score: Scores
    kind: Int32
    pairs: Callable[[], tuple[Int32, Int32]]

    @property
    def first(self) -> Int32:
        """Position of the first sample (or subject, for score files; -1 unknown) of each held score."""
        return self._pairs[0]

    @property
    def second(self) -> Int32:
        """Position of the second sample of each held score."""
        return self._pairs[1]

    @cached_property
    def _pairs(self) -> tuple[Int32, Int32]:
        return self.pairs()

    @cached_property
    def counts(self) -> Int64:
        """Comparisons per class, shape (classes,)."""
        return self.histogram.sum(axis=1)

    @cached_property
    def from_top(self) -> Int64:
        """Comparisons per class in a bin or above it, shape (classes, bins + 1)."""
        above = np.zeros((len(self.histogram), self.bins.count + 1), dtype=np.int64)
        above[:, :-1] = self.histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
        return above

    def pooled_from_top(self, classes: Int64) -> Int64:
        """Comparisons of the pooled classes in a bin or above it, shape (bins + 1,)."""
        key = classes.tobytes()
        if key not in self._pooled:
            self._pooled[key] = self.from_top[classes].sum(axis=0)
        return self._pooled[key]

    @cached_property
    def _pooled(self) -> dict[bytes, Int64]:
        return {}

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
        found[wanted] = self.from_top[wanted, position + 1]
        inside = slice(np.searchsorted(self.score, threshold), self._end_of_bin(position))
        extra = np.bincount(self.kind[inside], minlength=len(found))
        found[wanted] += extra[wanted]
        return found

    def threshold(self, classes: Int64, allowed: int) -> np.floating[Any]:
        """The ``at_most`` threshold of the pooled classes: smallest of their scores with at most ``allowed`` accepted.

        Raises:
            NotHeldError: A bin that decides it is not held.
        """
        from_top = self.pooled_from_top(classes)
        if from_top[0] == 0:
            raise ValueError("there are no comparisons to take a threshold from")
        if allowed >= from_top[0]:
            return self._smallest_in(int(np.flatnonzero(from_top < from_top[0])[0]) - 1, classes)
        position = int(np.flatnonzero(from_top > allowed)[-1])
        scores = self._scores_of(position, classes)
        rejected = scores[len(scores) - 1 - (allowed - int(from_top[position + 1]))]
        higher = scores[np.searchsorted(scores, rejected, side="right") :]
        if len(higher):
            return higher[0]
        if from_top[position + 1]:
            return self._smallest_in(int(np.flatnonzero(from_top < from_top[position + 1])[0]) - 1, classes)
        return np.nextafter(rejected, rejected.dtype.type(np.inf))

    def moments(self, classes: Int64) -> tuple[float, float]:
        """Mean and standard deviation (ddof = 0) of the pooled classes."""
        count = int(self.histogram[classes].sum())
        total, squares = self.sums[classes].sum(axis=0)
        mean = float(total) / count
        variance = max(float(squares) / count - mean * mean, 0.0)
        if variance <= _CANCELLED * mean * mean and self.complete(classes):
            scores = self.score[np.isin(self.kind, classes)].astype(np.float64)
            variance = float(np.square(scores - scores[0]).mean() - np.square((scores - scores[0]).mean()))
        return mean, float(np.sqrt(max(variance, 0.0)))

    def _end_of_bin(self, position: int) -> int:
        """Number of held scores in this bin or below it."""
        if position + 1 >= self.bins.count:
            return len(self.score)
        return int(np.searchsorted(self.score, self.bins.lower_edges()[position + 1])) if position >= 0 else 0

    def _scores_of(self, position: int, classes: Int64) -> Scores:
        if not (self.held[classes, position] | (self.histogram[classes, position] == 0)).all():
            raise NotHeldError([position])
        inside = slice(self._end_of_bin(position - 1), self._end_of_bin(position))
        return self.score[inside][np.isin(self.kind[inside], classes)]

    def _smallest_in(self, position: int, classes: Int64) -> np.floating[Any]:
        return self._scores_of(position, classes)[0]
