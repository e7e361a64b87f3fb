"""Points of the figures: DET curves, score distributions, fairness over the target FMR."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.bootstrap import Replicates, percentile_interval
from frbias.core.verification.measures.noise import Floor, noise_floor
from frbias.core.verification.measures.rates import Curve, det_points, error_budget
from frbias.core.verification.measures.table import all_measures, names_shown
from frbias.core.verification.protocols import ProtocolDistribution
from frbias.core.verification.records import Record, member
from frbias.core.verification.scores.binning import NotHeldError
from frbias.core.verification.scores.comparisons import Comparisons

Float = npt.NDArray[np.float64]
DENSITY_BINS = 100
FEWEST_BINS = 8
CURVE_DRAWS = 1000
MANTISSAS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
HIGHEST_TARGET = 0.1


@dataclass(frozen=True)
class DetCurve(Record):
    """Points of a DET curve, from the lowest threshold to one above every score."""

    name: str
    non_mated: int
    mated: int
    threshold: tuple[float, ...]
    fmr: tuple[float, ...]
    fnmr: tuple[float, ...]


@dataclass(frozen=True)
class GroupHistogram(Record):
    """Scores of a group, mated and non-mated, per bin."""

    name: str
    mated: tuple[int, ...]
    non_mated: tuple[int, ...]


@dataclass(frozen=True)
class GapHistogram(Record):
    """Mated scores of an age gap per bin."""

    gap_years: str
    mated: tuple[int, ...]


@dataclass(frozen=True)
class Distributions(Record):
    """Histograms over common bins.

    Attributes:
        edges: Bin edges.
        groups, age_gaps: Histograms.
        classes: The kinds of comparison that a protocol names, None without a protocol.
    """

    edges: tuple[float, ...]
    groups: tuple[GroupHistogram, ...]
    age_gaps: tuple[GapHistogram, ...]
    classes: tuple[ProtocolDistribution, ...] | None = member(omit_none=True)


@dataclass(frozen=True)
class FairnessPoint(Record):
    """The measures that are shown over the target FMR, at one target.

    Attributes:
        target, tau, achieved_fmr: The operating point.
        values: By measure, None where undefined.
        noise_floor: By measure, for independent comparisons.
        band: Bootstrap interval by measure, None without a bootstrap.
    """

    target: float
    tau: float
    achieved_fmr: float
    values: dict[str, float | None] = member(names=lambda: names_shown("curve"))
    noise_floor: dict[str, Floor] = member()
    band: dict[str, tuple[float | None, float | None]] | None = member(omit_none=True)


@dataclass(frozen=True)
class Curves(Record):
    """Points of the figures."""

    det: tuple[DetCurve, ...]
    distributions: Distributions
    fairness: tuple[FairnessPoint, ...]


def curve_targets(non_mated: int, *, lowest: float = 1e-6) -> tuple[float, ...]:
    """Round target FMRs from the smallest usable one (at least ``lowest``) to 0.1.

    Example:
        >>> curve_targets(20)
        (0.05, 0.07, 0.1)
    """
    exponents = range(int(np.floor(np.log10(lowest))), 0)
    values = [float(f"{m:g}e{e}") for e in exponents for m in MANTISSAS]
    return tuple(v for v in values if v <= HIGHEST_TARGET and error_budget(v, non_mated) >= 1)


def det_curves(comparisons: Comparisons, limit: int = 160) -> tuple[DetCurve, ...]:
    """DET points of all evaluated groups together and of each, at bin edges, where all counts are exact."""
    tally, mated = comparisons.tally, comparisons.mated
    edges = tally.bins.lower_edges()
    inside = comparisons.in_evaluated_group
    found = [
        _det("all groups", edges, tally.histogram[comparisons.classes.pool].sum(axis=0), mated.score[inside], limit)
    ]
    for group in np.flatnonzero(comparisons.evaluated):
        member = comparisons.classes.member[:, group] > 0
        scores = mated.score[mated.group == group]
        found.append(_det(comparisons.groups[group], edges, tally.histogram[member].sum(axis=0), scores, limit))
    return tuple(found)


def distributions(comparisons: Comparisons, gaps: Float | None) -> Distributions:
    """Histograms of scores by group, mated and non-mated, and of mated scores by age gap."""
    from frbias.core.verification.ages import GAP_CLASSES

    tally, mated = comparisons.tally, comparisons.mated
    used = np.flatnonzero(tally.histogram.any(axis=0))
    extremes = tally.bins.of(np.array([mated.score.min(), mated.score.max()]))
    first, last = min(used[0], extremes[0]), max(used[-1], extremes[1])
    if last - first < FEWEST_BINS:  # all scores are about the same: show what is around them
        first, last = max(0, first - FEWEST_BINS), min(tally.bins.count - 1, last + FEWEST_BINS)
    width = max(1, -(-int(last - first + 1) // DENSITY_BINS))
    starts = np.arange(first, last + 1, width)
    step = 1 / float(tally.bins.scale)
    edges = float(tally.bins.low) + np.append(starts, starts[-1] + width) * step

    def coarse(counts: npt.NDArray[np.int64]) -> tuple[int, ...]:
        return tuple(int(v) for v in np.add.reduceat(counts[: last + 1], starts))

    def mated_counts(scores: npt.NDArray[Any]) -> tuple[int, ...]:
        return coarse(np.bincount(tally.bins.of(scores), minlength=tally.bins.count))

    groups = []
    for group in np.flatnonzero(comparisons.evaluated):
        member = comparisons.classes.member[:, group] > 0
        scores = mated.score[mated.group == group]
        groups.append(
            GroupHistogram(comparisons.groups[group], mated_counts(scores), coarse(tally.histogram[member].sum(axis=0)))
        )
    by_gap = [] if gaps is None else [(g.name, g.holds(gaps)) for g in GAP_CLASSES]
    return Distributions(
        tuple(edges.tolist()),
        tuple(groups),
        tuple(GapHistogram(name, mated_counts(mated.score[inside])) for name, inside in by_gap if inside.any()),
    )


def fairness_curve(
    comparisons: Comparisons,
    targets: tuple[float, ...],
    replicates: Replicates | None,
    *,
    alpha: float,
    seed: int,
    confidence: float = 0.95,
) -> tuple[FairnessPoint, ...]:
    """The measures shown over target FMRs, with bootstrap band and noise floor.

    Thresholds are the ``at_most`` ones where every score is held; in large sets the smallest bin edge whose FMR
    does not exceed the target (bins are 6e-5 wide).
    """
    chosen, pool = comparisons.evaluated, comparisons.classes.pool
    if chosen.sum() < 2:
        return ()
    names = names_shown("curve")
    non_mated, mated = comparisons.non_mated_counts[chosen], comparisons.mated_counts[chosen]
    points = []
    for target in targets:
        allowed = error_budget(target, comparisons.pooled_non_mated)
        tau, accepted = _counts_near(comparisons, pool, allowed)
        false_matches = (accepted @ comparisons.classes.member)[chosen]
        rejected = comparisons.false_non_matches(tau)[chosen]
        fmr, fnmr = false_matches / non_mated, rejected / mated
        floor = noise_floor(
            non_mated,
            mated,
            fmr=float(false_matches.sum() / non_mated.sum()),
            fnmr=float(rejected.sum() / mated.sum()),
            alpha=alpha,
            draws=CURVE_DRAWS,
            seed=seed,
        )
        measures = all_measures(fmr, fnmr, alpha=alpha, target=target, non_mated=non_mated, mated=mated)
        bands = None
        if replicates is not None and target in replicates.targets:
            values = replicates.measures(replicates.targets.index(target), alpha=alpha, names=names)
            found = {name: percentile_interval(values[name], confidence=confidence) for name in names}
            bands = {name: (band.low, band.high) for name, band in found.items()}
        points.append(
            FairnessPoint(
                target=target,
                tau=float(tau),
                achieved_fmr=int(accepted[pool].sum()) / comparisons.pooled_non_mated,
                values={name: measures[name].value for name in names},
                noise_floor=floor.floors,
                band=bands,
            )
        )
    return tuple(points)


def _counts_near(comparisons: Comparisons, pool: npt.NDArray[np.int64], allowed: int) -> tuple[Any, Any]:
    tally = comparisons.tally
    wanted = np.flatnonzero(
        comparisons.classes.member.any(axis=1) | np.isin(np.arange(comparisons.classes.count), pool)
    )
    try:
        tau = tally.threshold(pool, allowed)
        return tau, tally.at_least(tau, wanted)
    except NotHeldError:
        position = int(np.flatnonzero(tally.pooled_from_top(pool) > allowed)[-1]) + 1
        position = min(position, tally.bins.count - 1)
        return tally.bins.lower_edges()[position], tally.from_top[:, position]


def _det(
    name: str, edges: npt.NDArray[Any], histogram: npt.NDArray[np.int64], scores: npt.NDArray[Any], limit: int
) -> DetCurve:
    false_matches = histogram[::-1].cumsum()[::-1]
    false_non_matches = np.searchsorted(np.sort(scores), edges, side="left")
    top = edges.dtype.type(max(edges[-1], scores.max()))
    thresholds = np.append(edges, np.nextafter(top, edges.dtype.type(np.inf)))
    curve = Curve(
        thresholds,
        np.append(false_matches, 0),
        np.append(false_non_matches, len(scores)).astype(np.int64),
        int(false_matches[0]),
        len(scores),
    )
    chosen = det_points(curve, limit)
    lowest = float(edges[1]) if len(edges) > 1 else float(thresholds[-1])
    return DetCurve(
        name=name,
        non_mated=curve.non_mated,
        mated=curve.mated,
        threshold=tuple(max(float(t), lowest) if np.isinf(t) else float(t) for t in thresholds[chosen]),
        fmr=tuple(curve.fmr[chosen].tolist()),
        fnmr=tuple(curve.fnmr[chosen].tolist()),
    )
