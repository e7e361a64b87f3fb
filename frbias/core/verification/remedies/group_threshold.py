"""A threshold per group, as a change of scores: every score becomes -log10 of the FMR its group has at that score.

A comparison with changed score >= -log10(f) is then accepted at the threshold at which its own group has FMR f. The map is
piecewise linear through the thresholds of a few FMRs, set on non-mated comparisons of other subjects (``at_most``); beyond
them it goes on with the last slope. It never changes the order of scores within a group, so it can equalise FMR but not
help a group whose scores do not separate.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.verification.measures.rates import at_most_threshold, error_budget
from frbias.core.verification.remedies.crossfit import Within, parts

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LEVELS = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)


def map_to_fmr(non_mated: npt.ArrayLike, levels: Sequence[float] = LEVELS) -> tuple[Float, Float]:
    """Knots of the map from a score to -log10 FMR: ascending scores and their values.

    Args:
        non_mated: Non-mated scores of one group, shape (n,).
        levels: FMRs to go through; those that allow no false match among ``n``, or none of the
            tied highest scores, are left out.

    Raises:
        BadInputError: Fewer than two levels have different thresholds.

    Example:
        >>> scores, values = map_to_fmr(np.arange(1, 101) / 100, [0.1, 0.5])
        >>> scores.tolist(), values.round(3).tolist()
        ([0.51, 0.91], [0.301, 1.0])
    """
    ascending = np.sort(np.asarray(non_mated, dtype=np.float64))
    usable = sorted((f for f in {*levels} if error_budget(f, len(ascending)) >= 1), reverse=True)
    taus = np.array([float(at_most_threshold(ascending, error_budget(f, len(ascending)))) for f in usable])
    resolved = taus <= ascending[-1]  # ties at the top can leave no threshold within the budget
    kept = np.r_[np.diff(taus) > 0, True] & resolved if len(taus) else resolved  # of equal ones the smallest FMR
    if kept.sum() < 2:
        raise BadInputError(
            f"{len(ascending)} non-mated comparisons of other subjects are too few to set thresholds for a group; "
            "use larger groups or more subjects."
        )
    return taus[kept], -np.log10(np.array(usable)[kept])


def apply_map(scores: Float, knots: tuple[Float, Float]) -> Float:
    """Scores through a piecewise linear map that goes on with its first and last slope.

    Example:
        >>> apply_map(np.array([0.0, 0.5, 2.0, 3.0]), (np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 3.0]))).tolist()
        [0.0, 0.5, 3.0, 5.0]
    """
    at, value = knots
    inside = np.interp(scores, at, value)
    below = value[0] + (scores - at[0]) * (value[1] - value[0]) / (at[1] - at[0])
    above = value[-1] + (scores - at[-1]) * (value[-1] - value[-2]) / (at[-1] - at[-2])
    return np.asarray(np.where(scores < at[0], below, np.where(scores > at[-1], above, inside)))


def group_thresholds(within: Within, fold: Int64, targets: Sequence[float]) -> Float:
    """Changed scores of every comparison, each learned from other subjects, shape (c,).

    Args:
        within: Comparisons.
        fold: Fold of every sample.
        targets: FMRs the map has to go through besides :data:`LEVELS`.

    Raises:
        BadInputError: A group has too few non-mated comparisons to learn from.
    """
    changed = np.empty_like(within.score)
    kind, impostor = within.kind, ~within.mated
    for part in parts(within, fold):
        learned = part.learn_from[impostor[part.learn_from]]
        for number in np.unique(kind[part.chosen]):
            knots = map_to_fmr(within.score[learned[kind[learned] == number]], (*LEVELS, *targets))
            mine = part.chosen[kind[part.chosen] == number]
            changed[mine] = apply_map(within.score[mine], knots)
    return changed
