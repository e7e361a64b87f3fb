"""Best-threshold accuracy of a list of pairs over folds, as the LFW, CALFW, CPLFW, AgeDB-30 and CFP results are computed.

For each fold the threshold with the highest accuracy on the *other* folds is taken, and the accuracy on the fold at that
threshold is counted; the reported accuracy is the mean over the folds (Huang et al., *Labeled Faces in the Wild*, UMass
Amherst technical report 07-49, 2007, restricted view 2). Distances are squared Euclidean distances of unit vectors,
``d = 2 - 2 cos``, 0..4, and a pair is accepted iff ``d < t``.

==========  ==================================================================================================
thresholds  meaning
==========  ==================================================================================================
grid        ``t`` in 0, 0.01, .. 3.99, the first of several best ones: the code that published figures come from
            (facenet's and insightface's ``verification.py``: ``arange(0, 4, 0.01)``, ``less``, ``argmax``)
exact       every threshold that changes a decision on the training folds, the strictest of several best ones
==========  ==================================================================================================

Folds that a list does not give are consecutive parts of it, the first ``n mod k`` one longer (scikit-learn's ``KFold``
without shuffling, which the same code uses). The spread is reported twice: ``std``, divided by k, as insightface prints
it behind the accuracy, and ``standard_error``, sqrt(sum (p - mean)^2 / (k - 1)) / sqrt(k), as Huang et al. define it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, UsageError

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

GRID = np.arange(0, 4, 0.01)
THRESHOLDS = ("grid", "exact")
FOLDS = 10


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy of every fold at the threshold that is best on the others.

    Attributes:
        accuracies: Share of correct decisions, 0..1, shape (k,).
        thresholds: Squared distance below which a pair was accepted, shape (k,).
        pairs: Pairs in each fold, shape (k,).
        rule: ``grid`` or ``exact``.
    """

    accuracies: Float
    thresholds: Float
    pairs: Int64
    rule: str

    @property
    def mean(self) -> float:
        """Mean over the folds, 0..1."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float:
        """Standard deviation over the folds, divided by k."""
        return float(self.accuracies.std())

    @property
    def standard_error(self) -> float | None:
        """Standard error of the mean, from the deviation divided by k - 1; None with one fold."""
        count = len(self.accuracies)
        return float(self.accuracies.std(ddof=1) / np.sqrt(count)) if count > 1 else None

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "accuracy": self.mean,
            "std": self.std,
            "standard_error": self.standard_error,
            "thresholds": self.rule,
            "folds": [
                {"accuracy": float(a), "threshold": float(t), "pairs": int(n)}
                for a, t, n in zip(self.accuracies, self.thresholds, self.pairs, strict=True)
            ],
        }


def squared_distances(first: npt.ArrayLike, second: npt.ArrayLike) -> Float:
    """Squared Euclidean distances of rows after scaling each to length 1, in float64, shape (n,), 0..4.

    Args:
        first, second: Embeddings of the two images of each pair, shape (n, d), any scale.

    Raises:
        BadInputError: A row is zero or not finite.

    Example:
        >>> squared_distances([[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]).tolist()
        [0.0, 2.0]
    """
    unit = [_unit(np.asarray(rows, dtype=np.float64)) for rows in (first, second)]
    return np.asarray(np.square(unit[0] - unit[1]).sum(axis=1))


def consecutive_folds(count: int, folds: int = FOLDS) -> Int64:
    """Fold of every pair: consecutive parts, the first ``count mod folds`` one longer, shape (count,).

    Example:
        >>> consecutive_folds(7, 3).tolist()
        [0, 0, 0, 1, 1, 2, 2]
    """
    if not 2 <= folds <= count:
        raise UsageError(f"{count} pairs cannot be cut into {folds} folds; give --folds a number from 2 to {count}.")
    sizes = np.full(folds, count // folds)
    sizes[: count % folds] += 1
    return np.repeat(np.arange(folds), sizes)


def folds_by_kind(mated: npt.ArrayLike, folds: int = FOLDS) -> Int64:
    """Fold of every pair when a list has all its mated pairs before (or after) the others: each kind in consecutive parts.

    Example:
        >>> folds_by_kind([True] * 4 + [False] * 4, 2).tolist()
        [0, 0, 1, 1, 0, 0, 1, 1]
    """
    same = np.asarray(mated, dtype=np.bool_)
    found = np.zeros(len(same), dtype=np.int64)
    for kind in (True, False):
        chosen = np.flatnonzero(same == kind)
        found[chosen] = consecutive_folds(len(chosen), folds)
    return found


def fold_accuracy(distances: npt.ArrayLike, mated: npt.ArrayLike, folds: Int64, *, rule: str = "grid") -> FoldAccuracy:
    """Accuracy of every fold at the threshold that is best on the others.

    Args:
        distances: Squared distances, smaller is more similar, shape (n,).
        mated: True for pairs of one person, shape (n,).
        folds: Fold of every pair, 0..k-1, shape (n,).
        rule: ``grid`` or ``exact``, see the module.

    Raises:
        BadInputError: Lengths differ, a distance is not finite, or there are fewer than two folds.

    Example:
        >>> found = fold_accuracy([0.505, 1.5, 0.725, 1.2], [True, False, True, False], np.array([0, 0, 1, 1]))
        >>> found.accuracies.tolist(), found.thresholds.round(2).tolist()
        ([1.0, 0.5], [0.73, 0.51])
    """
    values, same = _checked(distances, mated, folds)
    thresholds = candidate_thresholds(values, rule)
    weights = np.ones(len(values), dtype=np.int64)
    accuracies, best = _accuracies(_position(values, thresholds), same, folds, weights, len(thresholds))
    return FoldAccuracy(accuracies, thresholds[best], np.bincount(folds), rule)


def pooled_fold_accuracy(
    distances: npt.ArrayLike, mated: npt.ArrayLike, folds: Int64, groups: Int64, *, rule: str = "grid"
) -> Float:
    """Accuracy of every group when one threshold serves all of them, shape (groups,).

    The threshold of a fold is best on the other folds of all groups together; a group's accuracy is the mean over the
    folds in which it has pairs.

    Args:
        distances, mated, folds, rule: As in :func:`fold_accuracy`.
        groups: Group of every pair, 0..g-1, shape (n,).
    """
    values, same = _checked(distances, mated, folds)
    threshold = fold_accuracy(values, same, folds, rule=rule).thresholds
    right = (values < threshold[folds]) == same
    cell = groups * (int(folds.max()) + 1) + folds
    size = (int(groups.max()) + 1) * (int(folds.max()) + 1)
    correct, total = np.bincount(cell, weights=right, minlength=size), np.bincount(cell, minlength=size)
    with np.errstate(invalid="ignore"):
        share = (correct / total).reshape(-1, int(folds.max()) + 1)
    return np.asarray(np.nanmean(share, axis=1))


def replicate_accuracies(
    distances: npt.ArrayLike,
    mated: npt.ArrayLike,
    folds: Int64,
    weights: npt.NDArray[np.integer[Any]],
    *,
    rule: str = "grid",
) -> Float:
    """Mean accuracy of every bootstrap replicate, thresholds set anew in each, shape (r,).

    Args:
        distances, mated, folds, rule: As in :func:`fold_accuracy`.
        weights: How often every pair counts in every replicate, shape (r, n).

    Returns:
        NaN for a replicate in which a fold is empty.
    """
    values, same = _checked(distances, mated, folds)
    thresholds = candidate_thresholds(values, rule)
    position = _position(values, thresholds)
    found = np.full(len(weights), np.nan)
    for number, drawn in enumerate(weights):
        if (np.bincount(folds, weights=drawn) > 0).all():
            found[number] = _accuracies(position, same, folds, drawn, len(thresholds))[0].mean()
    return found


def candidate_thresholds(distances: Float, rule: str) -> Float:
    """Ascending thresholds that are tried; a pair is accepted iff its distance is below one.

    Raises:
        UsageError: The rule is unknown.
    """
    if rule == "grid":
        return GRID
    if rule == "exact":
        distinct = np.unique(distances)
        return np.append(distinct[0], np.nextafter(distinct, np.inf))
    raise UsageError(f"--thresholds {rule!r} is unknown; use {' or '.join(THRESHOLDS)}.")


def _position(distances: Float, thresholds: Float) -> Int64:
    """First threshold that accepts each pair; as many as there are when none does."""
    return np.searchsorted(thresholds, distances, side="right")


def _accuracies(
    position: Int64, mated: Bool, folds: Int64, weights: npt.NDArray[np.integer[Any]], count: int
) -> tuple[Float, Int64]:
    number = int(folds.max()) + 1
    cell = folds * (count + 1) + position
    gain = np.bincount(cell, weights=np.where(mated, weights, -weights), minlength=number * (count + 1))
    rejected_right = np.bincount(folds, weights=np.where(mated, 0, weights), minlength=number)
    correct = rejected_right[:, None] + np.cumsum(gain.reshape(number, count + 1)[:, :count], axis=1)  # exact integers
    best = np.argmax(correct.sum(axis=0) - correct, axis=1)
    size = np.bincount(folds, weights=weights, minlength=number)
    return correct[np.arange(number), best] / size, best


def _checked(distances: npt.ArrayLike, mated: npt.ArrayLike, folds: Int64) -> tuple[Float, Bool]:
    values, same = np.asarray(distances, dtype=np.float64), np.asarray(mated, dtype=np.bool_)
    if values.ndim != 1 or not len(values) == len(same) == len(folds):
        raise BadInputError(f"There are {values.shape} distances, {len(same)} labels and {len(folds)} folds.")
    if not np.isfinite(values).all():
        raise BadInputError(f"The distance of pair {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite.")
    sizes = np.bincount(folds)
    if len(sizes) < 2 or (sizes == 0).any():
        raise BadInputError("Best-threshold accuracy needs at least two folds, none of them empty.")
    return values, same


def _unit(rows: Float) -> Float:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    bad = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if bad.size:
        raise BadInputError(f"The embedding in row {bad[0]} is zero or not finite; leave this image out.")
    return np.asarray(rows / lengths[:, None])
