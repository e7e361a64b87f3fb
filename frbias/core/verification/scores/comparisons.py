"""Mated and non-mated comparisons of a set, and which of them make up a group and set the threshold.

Mated comparisons are few and kept with their scores; non-mated comparisons are tallied per class of group pair (see
:mod:`frbias.core.verification.scores.binning`). They come from embeddings (:mod:`frbias.core.verification.scores.engine`) or from
somebody else's scores (:mod:`frbias.core.verification.scores.scoresets`).

Non-mated rules (which non-mated comparisons make up a group's FMR, and which set the threshold):

==========  ==============================================================================================
within      both samples in the group; the threshold is set on all groups' comparisons together
any-probe   at least one sample in the group; the threshold is set on all comparisons touching a group
all         both samples in the group, but the threshold is set on all non-mated comparisons
==========  ==============================================================================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.core.verification.groups import Grouping
from frbias.core.verification.scores.binning import Tally

NON_MATED_RULES = ("within", "any-probe", "all")
_LUMP_ABOVE = 12

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Mated:
    """Mated comparisons.

    Attributes:
        score: Shape (m,).
        group: Group code when both samples are in one group, else -1.
        subject: Subject code, -1 unknown.
        first, second: Positions of the two samples in the input, -1 unknown.
    """

    score: npt.NDArray[np.floating[Any]]
    group: Int64
    subject: Int64
    first: Int64
    second: Int64


@dataclass(frozen=True)
class Classes:
    """Which class a pair of groups belongs to, and how classes make up groups and the pool.

    Attributes:
        table: Class of a pair of labels (label = group code + 1), shape (groups + 1, groups + 1).
        count: Number of classes.
        member: 1 where a class counts towards a group's FMR, shape (classes, groups).
        pool: Classes whose comparisons set the threshold.
        cross: Whether every pair of groups has a class of its own.
    """

    table: npt.NDArray[np.int32]
    count: int
    member: Int64
    pool: Int64
    cross: bool


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a set, ready to be counted at thresholds.

    Attributes:
        groups: Group names.
        evaluated: True for groups with mated and non-mated comparisons, shape (groups,).
        mated: Mated comparisons.
        tally: Non-mated comparisons per class.
        classes: Classes of the tally.
        rule: Non-mated rule.
        subject_names: Names of the subject codes; empty when subjects are unknown.
        subject_of: Subject code of every position that ``tally.first`` and ``mated.first`` refer to.
        weights: Samples per subject and group, shape (subjects, groups + 1), last column no group; None for score files.
        matched_age: Tolerance in years of age-matched non-mated comparisons, or None.
        self_check: How the counts and scores were checked, None for score files.
        refine: Fetches the scores of further bins, giving the same comparisons with them held.
    """

    groups: tuple[str, ...]
    evaluated: Bool
    mated: Mated
    tally: Tally
    classes: Classes
    rule: str
    subject_names: tuple[str, ...]
    subject_of: Int64
    weights: Int64 | None = None
    matched_age: float | None = None
    self_check: dict[str, Any] | None = None
    refine: "Callable[[list[int]], Comparisons] | None" = None

    @property
    def mated_counts(self) -> Int64:
        """Mated comparisons within each group, shape (groups,)."""
        return np.bincount(self.mated.group[self.mated.group >= 0], minlength=len(self.groups)).astype(np.int64)

    @property
    def non_mated_counts(self) -> Int64:
        """Non-mated comparisons of each group, shape (groups,)."""
        return self.tally.counts @ self.classes.member

    @property
    def counted(self) -> Int64:
        """Classes whose counts have to be exact: all, or those of groups and pool when pairs of groups share a class."""
        if self.classes.cross:
            return np.arange(self.classes.count)
        return needed_classes(self.classes)

    @property
    def pooled_non_mated(self) -> int:
        """Non-mated comparisons that set the threshold."""
        return int(self.tally.counts[self.classes.pool].sum())

    @property
    def in_evaluated_group(self) -> Bool:
        """True for mated comparisons within an evaluated group."""
        return (self.mated.group >= 0) & np.append(self.evaluated, False)[self.mated.group]

    def false_non_matches(self, threshold: np.floating[Any]) -> Int64:
        """Mated comparisons with score < threshold within each group, shape (groups,)."""
        rejected = self.mated.group[(self.mated.score < threshold) & (self.mated.group >= 0)]
        return np.bincount(rejected, minlength=len(self.groups)).astype(np.int64)


def needed_classes(classes: Classes) -> Int64:
    """Classes that count towards a group or set the threshold."""
    return np.union1d(classes.pool, np.flatnonzero(classes.member.any(axis=1)))


def pair_classes(grouping: Grouping, evaluated: Bool, rule: str, *, cross: bool | None = None) -> Classes:
    """Classes of group pairs under a non-mated rule.

    With more than 12 groups the pairs of different groups share one class (unless ``cross`` says otherwise).

    Raises:
        UsageError: The rule is unknown.
    """
    if rule not in NON_MATED_RULES:
        raise UsageError(f"--non-mated {rule!r} is unknown; use {', '.join(NON_MATED_RULES)}.")
    n = len(grouping.names)
    labels = n + 1
    full = (n <= _LUMP_ABOVE or rule == "any-probe") if cross is None else cross
    table = np.full((labels, labels), n, dtype=np.int32)
    if full:
        upper = np.triu_indices(labels, k=1)
        table[upper] = np.arange(n, n + len(upper[0]))
        table = np.triu(table, 1) + np.triu(table, 1).T
        table[0, 0] = n + len(upper[0])
    for group in range(n):
        table[group + 1, group + 1] = group
    count = int(table.max()) + 1
    member = np.zeros((count, n), dtype=np.int64)
    for group in map(int, np.flatnonzero(evaluated)):
        touching = table[group + 1] if rule == "any-probe" else table[group + 1, group + 1]
        member[touching, group] = 1
    pool = np.arange(count) if rule == "all" else np.flatnonzero(member.any(axis=1))
    return Classes(table, count, member, pool, full)
