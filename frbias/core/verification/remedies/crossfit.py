"""Comparisons within groups, and who may be learned from when they are judged: nobody in them.

Subjects are dealt to folds. A comparison between a subject of fold i and one of fold j is changed by what was learned
from the other folds alone (from a given cohort, where there is one), so no remedy has seen the people it is judged on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.words import counted
from frbias.core.verification.groups import Grouping
from frbias.core.verification.scores.planning import unit_vectors

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

MAX_COMPARISONS = 20_000_000
MINIMUM_FOLDS = 3


@dataclass(frozen=True)
class Within:
    """Every comparison of two samples of one group.

    Attributes:
        unit: Embeddings scaled to length 1, float32, shape (n, d).
        subject: Subject code of every sample, shape (n,).
        group: Group of every sample, -1 none, shape (n,).
        names: Group names.
        reference, probe: Rows of the two samples: the younger one is the reference, the earlier row when ages are equal
            or unknown, shape (c,).
        score: Cosines, shape (c,).
    """

    unit: npt.NDArray[np.float32]
    subject: Int64
    group: Int64
    names: tuple[str, ...]
    reference: Int64
    probe: Int64
    score: Float

    @property
    def mated(self) -> Bool:
        """True for comparisons of one subject, shape (c,)."""
        return np.asarray(self.subject[self.reference] == self.subject[self.probe])

    @property
    def kind(self) -> Int64:
        """Group of every comparison, shape (c,)."""
        return self.group[self.reference]


@dataclass(frozen=True)
class Part:
    """Comparisons that are judged together and the samples that may be learned from.

    Attributes:
        chosen: Positions of the comparisons, shape (k,).
        learn: Rows of the samples of other subjects, shape (m,).
        learn_from: Positions of the comparisons among them, shape (q,).
    """

    chosen: Int64
    learn: Int64
    learn_from: Int64


def within_groups(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    grouping: Grouping,
    ages: npt.ArrayLike | None = None,
) -> Within:
    """Compare every two samples of one group.

    Raises:
        UsageError: There are too many comparisons to hold every comparison.
    """
    sizes = np.bincount(grouping.codes[grouping.codes >= 0], minlength=len(grouping.names))
    if int((sizes * (sizes - 1) // 2).sum()) > MAX_COMPARISONS:
        raise UsageError(
            f"Remedies hold every comparison within a group, at most {MAX_COMPARISONS} in all; groups of "
            f"{', '.join(str(n) for n in sizes)} images have more. Use a part of the images or smaller groups."
        )
    unit = unit_vectors(np.asarray(matrix, dtype=np.float32))
    years = np.full(len(unit), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
    first, second, score = [], [], []
    for number in range(len(grouping.names)):
        rows = np.flatnonzero(grouping.codes == number)
        one, two = np.triu_indices(len(rows), k=1)
        first.append(rows[one])
        second.append(rows[two])
        score.append((unit[rows] @ unit[rows].T)[one, two].astype(np.float64))
    one, two = np.concatenate(first), np.concatenate(second)
    with np.errstate(invalid="ignore"):
        swap = years[two] < years[one]
    codes = np.unique(np.asarray(subjects).astype(str), return_inverse=True)[1].astype(np.int64)
    return Within(
        unit, codes, grouping.codes, grouping.names, np.where(swap, two, one), np.where(swap, one, two),
        np.concatenate(score),
    )  # fmt: skip


def deal_subjects(subject: Int64, folds: int, seed: int) -> Int64:
    """Fold of every sample, whole subjects at a time in random order, 0..folds-1, shape (n,).

    Raises:
        UsageError: There are fewer than three folds, or fewer subjects than folds.
    """
    people = np.unique(subject)
    if not MINIMUM_FOLDS <= folds <= len(people):
        raise UsageError(
            f"{counted(len(people), 'subject')} cannot be cross-fitted in {folds} folds; use {MINIMUM_FOLDS} to {len(people)}, "
            "since a comparison touches up to two folds and something has to be left to learn from."
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(people))
    fold = np.empty(len(people), dtype=np.int64)
    fold[order] = np.arange(len(people)) % folds
    return fold[np.searchsorted(people, subject)]


def parts(within: Within, fold: Int64) -> Iterator[Part]:
    """The comparisons of every pair of folds, with the samples and comparisons of the other folds."""
    one, two = fold[within.reference], fold[within.probe]
    low, high = np.minimum(one, two), np.maximum(one, two)
    count = int(fold.max()) + 1
    for i in range(count):
        for j in range(i, count):
            chosen = np.flatnonzero((low == i) & (high == j))
            if chosen.size:
                learn = np.flatnonzero((fold != i) & (fold != j))
                outside = ~np.isin(one, (i, j)) & ~np.isin(two, (i, j))
                yield Part(chosen, learn, np.flatnonzero(outside))
