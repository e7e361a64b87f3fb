"""Bootstrap of a list of pairs: how often every pair counts in a replicate, and TAR at a target FAR in every replicate.

With known subjects, subjects are drawn with replacement as in :mod:`frbias.core.verification.bootstrap`: a mated pair of
a subject drawn w times counts w times, a non-mated pair w * v times. Without them, pairs are drawn within each fold,
which takes pairs as independent and so gives intervals that are too narrow when people come more than once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.bootstrap import draw_weights
from frbias.core.verification.measures.rates import error_budget

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.int32]


def weights_of_subjects(first: Int64, second: Int64, replicates: int, seed: int) -> Weights:
    """Weights of pairs when subjects are drawn, shape (replicates, n).

    Args:
        first, second: Subject of the two images of each pair, 0..s-1; equal for mated pairs.
        replicates, seed: Number and seed of the draws.
    """
    drawn = draw_weights(int(max(first.max(), second.max())) + 1, replicates, seed)
    weights = np.empty((replicates, len(first)), dtype=np.int32)
    for row, times in zip(weights, drawn, strict=True):
        row[:] = np.where(first == second, times[first], times[first] * times[second])
    return weights


def weights_of_pairs(folds: Int64, replicates: int, seed: int) -> Weights:
    """Weights of pairs when as many pairs as there are are drawn within each fold, shape (replicates, n)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    weights = np.zeros((replicates, len(folds)), dtype=np.int32)
    for fold in np.unique(folds):
        members = np.flatnonzero(folds == fold)
        draws = generator.integers(0, len(members), size=(replicates, len(members)))
        for row, chosen in zip(weights, draws, strict=True):
            row[members] = np.bincount(chosen, minlength=len(members))
    return weights


def replicate_tars(
    scores: Float, mated: Bool, weights: npt.NDArray[np.integer[Any]], targets: Sequence[float]
) -> Float:
    """TAR at the ``at_most`` threshold of every target FAR in every replicate, shape (r, targets).

    Args:
        scores: Larger is more similar, shape (n,).
        mated: True for pairs of one person, shape (n,).
        weights: How often every pair counts, shape (r, n).
        targets: Target FARs.

    Returns:
        NaN where a replicate has no mated or no non-mated pair, or too few to resolve the target.

    Example:
        >>> replicate_tars(np.array([0.9, 0.25, 0.1, 0.2, 0.3, 0.4]), np.arange(6) < 2, np.ones((1, 6), int), [0.5])
        array([[0.5]])
    """
    distinct, level = np.unique(-scores, return_inverse=True)
    found = np.full((len(weights), len(targets)), np.nan)
    for row, drawn in zip(found, weights, strict=True):
        genuine = np.cumsum(np.bincount(level, weights=np.where(mated, drawn, 0), minlength=len(distinct)))
        each = np.bincount(level, weights=np.where(mated, 0, drawn), minlength=len(distinct))
        impostor = np.cumsum(each)
        observed = np.flatnonzero(each)
        if not observed.size or genuine[-1] == 0:
            continue
        for column, target in enumerate(targets):
            budget = error_budget(target, int(impostor[-1]))
            if budget < 1:
                continue
            within = int(np.searchsorted(impostor[observed], budget, side="right"))
            at = observed[within - 1] if within else observed[0] - 1  # no threshold fits: just above the largest
            row[column] = genuine[at] / genuine[-1] if at >= 0 else 0.0
    return found
