"""Uncertainty of rates and fairness measures: bootstrap over subjects, with the threshold set anew each time.

Comparisons that share a subject are dependent, so whole subjects are drawn with replacement. A subject drawn w_a
times makes its mated comparisons count w_a times and its non-mated comparisons with subject b count w_a * w_b
times; comparisons between two copies of one subject count as neither. Nothing is sorted again: a replicate is one
walk down the sorted scores with integer weights. All weights 1 give the point estimate exactly.

Two models are compared with the same draws (same seed, same subjects), replicate by replicate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import usable_cores
from frbias.core.verification.measures.intervals import PERCENTILE, Interval
from frbias.core.verification.measures.rates import error_budgets
from frbias.core.verification.measures.table import GroupRates, all_values
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.replicating import MatedScores, NonMatedTail, in_threads
from frbias.core.verification.separation import Separation, separation_of

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
MINIMUM_USABLE = 100
NOT_HELD = "too_many_comparisons_to_hold"


@dataclass(frozen=True)
class Replicates:
    """Thresholds and counts of every bootstrap replicate.

    Attributes:
        targets: Target FMRs, ascending, shape (k,).
        tau: Shape (r, k); NaN where a replicate could not be resolved.
        false_matches, false_non_matches: Weighted counts, shape (r, k, groups).
        non_mated, mated: Weighted comparisons, shape (r, groups).
        evaluated: Groups that enter the fairness measures.
        seed: Seed of the draws.
        subjects: Number of subjects drawn from.
        separation: What is measured without a threshold, None when that was not asked for.
    """

    targets: tuple[float, ...]
    tau: Float
    false_matches: Int64
    false_non_matches: Int64
    non_mated: Int64
    mated: Int64
    evaluated: npt.NDArray[np.bool_]
    seed: int
    subjects: int
    separation: Separation | None = None

    @property
    def count(self) -> int:
        """Number of replicates."""
        return len(self.tau)

    @property
    def missing_a_group(self) -> int:
        """Replicates in which an evaluated group has no mated or no non-mated comparison."""
        present = (self.non_mated > 0) & (self.mated > 0)
        return int((~present[:, self.evaluated]).any(axis=1).sum())

    def fmr(self, position: int) -> Float:
        """FMR per replicate and group at one target, shape (r, groups); NaN where there is no comparison."""
        return self._rate(self.false_matches[:, position], self.non_mated, position)

    def fnmr(self, position: int) -> Float:
        """FNMR per replicate and group at one target, shape (r, groups); NaN where there is no comparison."""
        return self._rate(self.false_non_matches[:, position], self.mated, position)

    def overall_fnmr(self, position: int) -> Float:
        """FNMR over the evaluated groups' mated comparisons together, shape (r,)."""
        errors = self.false_non_matches[:, position, self.evaluated].sum(axis=1, keepdims=True)
        return self._rate(errors, self.mated[:, self.evaluated].sum(axis=1, keepdims=True), position)[:, 0]

    def measures(self, position: int, *, alpha: float, names: list[str] | None = None) -> dict[str, Float]:
        """Measures of the table per replicate, NaN where undefined or a group is missing, shape (r,) each.

        Args:
            position: Position of the target FMR in ``targets``.
            alpha: Weight of FMR.
            names: Which measures; default: all.
        """
        rates = GroupRates(
            self.fmr(position)[:, self.evaluated],
            self.fnmr(position)[:, self.evaluated],
            alpha,
            self.targets[position],
            self.non_mated[:, self.evaluated],
            self.mated[:, self.evaluated],
        )
        return all_values(rates, names)

    def interval(self, values: Float, position: int, confidence: float) -> Interval:
        """Percentile interval of a quantity at one target, saying so when the target could not be resolved."""
        found = percentile_interval(values, confidence=confidence)
        unresolved = found.reason is not None and bool(np.isnan(self.tau[:, position]).mean() > 0.5)
        return replace(found, reason=NOT_HELD) if unresolved else found

    def _rate(self, errors: Int64, trials: Int64, position: int) -> Float:
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = np.where(trials > 0, errors / trials, np.nan)
        return np.where(np.isnan(self.tau[:, position])[:, None], np.nan, rate)


