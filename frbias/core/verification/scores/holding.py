"""Thresholds and the equal error rate of comparisons, fetching scores that turn out to be needed and are not held."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from frbias.core.verification.measures.rates import Curve, EqualErrorRate, eer_of_curve, error_budget
from frbias.core.verification.scores.binning import NotHeldError
from frbias.core.verification.scores.comparisons import Comparisons


def held_at(comparisons: Comparisons, targets: Sequence[float]) -> tuple[Comparisons, EqualErrorRate, list[Any]]:
    """Thresholds and EER, fetching the scores of bins that turn out to be needed and are not held."""
    while True:
        needed: list[int] = []
        thresholds, eer = [], None
        for target in targets:
            try:
                allowed = error_budget(target, comparisons.pooled_non_mated)
                tau = comparisons.tally.threshold(comparisons.classes.pool, allowed)
                comparisons.tally.at_least(tau, comparisons.counted)
                thresholds.append(tau)
            except NotHeldError as error:
                needed += error.bins
        try:
            eer = equal_error_rate_of(comparisons)
        except NotHeldError as error:
            needed += error.bins
        if not needed and eer is not None:
            return comparisons, eer, thresholds
        if comparisons.refine is None:
            raise NotHeldError(needed)
        comparisons = comparisons.refine(needed)


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
