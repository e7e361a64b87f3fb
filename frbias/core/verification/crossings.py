"""Non-mated comparisons between every pair of groups, and identification rates projected from FMR."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.ages import Cells, Counts
from frbias.core.verification.measures.intervals import ShownInterval, shown_interval
from frbias.core.verification.records import Record
from frbias.core.verification.scores.comparisons import Comparisons

GALLERIES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class WorstCell(Record):
    """The pair of groups with the largest FMR, with its binomial interval.

    Attributes:
        groups: Names of the two groups, equal for comparisons within one.
        false_matches, non_mated, fmr: Counts and their ratio.
        interval: Wilson interval.
    """

    groups: tuple[str, str]
    false_matches: int
    non_mated: int
    fmr: float
    interval: ShownInterval


@dataclass(frozen=True)
class CrossGroups(Record):
    """Symmetric matrices over the groups, FMR None where there is no comparison."""

    groups: tuple[str, ...]
    non_mated: Counts
    false_matches: Counts
    fmr: Cells
    worst_cell: WorstCell | None


@dataclass(frozen=True)
class ProjectedFpir(Record):
    """False positive identification rate of a gallery whose comparisons are independent: 1 - (1 - FMR)^N.

    Attributes:
        gallery: Enrolled people N.
        fpir: From the FMR over all groups.
        worst_group: Group with the largest FMR.
        fpir_worst_group: From that group's FMR, in a gallery of N of its members.
    """

    gallery: int
    fpir: float
    worst_group: str
    fpir_worst_group: float


def projected_fpir(fmr: float, gallery: int) -> float:
    """1 - (1 - FMR)^N, the chance of at least one false match among N independent comparisons.

    Example:
        >>> round(projected_fpir(0.001, 1000), 4)
        0.6323
    """
    return float(-np.expm1(gallery * np.log1p(-fmr))) if fmr < 1 else 1.0


def project(fmr: float, names: Sequence[str], group_fmr: Sequence[float]) -> tuple[ProjectedFpir, ...]:
    """Projections of all groups together and of the worst group to the galleries of the document."""
    worst = int(np.argmax(group_fmr))
    return tuple(
        ProjectedFpir(n, projected_fpir(fmr, n), names[worst], projected_fpir(group_fmr[worst], n)) for n in GALLERIES
    )


def cross_groups(
    comparisons: Comparisons, accepted: npt.NDArray[np.int64], *, confidence: float = 0.95
) -> CrossGroups | None:
    """Counts between every pair of groups at a threshold, None when pairs of groups share a class.

    Args:
        comparisons: The comparisons.
        accepted: Comparisons at or above the threshold per class.
        confidence: Coverage of the interval of the worst cell.
    """
    if not comparisons.classes.cross or len(comparisons.groups) < 2:
        return None
    table = comparisons.classes.table[1:, 1:]
    counts, matches = comparisons.tally.counts[table], accepted[table]
    rates = tuple(
        tuple(int(m) / int(n) if n else None for m, n in zip(row, total, strict=True))
        for row, total in zip(matches, counts, strict=True)
    )
    return CrossGroups(
        comparisons.groups,
        tuple(map(tuple, counts.tolist())),
        tuple(map(tuple, matches.tolist())),
        rates,
        _worst(comparisons.groups, counts, matches, confidence),
    )


def _worst(
    names: Sequence[str], counts: npt.NDArray[np.int64], matches: npt.NDArray[np.int64], confidence: float
) -> WorstCell | None:
    if not matches.any():
        return None
    rates = np.where(counts > 0, matches / np.maximum(counts, 1), -1.0)
    one, two = (int(k) for k in np.unravel_index(int(np.argmax(rates)), rates.shape))
    errors, trials = int(matches[one, two]), int(counts[one, two])
    interval = shown_interval(errors, trials, None, confidence=confidence)
    return WorstCell((names[one], names[two]), errors, trials, errors / trials, interval)
