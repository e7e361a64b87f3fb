"""Guards: photographs that must not be told apart worse by a recogniser that learns from something else.

A guard with a list of pairs is measured by its accuracy over folds, a labelled one (people with several images) by TAR at
a false match rate and by EER, an unlabelled one by the drift of its comparison scores: 1 - Pearson correlation of the scores
of all pairs of images with those of the start model, 0 where the order of who resembles whom stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.recognisers.maps import unit
from frbias.core.training.validation import verification_metrics
from frbias.core.verification.accuracy import fold_accuracy, squared_distances

MOST_IMAGES = 2000
STEPS_BACK = (1.0, 0.75, 0.5, 0.25, 0.0)
Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GuardPairs:
    """Pairs of images of a guard.

    Attributes:
        first, second: Rows of the set, (p,).
        mated: True for pairs of one person, (p,).
        folds: Fold of every pair, (p,).
    """

    first: Rows
    second: Rows
    mated: npt.NDArray[np.bool_]
    folds: Rows

    def accuracy(self, embeddings: Vectors) -> float:
        """Mean accuracy over the folds, each at the threshold that is best on the others, 0..1."""
        distances = squared_distances(embeddings[self.first], embeddings[self.second])
        return fold_accuracy(distances, self.mated, self.folds).mean


@dataclass(frozen=True, eq=False)
class GuardSet:
    """Images to guard.

    Attributes:
        name: Of the set.
        subjects: Of every image, empty where unknown.
        start: Embeddings of the start model, (n, D).
        pairs: The pairs that are judged, or None.
    """

    name: str
    subjects: list[str]
    start: Vectors
    pairs: GuardPairs | None = None


@dataclass(frozen=True)
class GuardReading:
    """What became of a guard.

    Attributes:
        name: Of the set.
        tar: (before, after) at the guard's false match rate; None for an unlabelled set and for pairs.
        eer: (before, after); None for an unlabelled set and for pairs.
        drift: 1 - correlation of the scores.
        broken: It lost more than it may.
        accuracy: (before, after) of the pairs over folds; None without pairs.
    """

    name: str
    tar: tuple[float, float] | None
    eer: tuple[float, float] | None
    drift: float
    broken: bool
    accuracy: tuple[float, float] | None = None

    @property
    def value(self) -> float:
        """The number that is watched along the way: accuracy, TAR or drift, of what is trained."""
        pair = self.accuracy or self.tar
        return self.drift if pair is None else pair[1]

    def sentence(self) -> str:
        """For people."""
        state = "more than it may lose" if self.broken else "kept"
        if self.accuracy is not None:
            before, after = self.accuracy
            return f"{self.name}: accuracy of its pairs {100 * before:.2f} -> {100 * after:.2f} % ({state})"
        if self.tar is None or self.eer is None:
            return f"{self.name}: scores drifted by {self.drift:.3f} ({state})"
        return (
            f"{self.name}: TAR {100 * self.tar[0]:.2f} -> {100 * self.tar[1]:.2f} %, "
            f"EER {100 * self.eer[0]:.2f} -> {100 * self.eer[1]:.2f} % ({state})"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON object; pairs are before and after."""
        return {
            "name": self.name,
            "tar": self.tar and list(self.tar),
            "eer": self.eer and list(self.eer),
            "drift": self.drift,
            "accuracy": self.accuracy and list(self.accuracy),
            "broken": self.broken,
        }


@dataclass(frozen=True, eq=False)
class Guard:
    """The sets that are guarded and what they may lose.

    Attributes:
        sets: The sets.
        fall: How far TAR of a labelled set, or the accuracy of pairs, may fall, a fraction.
        drift: How far the scores of an unlabelled set may drift.
        fmr: False match rate of TAR.
    """

    sets: tuple[GuardSet, ...]
    fall: float
    drift: float
    fmr: float

    def readings(self, embeddings: Sequence[Vectors]) -> tuple[GuardReading, ...]:
        """What became of each set, from its embeddings (n, K) now, in order."""
        return tuple(self._reading(one, now) for one, now in zip(self.sets, embeddings, strict=True))

    def _reading(self, one: GuardSet, now: Vectors) -> GuardReading:
        drifted = drift_of(one.start, now)
        if one.pairs is not None:
            accuracy = one.pairs.accuracy(one.start), one.pairs.accuracy(now)
            return GuardReading(one.name, None, None, drifted, _fell(*accuracy, self.fall), accuracy)
        known = [row for row, subject in enumerate(one.subjects) if subject]
        names, ages = [one.subjects[row] for row in known], np.full(len(known), np.nan)
        before, after = (
            verification_metrics(e[known], names, ages, self.fmr) if known else {} for e in (one.start, now)
        )
        fnmr, later = before.get("fnmr"), after.get("fnmr")
        eer, eer_later = before.get("eer"), after.get("eer")
        if fnmr is None or later is None or eer is None or eer_later is None:
            return GuardReading(one.name, None, None, drifted, drifted > self.drift)
        tar = 1 - fnmr, 1 - later
        return GuardReading(one.name, tar, (eer, eer_later), drifted, _fell(*tar, self.fall))


def _fell(before: float, after: float, allowed: float) -> bool:
    return before - after > allowed + 1e-12


def drift_of(start: Vectors, now: Vectors) -> float:
    """1 - Pearson correlation of the cosines of all pairs of rows, 0 (same order and spacing) to 2."""
    if len(start) < 3:
        return 0.0
    pairs = np.triu_indices(len(start), k=1)
    one, two = ((unit(e) @ unit(e).T)[pairs] for e in (start, now))
    spread = float(one.std() * two.std())
    if spread == 0:
        return 0.0 if np.allclose(one, two) else 1.0
    return float(1.0 - ((one - one.mean()) * (two - two.mean())).mean() / spread)


def guarded_rows(count: int) -> Rows:
    """Rows of a set that are looked at: all, or every k-th so that at most 2000 are left."""
    return np.arange(0, count, -(-count // MOST_IMAGES) or 1)


def guarded_pairs(first: Rows, second: Rows, mated: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which pairs (p,) are looked at: all, or every k-th of either kind so that they show at most 2000 images."""
    place = np.where(mated, np.cumsum(mated), np.cumsum(~mated)) - 1
    every = 1
    while True:
        chosen = np.asarray(place % every == 0)
        if len(np.unique(np.concatenate([first[chosen], second[chosen]]))) <= MOST_IMAGES:
            return chosen
        every += 1


def said(readings: Sequence[GuardReading]) -> list[str]:
    """One sentence a guard; without one, that photographs were not looked at."""
    return [f"Guard {r.sentence()}." for r in readings] or [
        "No photographs were looked at along the way (--guard SET)."
    ]
