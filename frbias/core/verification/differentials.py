"""Comparison score differentials: how far the groups' mean scores are from each other, mated and non-mated.

The differential of a group is its mean score minus the mean of the groups' means (groups of equal weight), in units
of the score. ISO/IEC 19795-10 names mated and non-mated comparison score differential measures; the reference and
the difference are the ones chosen here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.bootstrap import Replicates, separation_interval
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.records import Record
from frbias.core.verification.scores.comparisons import Comparisons

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GroupDifferential(Record):
    """One group's mean score and its distance from the mean of the groups' means, with interval."""

    name: str
    mean: float
    differential: float
    bootstrap: Interval | None


@dataclass(frozen=True)
class Differential(Record):
    """Score differentials of one kind of comparison.

    Attributes:
        reference: Mean of the groups' mean scores.
        groups: Per group.
        range: Largest minus smallest group mean.
        range_bootstrap: Its interval, None without a bootstrap.
        highest, lowest: Groups with the largest and the smallest mean.
    """

    reference: float
    groups: tuple[GroupDifferential, ...]
    range: float
    range_bootstrap: Interval | None
    highest: str
    lowest: str


@dataclass(frozen=True)
class ScoreDifferentials(Record):
    """Differentials of mated and of non-mated comparison scores."""

    mated: Differential
    non_mated: Differential


def score_differentials(
    comparisons: Comparisons, replicates: Replicates | None, *, confidence: float = 0.95
) -> ScoreDifferentials | None:
    """Differentials of the evaluated groups; None with fewer than two of them."""
    chosen = np.flatnonzero(comparisons.evaluated)
    if len(chosen) < 2:
        return None
    names = [comparisons.groups[g] for g in chosen]
    mated, member = comparisons.mated, comparisons.classes.member
    own = np.array([mated.score[mated.group == g].mean(dtype=np.float64) for g in chosen])
    others = np.array([comparisons.tally.moments(np.flatnonzero(member[:, g]))[0] for g in chosen])
    drawn = None if replicates is None else replicates.separation
    return ScoreDifferentials(
        _differential(names, own, None if drawn is None else drawn.mated_means[:, chosen], confidence),
        _differential(names, others, None if drawn is None else drawn.non_mated_means[:, chosen], confidence),
    )


def _differential(names: Sequence[str], means: Float, drawn: Float | None, confidence: float) -> Differential:
    reference = float(means.mean())
    bands: list[Interval | None] = [None] * len(names)
    spread = None
    if drawn is not None:
        shifted = drawn - drawn.mean(axis=1, keepdims=True)
        bands = [separation_interval(column, confidence=confidence) for column in shifted.T]
        spread = separation_interval(np.ptp(drawn, axis=1), confidence=confidence)
    groups = tuple(
        GroupDifferential(name, float(mean), float(mean) - reference, band)
        for name, mean, band in zip(names, means, bands, strict=True)
    )
    high, low = int(np.argmax(means)), int(np.argmin(means))
    return Differential(reference, groups, float(np.ptp(means)), spread, names[high], names[low])
