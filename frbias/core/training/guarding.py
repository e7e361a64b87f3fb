"""Guards: photographs that must not be told apart worse by a recogniser that learns from something else.

A labelled guard (people with several images) is measured by TAR at a false match rate and by EER. An unlabelled one by
the drift of its comparison scores: 1 - Pearson correlation of the scores of all pairs of images with those of the start
model, 0 where the order of who resembles whom stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.recognisers.maps import unit
from frbias.core.training.validation import verification_metrics

MOST_IMAGES = 2000
STEPS_BACK = (1.0, 0.75, 0.5, 0.25, 0.0)
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GuardSet:
    """Images to guard.

    Attributes:
        name: Of the set.
        subjects: Of every image, empty where unknown.
        start: Embeddings of the start model, (n, D).
    """

    name: str
    subjects: list[str]
    start: Vectors


@dataclass(frozen=True)
class GuardReading:
    """What became of a guard.

    Attributes:
        name: Of the set.
        tar: (before, after) at the guard's false match rate; None for an unlabelled set.
        eer: (before, after); None for an unlabelled set.
        drift: 1 - correlation of the scores.
        broken: It lost more than it may.
    """

    name: str
    tar: tuple[float, float] | None
    eer: tuple[float, float] | None
    drift: float
    broken: bool

    def sentence(self) -> str:
        """For people."""
        state = "more than it may lose" if self.broken else "kept"
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
            "broken": self.broken,
        }


@dataclass(frozen=True, eq=False)
class Guard:
    """The sets that are guarded and what they may lose.

    Attributes:
        sets: The sets.
        fall: How far TAR of a labelled set may fall, a fraction.
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
        known = [row for row, subject in enumerate(one.subjects) if subject]
        names, ages = [one.subjects[row] for row in known], np.full(len(known), np.nan)
        before, after = (
            verification_metrics(e[known], names, ages, self.fmr) if known else {} for e in (one.start, now)
        )
        fnmr, later = before.get("fnmr"), after.get("fnmr")
        eer, eer_later = before.get("eer"), after.get("eer")
        if fnmr is None or later is None or eer is None or eer_later is None:
            return GuardReading(one.name, None, None, drifted, drifted > self.drift)
        broken = later - fnmr > self.fall + 1e-12
        return GuardReading(one.name, (1 - fnmr, 1 - later), (eer, eer_later), drifted, broken)


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


def guarded_rows(count: int) -> npt.NDArray[np.int64]:
    """Rows of a set that are looked at: all, or every k-th so that at most 2000 are left."""
    return np.arange(0, count, -(-count // MOST_IMAGES) or 1)


def said(readings: Sequence[GuardReading]) -> list[str]:
    """One sentence a guard; without one, that photographs were not looked at."""
    return [f"Guard {r.sentence()}." for r in readings] or [
        "No photographs were looked at along the way (--guard SET)."
    ]
