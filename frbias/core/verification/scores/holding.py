"""Thresholds and the equal error rate of comparisons, fetching scores that turn out to be needed and are not held."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from frbias.core.verification.measures.rates import Curve, EqualErrorRate, eer_of_curve, error_budget
from frbias.core.verification.scores.binning import NotHeldError
from frbias.core.verification.scores.comparisons import Comparisons


def held_at(comparisons: Comparisons, targets: Sequence[float]) -> tuple[Comparisons, EqualErrorRate, list[Any]]:
    """Comparisons that hold what thresholds and EER need, the EER, and the threshold of every target.

    Raises:
        NotHeldError: Scores are needed that are not held and cannot be fetched.
    """
    while missing := _missing_bins(comparisons, targets):
        if comparisons.refine is None:
            raise NotHeldError(missing)
        comparisons = comparisons.refine(missing)
    return comparisons, equal_error_rate_of(comparisons), [_threshold(comparisons, target) for target in targets]


def _missing_bins(comparisons: Comparisons, targets: Sequence[float]) -> list[int]:
    """Bins whose scores have to be held before the thresholds of all targets and the EER can be found."""
    steps = [partial(_threshold, comparisons, target) for target in targets]
    return [b for step in (*steps, partial(equal_error_rate_of, comparisons)) for b in _bins_missing_for(step)]


def _bins_missing_for(step: Callable[[], Any]) -> list[int]:
    try:
        step()
    except NotHeldError as error:
        return error.bins
    return []


def _threshold(comparisons: Comparisons, target: float) -> Any:
    """The threshold of a target, at which every counted class is exact."""
    tally = comparisons.tally
    tau = tally.threshold(comparisons.classes.pool, error_budget(target, comparisons.pooled_non_mated))
    tally.at_least(tau, comparisons.counted)
    return tau


def equal_error_rate_of(comparisons: Comparisons) -> EqualErrorRate:
    """EER from the held scores around the bin in which FNMR overtakes FMR."""
    tally, pool = comparisons.tally, comparisons.classes.pool
    mated = np.sort(comparisons.mated.score[comparisons.in_evaluated_group])
    edges, accepted = tally.bins.lower_edges(), tally.pooled_from_top(pool)[:-1]
    histogram = -np.diff(tally.pooled_from_top(pool))
    rejected = np.searchsorted(mated, edges, side="left")
    crossed = np.flatnonzero(rejected * int(accepted[0]) >= accepted * len(mated))
    last = int(crossed[0]) if crossed.size else tally.bins.count
    first = max(last - 1, 0)
    needed = [
        b for b in range(first, min(last + 1, tally.bins.count)) if histogram[b] and not tally.held[pool, b].all()
    ]
    if needed:
        raise NotHeldError(needed)
    bins = tally.bins.of(mated)
    inside = (bins >= first) & (bins <= last)
    start, end = (np.searchsorted(tally.score, edges[b]) if b < tally.bins.count else None for b in (first, last + 1))
    own = tally.score[start:end][np.isin(tally.kind[start:end], pool)]
    candidates = np.unique(
        np.concatenate([own, mated[inside], *([edges[[last + 1]]] if last + 1 < len(edges) else [])])
    )
    top = max([*own[-1:], *mated[-1:]])
    if last + 1 >= len(edges):
        candidates = np.append(candidates, np.nextafter(top, candidates.dtype.type(np.inf)))
    above = int(histogram[last + 1 :].sum())
    matches = above + len(own) - np.searchsorted(own, candidates, side="left")
    return eer_of_curve(
        Curve(candidates, matches, np.searchsorted(mated, candidates, side="left"), int(accepted[0]), len(mated))
    )
