"""How far mated and non-mated scores are apart in every bootstrap replicate: EER, d' and mean scores of groups.

Sums of scores are kept per pair of subjects, so a replicate is a product with its weights: the weighted sum over the
non-mated comparisons of subjects a and b is w_a w_b S_ab.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.replicating import MatedScores, NonMatedTail, in_threads

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
_DENSE_SUBJECTS = 2000


@dataclass(frozen=True)
class Separation:
    """Per replicate, NaN where undefined or out of reach (non-mated scores that are not held have no moments here).

    Attributes:
        eer: Equal error rate (FVC2000), shape (r,).
        d_prime: Decidability index, shape (r,).
        mated_means, non_mated_means: Mean score of every group, shape (r, groups).
    """

    eer: Float
    d_prime: Float
    mated_means: Float
    non_mated_means: Float


def separation_of(
    comparisons: Comparisons, drawn: Int64, tail: NonMatedTail, totals: Int64, threads: int
) -> Separation:
    """Measure the separation of every replicate.

    Args:
        comparisons: Comparisons with known subjects.
        drawn: Times each subject was drawn, shape (r, subjects).
        tail: Non-mated comparisons that set the threshold.
        totals: Weighted non-mated comparisons per class, shape (r, classes).
        threads: Threads.
    """
    mated = _evaluated(comparisons)
    times = drawn[:, mated.subject]
    pairs, own = totals[:, comparisons.classes.pool].sum(axis=1), times.sum(axis=1)
    both = np.column_stack([pairs, own]).astype(np.int64)
    eer = np.empty(len(drawn))

    def work(part: slice) -> None:
        from frbias.core.verification.scores.kernels import replicate_equal_error_rates

        replicate_equal_error_rates(drawn[part], tail, mated, both[part], eer[part])

    in_threads(work, len(drawn), threads)
    score = mated.score.astype(np.float64)
    # spreads are taken around a score of each kind, so that those of one value are exactly 0
    start, other_start = float(score[0]), _first_score(comparisons, comparisons.classes.pool)
    moments = _ratio(times @ (score - start), own), _ratio(times @ (score - start) ** 2, own)
    member = comparisons.classes.member
    chosen = [comparisons.classes.pool, *(np.flatnonzero(member[:, g]) for g in range(member.shape[1]))]
    starts = [other_start] + [0.0] * member.shape[1]
    sums = [_pair_sums(comparisons, drawn, classes, at) for classes, at in zip(chosen, starts, strict=True)]
    others = _ratio(sums[0][0], pairs), _ratio(sums[0][1], pairs)
    means = [_ratio(total, totals[:, c].sum(axis=1)) for (total, _), c in zip(sums[1:], chosen[1:], strict=True)]
    prime = _d_prime(*moments, *others, start - other_start)
    return Separation(eer, prime, _group_means(mated, times, member.shape[1]), np.stack(means, 1))


def _evaluated(comparisons: Comparisons) -> MatedScores:
    mated = comparisons.mated
    inside = np.flatnonzero(comparisons.in_evaluated_group)
    inside = inside[np.argsort(mated.score[inside], kind="stable")]
    return MatedScores(mated.score[inside], mated.group[inside], mated.subject[inside])


def _group_means(mated: MatedScores, times: Int64, groups: int) -> Float:
    columns = []
    for group in range(groups):
        inside = mated.group == group
        weight = times[:, inside]
        columns.append(_ratio(weight @ mated.score[inside].astype(np.float64), weight.sum(axis=1)))
    return np.stack(columns, axis=1)


def _first_score(comparisons: Comparisons, classes: Int64) -> float:
    held = comparisons.tally.score[np.isin(comparisons.tally.kind, classes)]
    return float(held[0]) if len(held) else 0.0


def _pair_sums(comparisons: Comparisons, drawn: Int64, classes: Int64, start: float) -> tuple[Float, Float]:
    """Weighted sums of score - ``start`` and of its square over some classes, NaN when not every score is held."""
    tally = comparisons.tally
    unknown = np.full(len(drawn), np.nan)
    if not len(classes) or not tally.complete(classes):
        return unknown, unknown
    inside = np.isin(tally.kind, classes)
    first, second = (comparisons.subject_of[one[inside]] for one in (tally.first, tally.second))
    score = tally.score[inside].astype(np.float64) - start
    weights = drawn.astype(np.float64)
    return tuple(_weighted(weights, _matrix(first, second, v, drawn.shape[1])) for v in (score, score * score))  # type: ignore[return-value]


def _matrix(first: Int64, second: Int64, values: Float, subjects: int) -> Any:
    from scipy.sparse import coo_array

    summed = coo_array((values, (first, second)), shape=(subjects, subjects))
    return summed.toarray() if subjects <= _DENSE_SUBJECTS else summed.tocsr()


def _weighted(weights: Float, matrix: Any) -> Float:
    return np.asarray((np.asarray((matrix @ weights.T).T) * weights).sum(axis=1))


def _d_prime(mated: Float, mated_squares: Float, other: Float, other_squares: Float, between: float) -> Float:
    """d' from means and squares around one score of each kind, which are ``between`` apart; NaN without any spread."""
    variances = np.maximum(mated_squares - mated**2, 0) + np.maximum(other_squares - other**2, 0)
    spread = np.sqrt(np.where(variances > 0, variances, np.nan) / 2)
    return np.asarray(np.abs(mated - other + between) / spread)


def _ratio(total: Any, count: Any) -> Float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, total / count, np.nan)
