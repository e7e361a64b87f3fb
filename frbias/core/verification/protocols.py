"""Score distributions of the kinds of comparison that a named protocol asks for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.groups import DistributionClass, Grouping, protocol_named
from frbias.core.verification.records import Record
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import compare_all

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProtocolDistribution(Record):
    """Scores of one kind of comparison: histogram, mean and spread."""

    name: str
    kind: str
    comparisons: int
    mean: float
    std: float
    counts: tuple[int, ...]


def protocol_distributions(
    protocol: str,
    comparisons: Comparisons,
    matrix: npt.NDArray[np.float32],
    subjects: npt.NDArray[Any],
    ages: Float,
    edges: Float,
) -> tuple[ProtocolDistribution, ...]:
    """Histograms, means and spreads of a protocol's kinds of comparison.

    Args:
        protocol: Name of the protocol.
        comparisons: Comparisons of the whole set.
        matrix, subjects, ages: The set.
        edges: Bin edges of the histograms.

    Returns:
        One record per kind that has comparisons.
    """
    records = [
        _mated(wanted, comparisons, ages, edges) if wanted.mated else _non_mated(wanted, matrix, subjects, ages, edges)
        for wanted in protocol_named(protocol).distributions
    ]
    return tuple(record for record in records if record is not None)


def _mated(
    wanted: DistributionClass, comparisons: Comparisons, ages: Float, edges: Float
) -> ProtocolDistribution | None:
    first, second = ages[comparisons.mated.first], ages[comparisons.mated.second]
    one = wanted.first.holds(first) & wanted.second.holds(second)
    two = wanted.first.holds(second) & wanted.second.holds(first)
    scores = comparisons.mated.score[one | two].astype(np.float64)
    if not scores.size:
        return None
    counts = np.histogram(scores.clip(edges[0], edges[-1]), edges)[0]
    return _record(wanted, float(scores.mean()), float(scores.std()), counts)


def _non_mated(
    wanted: DistributionClass, matrix: npt.NDArray[np.float32], subjects: npt.NDArray[Any], ages: Float, edges: Float
) -> ProtocolDistribution | None:
    """Of one age group: the two samples of every protocol's non-mated kind are of the same ages."""
    rows = np.flatnonzero(wanted.first.holds(ages))
    if len(np.unique(subjects[rows])) < 2:
        return None
    grouping = Grouping((wanted.name,), np.zeros(len(rows), dtype=np.int64), "age", "")
    tally = compare_all(matrix[rows], subjects[rows], grouping).tally
    middle = float(tally.bins.low) + (np.arange(tally.bins.count) + 0.5) / float(tally.bins.scale)
    counts = np.histogram(middle.clip(edges[0], edges[-1]), edges, weights=tally.histogram[0])[0]
    return _record(wanted, *tally.moments(np.array([0])), counts)


def _record(wanted: DistributionClass, mean: float, std: float, counts: npt.NDArray[Any]) -> ProtocolDistribution:
    kind = "mated" if wanted.mated else "non_mated"
    return ProtocolDistribution(wanted.name, kind, int(counts.sum()), mean, std, tuple(int(n) for n in counts))