def draw_weights(subjects: int, replicates: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each subject is drawn, shape (replicates, subjects); rows sum to ``subjects``."""
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = generator.integers(0, subjects, size=(replicates, subjects))
    weights = np.zeros((replicates, subjects), dtype=np.int64)
    for row, chosen in zip(weights, draws, strict=True):
        row += np.bincount(chosen, minlength=subjects)
    return weights


def bootstrap(
    comparisons: Comparisons,
    targets: Sequence[float],
    *,
    replicates: int = 1000,
    seed: int = 0,
    threads: int = 0,
    weights: npt.NDArray[np.int64] | None = None,
    separation: bool = False,
) -> Replicates:
    """Draw subjects with replacement and count errors at each target FMR's own threshold.

    Args:
        comparisons: Comparisons with known subjects.
        targets: Target FMRs.
        replicates: Number of replicates.
        seed: Seed; two models with the same subjects and seed get the same draws.
        threads: Threads; 0: one per core. Changes nothing in the result.
        weights: Draws to use instead, shape (replicates, subjects).
        separation: Also measure what needs no threshold: EER, d' and mean scores.

    Raises:
        ValueError: Subjects are unknown.
    """
    if not comparisons.subject_names:
        raise ValueError("a subject bootstrap needs the subjects of every comparison")
    ordered = tuple(sorted(float(t) for t in targets))
    subjects = len(comparisons.subject_names)
    drawn = draw_weights(subjects, replicates, seed) if weights is None else np.asarray(weights, dtype=np.int64)
    tail, mated = _pooled_tail(comparisons), _within_groups(comparisons)
    totals = _class_totals(comparisons, drawn)
    pooled = totals[:, comparisons.classes.pool].sum(axis=1)
    allowed = np.array([error_budgets(t, pooled) for t in ordered], dtype=np.int64).T.copy()
    threads = threads or usable_cores()
    counted = _count(comparisons, drawn, tail, mated, allowed, threads)
    member = comparisons.classes.member
    return Replicates(
        ordered,
        counted.tau,
        counted.matches @ member,
        counted.rejected,
        totals @ member,
        _mated_totals(comparisons, drawn, mated),
        comparisons.evaluated,
        seed,
        subjects,
        separation_of(comparisons, drawn, tail, totals, threads) if separation else None,
    )


class _Counted(NamedTuple):
    """Thresholds (replicates, k), weighted comparisons at or above them by class, and mated ones below by group."""

    tau: Float
    matches: Int64
    rejected: Int64


def _count(
    comparisons: Comparisons, drawn: Int64, tail: NonMatedTail, mated: MatedScores, allowed: Int64, threads: int
) -> _Counted:
    """Walk down the scores once a replicate, replicates shared by threads."""
    shape = allowed.shape
    at = np.full(shape, len(tail.score), dtype=np.int64)
    matches = np.zeros((*shape, comparisons.classes.count), dtype=np.int64)
    rejected = np.zeros((*shape, len(comparisons.groups)), dtype=np.int64)
    tau = np.empty(shape)

    def work(part: slice) -> None:
        from frbias.core.verification.scores.kernels import replicate_mated, replicate_non_mated  # compiles

        replicate_non_mated(drawn[part], tail, allowed[part], at[part], matches[part])
        tau[part] = _thresholds(at[part], tail.score)
        replicate_mated(drawn[part], mated, tau[part], rejected[part])

    in_threads(work, len(drawn), threads)
    return _Counted(tau, matches, rejected)


def _mated_totals(comparisons: Comparisons, drawn: Int64, mated: MatedScores) -> Int64:
    """Weighted mated comparisons per replicate and group."""
    counts = np.zeros((len(drawn), len(comparisons.groups)), dtype=np.int64)
    np.add.at(counts.T, mated.group, drawn[:, mated.subject].T)
    return counts


def percentile_interval(values: Float, *, confidence: float = 0.95) -> Interval:
    """Percentile interval over the replicates that have a value.

    Example:
        >>> round(percentile_interval(np.arange(1001.0)).low, 6)
        25.0
        >>> percentile_interval(np.full(1000, np.nan)).reason
        'too_few_usable_replicates'
    """
    defined = values[np.isfinite(values)]
    dropped = len(values) - len(defined)
    if len(defined) < max(MINIMUM_USABLE, len(values) // 2):
        return Interval(None, None, confidence, PERCENTILE, len(defined), dropped, "too_few_usable_replicates")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high), confidence, PERCENTILE, len(defined), dropped)


def separation_interval(values: Float, *, confidence: float = 0.95) -> Interval:
    """:func:`percentile_interval` of what needs no threshold; says so where the scores it needs are not held."""
    found = percentile_interval(values, confidence=confidence)
    missing = found.reason is not None and bool(np.isnan(values).mean() > 0.5)
    return replace(found, reason=NOT_HELD) if missing else found


def design_effects(values: Float, trials: Int64, rate: float) -> Float:
    """Variance of a group's rate over the replicates relative to independent comparisons, at least 1, shape (groups,).

    A group whose rate never varies (no error) gets the median of the others.

    Args:
        values: Rates per replicate and group, NaN missing, shape (r, groups).
        trials: Comparisons per group, shape (groups,).
        rate: Rate under equality that the binomial variance is taken from.
    """
    usable = np.isfinite(values).sum(axis=0) >= MINIMUM_USABLE
    spread = np.array([np.nanvar(column) if ok else 0.0 for column, ok in zip(values.T, usable, strict=True)])
    observed = np.array([np.nanmean(column) if ok else rate for column, ok in zip(values.T, usable, strict=True)])
    level = np.where(observed > 0, observed, rate)
    binomial = np.maximum(level * (1 - level) / np.maximum(trials, 1), np.finfo(float).tiny)
    effects = np.maximum(spread / binomial, 1.0)
    return np.where(spread > 0, effects, np.median(effects[spread > 0]) if (spread > 0).any() else 1.0)


def _pooled_tail(comparisons: Comparisons) -> NonMatedTail:
    tally, pool = comparisons.tally, comparisons.classes.pool
    complete = tally.complete(pool)
    held = tally.held[pool] | (tally.histogram[pool] == 0)
    gaps = np.flatnonzero(~held.all(axis=0))
    start = 0
    if not complete:
        above = gaps[-1] + 1
        start = len(tally.score)
        if above < tally.bins.count:
            start = int(np.searchsorted(tally.score, tally.bins.lower_edges()[above]))
    chosen = np.arange(start, len(tally.score))[::-1]
    chosen = chosen[np.isin(tally.kind[chosen], pool)]
    subject_of = comparisons.subject_of.astype(np.int32)
    return NonMatedTail(
        np.ascontiguousarray(tally.score[chosen]),
        np.ascontiguousarray(tally.kind[chosen]),
        subject_of[tally.first[chosen]],
        subject_of[tally.second[chosen]],
        complete,
    )


def _within_groups(comparisons: Comparisons) -> MatedScores:
    mated = comparisons.mated
    inside = np.flatnonzero(mated.group >= 0)
    inside = inside[np.argsort(mated.score[inside], kind="stable")]
    return MatedScores(mated.score[inside], mated.group[inside], mated.subject[inside])


def _class_totals(comparisons: Comparisons, drawn: Int64) -> Int64:
    classes, samples = comparisons.classes, comparisons.weights
    totals = np.zeros((len(drawn), classes.count), dtype=np.int64)
    if samples is None or comparisons.matched_age is not None:
        return _totals_of_pairs(comparisons, drawn, totals)
    by_label = np.roll(samples, 1, axis=1)  # label 0 is "no group"
    sums, squared = drawn @ by_label, drawn * drawn
    for one in range(by_label.shape[1]):
        for two in range(one, by_label.shape[1]):
            pairs = sums[:, one] * sums[:, two] - squared @ (by_label[:, one] * by_label[:, two])
            totals[:, classes.table[one, two]] += pairs // 2 if one == two else pairs
    return totals


def _totals_of_pairs(comparisons: Comparisons, drawn: Int64, totals: Int64) -> Int64:
    tally = comparisons.tally
    if not tally.complete(np.arange(comparisons.classes.count)):
        raise ValueError("too many comparisons to bootstrap this selection of non-mated pairs")
    subjects = len(comparisons.subject_names)
    first, second = comparisons.subject_of[tally.first], comparisons.subject_of[tally.second]
    key = (tally.kind.astype(np.int64) * subjects + first) * subjects + second
    pairs, times = np.unique(key, return_counts=True)
    kind, rest = np.divmod(pairs, subjects * subjects)
    one, two = np.divmod(rest, subjects)
    for row, weight in zip(totals, drawn, strict=True):
        row += np.bincount(kind, weights=weight[one] * weight[two] * times, minlength=totals.shape[1]).astype(np.int64)
    return totals


def _thresholds(at: Int64, score: npt.NDArray[Any]) -> Float:
    if not len(score):
        return np.full(at.shape, np.nan)
    padded = np.append(score.astype(np.float64), np.nan)
    above = np.append(np.nextafter(score, score.dtype.type(np.inf)).astype(np.float64), np.nan)
    return np.asarray(np.where(at >= 0, padded[np.maximum(at, 0)], above[np.maximum(-at - 1, 0)]))
