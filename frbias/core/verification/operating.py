"""Everything at one operating point: counts at the threshold of a target FMR, rates, fairness, noise floors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.acquisition import AcquisitionCounts, acquisition_of
from frbias.core.verification.ages import by_age_gap, by_age_pair
from frbias.core.verification.bootstrap import Replicates, design_effects
from frbias.core.verification.counted import GroupAtTarget, Rate
from frbias.core.verification.crossings import cross_groups, project
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.measures.noise import NoiseFloor, noise_floor
from frbias.core.verification.measures.rates import DEFAULT_CONVENTION, error_budget
from frbias.core.verification.measures.table import all_measures
from frbias.core.verification.results import AtTarget, MeasureResult
from frbias.core.verification.scores.comparisons import Comparisons

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MatedAges:
    """Ages in years of mated comparisons, NaN unknown, shape (m,) each."""

    younger: Float
    older: Float

    @property
    def gap(self) -> Float:
        """Years between the two samples."""
        return self.older - self.younger


@dataclass(frozen=True)
class _Drawn:
    """What the bootstrap says at one target; None or empty without one."""

    fmr: list[Interval | None]
    fnmr: list[Interval | None]
    overall_fnmr: Interval | None
    tau: Interval | None
    measures: dict[str, Interval]
    correlations: list[float | None]


def mated_ages(comparisons: Comparisons, ages: Float | None) -> MatedAges | None:
    """Ages of the mated comparisons, None when no age or no sample is known."""
    if ages is None or not np.isfinite(ages).any() or not len(comparisons.mated.first):
        return None
    first, second = ages[comparisons.mated.first], ages[comparisons.mated.second]
    return MatedAges(np.minimum(first, second), np.maximum(first, second))


def at_target(
    comparisons: Comparisons,
    target: float,
    tau: Any,
    replicates: Replicates | None,
    ages: MatedAges | None,
    *,
    alpha: float = 0.5,
    seed: int = 0,
    confidence: float = 0.95,
    failure_to_acquire: float | None = None,
    acquisition: Sequence[AcquisitionCounts] = (),
) -> AtTarget:
    """Count at the threshold of a target FMR and measure fairness there.

    Args:
        comparisons: Comparisons, held at the threshold.
        target: Target FMR.
        tau: Threshold, in the dtype of the scores.
        replicates: Bootstrap replicates that hold this target, or None.
        ages: Ages of the mated comparisons, None when unknown.
        alpha: Weight of FMR.
        seed: Seed of the noise floor.
        confidence: Coverage of intervals.
        failure_to_acquire: Share of images without a usable face.
        acquisition: Images tried and failed by group.
    """
    accepted = comparisons.tally.at_least(tau, comparisons.counted)
    drawn = _drawn(comparisons, target, replicates, alpha, confidence)
    groups = _groups(comparisons, tau, accepted, drawn, confidence, acquisition)
    chosen = comparisons.evaluated
    rejected, mated = comparisons.false_non_matches(tau)[chosen], comparisons.mated_counts[chosen]
    pooled = Rate.of(int(accepted[comparisons.classes.pool].sum()), comparisons.pooled_non_mated, confidence=confidence)
    measures = all_measures(
        [g.fmr.value for g in groups],
        [g.fnmr.value for g in groups],
        alpha=alpha,
        target=target,
        non_mated=np.array([g.fmr.trials for g in groups]),
        mated=np.array([g.fnmr.trials for g in groups]),
    )
    floors = _floors(groups, target, replicates, alpha, seed)
    score = comparisons.mated.score
    return AtTarget(
        target=target,
        convention=DEFAULT_CONVENTION,
        tau=float(tau),
        tau_interval=drawn.tau,
        budget=error_budget(target, comparisons.pooled_non_mated),
        fmr=pooled,
        fnmr=Rate.of(int(rejected.sum()), int(mated.sum()), drawn.overall_fnmr, confidence=confidence),
        groups=groups,
        measures={name: MeasureResult.of(name, m, drawn.measures.get(name)) for name, m in measures.items()},
        floors={floor.kind: floor for floor in floors},
        age_gaps=() if ages is None else by_age_gap(score, ages.gap, tau),
        cross_age=None if ages is None else by_age_pair(score, ages.younger, ages.older, tau),
        cross_groups=cross_groups(comparisons, accepted, confidence=confidence),
        fpir=project(pooled.value, [g.name for g in groups], [g.fmr.value for g in groups]),
        failure_to_acquire=failure_to_acquire,
    )


def _groups(
    comparisons: Comparisons,
    tau: Any,
    accepted: Int64,
    drawn: _Drawn,
    confidence: float,
    acquisition: Sequence[AcquisitionCounts],
) -> tuple[GroupAtTarget, ...]:
    matches, rejected = accepted @ comparisons.classes.member, comparisons.false_non_matches(tau)
    non_mated, mated = comparisons.non_mated_counts, comparisons.mated_counts
    return tuple(
        GroupAtTarget(
            comparisons.groups[g],
            Rate.of(int(matches[g]), int(non_mated[g]), drawn.fmr[g], confidence=confidence),
            Rate.of(int(rejected[g]), int(mated[g]), drawn.fnmr[g], confidence=confidence),
            acquisition_of(comparisons.groups[g], acquisition),
            drawn.correlations[g],
        )
        for g in map(int, np.flatnonzero(comparisons.evaluated))
    )


def _drawn(
    comparisons: Comparisons, target: float, replicates: Replicates | None, alpha: float, confidence: float
) -> _Drawn:
    nothing: list[Interval | None] = [None] * len(comparisons.groups)
    if replicates is None:
        return _Drawn(nothing, nothing, None, None, {}, [None] * len(comparisons.groups))
    position = replicates.targets.index(target)

    def interval(values: Float) -> Interval:
        return replicates.interval(values, position, confidence)

    measures = replicates.measures(position, alpha=alpha)
    return _Drawn(
        [interval(column) for column in replicates.fmr(position).T],
        [interval(column) for column in replicates.fnmr(position).T],
        interval(replicates.overall_fnmr(position)),
        interval(replicates.tau[:, position]),
        {name: interval(values) for name, values in measures.items()},
        [
            rank_correlation(fmr, fnmr)
            for fmr, fnmr in zip(replicates.fmr(position).T, replicates.fnmr(position).T, strict=True)
        ],
    )


def rank_correlation(one: Float, two: Float) -> float | None:
    """Spearman's rank correlation over the places where both have a value; None where one of them never changes.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 0.0]))
        -1.0
    """
    from scipy.stats import rankdata

    both = np.isfinite(one) & np.isfinite(two)
    first, second = rankdata(one[both]), rankdata(two[both])
    if not both.any() or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1).round(12))


def _floors(
    groups: Sequence[GroupAtTarget], target: float, replicates: Replicates | None, alpha: float, seed: int
) -> list[NoiseFloor]:
    if len(groups) < 2:
        return []
    non_mated, mated = np.array([g.fmr.trials for g in groups]), np.array([g.fnmr.trials for g in groups])
    shared = sum(g.fmr.errors for g in groups) / int(non_mated.sum())
    missed = sum(g.fnmr.errors for g in groups) / int(mated.sum())
    floors = [noise_floor(non_mated, mated, fmr=shared, fnmr=missed, alpha=alpha, seed=seed)]
    if replicates is not None:
        position, chosen = replicates.targets.index(target), replicates.evaluated
        trials = (
            non_mated / design_effects(replicates.fmr(position)[:, chosen], non_mated, shared),
            mated / design_effects(replicates.fnmr(position)[:, chosen], mated, missed),
        )
        floors.append(noise_floor(*trials, fmr=shared, fnmr=missed, alpha=alpha, seed=seed, kind="clustered"))
    return floors
