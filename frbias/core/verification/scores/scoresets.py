"""Comparisons from somebody else's scores: arrays of scores with labels, any range, larger is more similar."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted
from frbias.core.verification.groups import Grouping, group_all, group_by_value
from frbias.core.verification.measures.rates import check_scores
from frbias.core.verification.scores.binning import Tally, bins_of_range
from frbias.core.verification.scores.comparisons import Comparisons, Mated, pair_classes


def comparisons_from_scores(
    scores: npt.ArrayLike,
    mated: npt.ArrayLike,
    *,
    groups: Sequence[Any] | npt.NDArray[Any] | Grouping | None = None,
    subject_ref: Sequence[Any] | npt.NDArray[Any] | None = None,
    subject_probe: Sequence[Any] | npt.NDArray[Any] | None = None,
) -> tuple[Comparisons, Grouping]:
    """Comparisons and their grouping from labelled scores.

    Args:
        scores: Comparison scores, shape (n,).
        mated: True (1) for mated comparisons, shape (n,).
        groups: Group of each comparison, empty for none (counted in the pool of no group), or a grouping whose codes
            are per comparison; None: one group ``all``.
        subject_ref, subject_probe: Subjects of each comparison (text, or whole numbers), for the bootstrap; None:
            unknown.

    Returns:
        The comparisons and a grouping whose codes are per comparison.

    Raises:
        BadInputError: Scores are not finite, labels contradict each other, or one kind of comparison is missing.

    Example:
        >>> found, grouping = comparisons_from_scores([0.9, 0.2, 0.8, 0.3], [1, 0, 1, 0], groups=list("aabb"))
        >>> grouping.names, found.non_mated_counts.tolist(), found.mated_counts.tolist()
        (('a', 'b'), [1, 1], [1, 1])
    """
    values = check_scores(scores, "scores")
    is_mated = np.asarray(mated).astype(bool)
    _check(values, is_mated, mated=mated, group=groups, subject_ref=subject_ref, subject_probe=subject_probe)
    grouping = _grouping(groups, len(values))
    names, first, second = _subjects(subject_ref, subject_probe, is_mated)
    genuine, impostor = np.flatnonzero(is_mated), np.flatnonzero(~is_mated)
    evaluated = np.array(
        [
            np.any(grouping.codes[genuine] == g) and np.any(grouping.codes[impostor] == g)
            for g in range(len(grouping.names))
        ]
    )
    classes = pair_classes(grouping, evaluated, "within", cross=False)
    comparisons = Comparisons(
        groups=grouping.names,
        evaluated=evaluated,
        mated=Mated(
            values[genuine], grouping.codes[genuine], first[genuine], np.empty(0, np.int64), np.empty(0, np.int64)
        ),
        tally=_tally(values, impostor, grouping, first, second, classes.count),
        classes=classes,
        rule="within",
        subject_names=names,
        subject_of=np.arange(len(names)),
    )
    return comparisons, grouping


def _check(values: npt.NDArray[Any], is_mated: npt.NDArray[np.bool_], **columns: Any) -> None:
    """Refuse columns of other lengths than the scores', and scores of one kind."""
    for what, column in columns.items():
        column = column.codes if isinstance(column, Grouping) else column
        if column is not None and np.shape(column) != values.shape:
            raise BadInputError(
                f"{counted(len(values), 'score')}, but {counted(len(np.asarray(column)), 'value')} of {what!r}; give one for each."
            )
    for kind, present in (("mated", is_mated.any()), ("non-mated", not is_mated.all())):
        if not present:
            raise BadInputError(f"There is no {kind} comparison among {counted(len(values), 'score')}.")


def _tally(
    values: npt.NDArray[Any],
    impostor: npt.NDArray[np.int64],
    grouping: Grouping,
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    classes: int,
) -> Tally:
    bins = bins_of_range(values)
    ascending = impostor[np.argsort(values[impostor], kind="stable")]
    score = values[ascending]
    kind = np.where(grouping.codes[ascending] >= 0, grouping.codes[ascending], len(grouping.names)).astype(np.int32)
    histogram = np.zeros((classes, bins.count), dtype=np.int64)
    np.add.at(histogram, (kind, bins.of(score)), 1)
    double = score.astype(np.float64)
    sums: npt.NDArray[np.float64] = np.stack(
        [np.bincount(kind, weights=w, minlength=classes).astype(np.float64) for w in (double, double * double)], axis=1
    )
    return Tally(
        bins,
        histogram,
        sums,
        np.ones_like(histogram, dtype=np.bool_),
        score,
        kind,
        lambda: (first[ascending].astype(np.int32), second[ascending].astype(np.int32)),
    )


def _grouping(groups: Sequence[Any] | npt.NDArray[Any] | Grouping | None, count: int) -> Grouping:
    if isinstance(groups, Grouping):
        return groups
    if groups is None:
        return group_all(count)
    return group_by_value(groups, "group")


def _subjects(
    reference: Sequence[Any] | npt.NDArray[Any] | None,
    probe: Sequence[Any] | npt.NDArray[Any] | None,
    is_mated: npt.NDArray[np.bool_],
) -> tuple[tuple[str, ...], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if reference is None or probe is None:
        unknown = np.full(len(is_mated), -1, dtype=np.int64)
        return (), unknown, unknown
    sides = [np.asarray(side) for side in (reference, probe)]
    numbers = all(np.issubdtype(side.dtype, np.integer) for side in sides)  # texts of millions of rows take gigabytes
    both = np.concatenate(sides if numbers else [side.astype(str) for side in sides])
    names, codes = np.unique(both, return_inverse=True)
    first, second = codes[: len(is_mated)], codes[len(is_mated) :]
    wrong = np.flatnonzero((first == second) != is_mated)
    if wrong.size:
        raise BadInputError(
            f"Row {wrong[0]}: subjects {str(names[first[wrong[0]]])!r} and {str(names[second[wrong[0]]])!r} contradict mated = "
            f"{int(is_mated[wrong[0]])} ({wrong.size} such rows)."
        )
    return tuple(map(str, names.tolist())), first.astype(np.int64), second.astype(np.int64)
