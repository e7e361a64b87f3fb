"""From embeddings, subjects and groups to mated and non-mated comparisons, without ever holding all pairs.

The comparison score is the cosine of two embeddings, computed in float32. Mated comparisons are few and kept
with their scores; non-mated comparisons are tallied per class of group pair (see
:mod:`frbias.core.verification.binning`), with exact scores everywhere in small sets and around the thresholds in
large ones, so that every reported count is exact for the float32 scores.

Non-mated rules (which non-mated comparisons make up a group's FMR, and which set the threshold):

==========  ==============================================================================================
within      both samples in the group; the threshold is set on all groups' comparisons together
any-probe   at least one sample in the group; the threshold is set on all comparisons touching a group
all         both samples in the group, but the threshold is set on all non-mated comparisons
==========  ==============================================================================================
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.devices import World
from frbias.core.errors import BadInputError, UsageError
from frbias.core.progress import SILENT, Progress
from frbias.core.verification.binning import Tally, cosine_bins
from frbias.core.verification.groups import NO_GROUP, Grouping
from frbias.core.verification.scan import TILE, Found, Plan, TileProduct, scan

NON_MATED_RULES = ("within", "any-probe", "all")
MATED_LIMIT = 40_000_000
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


@dataclass(frozen=True)
class Budget:
    """Memory for exact non-mated scores, in comparisons of 16 bytes.

    Attributes:
        all_scores: Up to this many non-mated comparisons, every score is held.
        tail: Up to this many, the upper tail that a bootstrap needs is held.
    """

    all_scores: int = 2_000_000
    tail: int = 20_000_000


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
    for group in np.flatnonzero(evaluated):
        touching = table[group + 1] if rule == "any-probe" else table[group + 1, group + 1]
        member[touching, group] = 1
    pool = np.arange(count) if rule == "all" else np.flatnonzero(member.any(axis=1))
    return Classes(table, count, member, pool, full)


def compare_all(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    grouping: Grouping,
    *,
    targets: Sequence[float] = (0.1, 0.01, 0.001),
    rule: str = "within",
    ages: npt.NDArray[np.float64] | None = None,
    matched_age: float | None = None,
    tail_to: float | None = None,
    budget: Budget | None = None,
    threads: int = 0,
    block: int = 8,
    world: World | None = None,
    product: Callable[[npt.NDArray[np.float32]], TileProduct] | None = None,
    progress: Progress = SILENT,
) -> Comparisons:
    """Compare every pair of embeddings.

    Args:
        matrix: Embeddings, shape (n, d), any scale, float32.
        subjects: Identity of every row, shape (n,).
        grouping: Group of every row.
        targets: Target FMRs around whose thresholds exact scores are held in large sets.
        rule: Non-mated rule, see the module.
        ages: Years per row; needed with ``matched_age``.
        matched_age: Only non-mated pairs that come from a mated pair by replacing one sample by one of another
            subject whose age differs from it by at most this many whole years (endpoint-age-matched negatives).
        tail_to: Hold every score down to the threshold of this FMR (for a bootstrap), where the budget allows it.
        budget: Limits of what is held.
        threads: Threads; 0: one per core.
        block: Tiles a thread takes at a time.
        world: Ranks that share the work.
        product: Makes the function that computes tiles from the sorted unit vectors (an accelerator).
        progress: Sink of progress.

    Raises:
        BadInputError: A row is not finite or zero, or there are no mated or no non-mated comparisons at all.
    """
    names, codes = np.unique(np.asarray([str(s) for s in subjects], dtype=object).astype(str), return_inverse=True)
    order = np.lexsort((codes, grouping.codes))
    plan = _plan(unit_vectors(matrix)[order], codes[order], grouping.codes[order], product)
    weights = np.zeros((len(names), len(grouping.names) + 1), dtype=np.int64)
    np.add.at(weights, (codes, grouping.codes), 1)
    if matched_age is not None:
        if ages is None:
            raise UsageError("Matching the ages of non-mated pairs needs ages.")
        plan = _with(plan, allow=matched_ages(codes[order], ages[order], matched_age))
    evaluated = _evaluated(codes, grouping)
    classes = pair_classes(grouping, evaluated, rule)
    plan = _with(plan, class_of=classes.table, classes=classes.count)
    threads = threads or len(os.sched_getaffinity(0))
    settings: dict[str, Any] = {"threads": threads, "block": block, "world": world}
    wanted = _bins_to_hold(plan, classes, targets, tail_to, budget or Budget(), settings)
    tiles = plan.tiles()
    with progress.task("comparing", len(tiles)) as advance:
        found = scan(plan, wanted, advance=advance, **settings)
    frame = (order, codes[order], grouping, evaluated, classes, rule, tuple(names.tolist()), weights, matched_age)
    return _comparisons(plan, found, wanted, frame, settings)


def unit_vectors(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows scaled to length 1 in float64 and rounded to float32, shape (n, d).

    Raises:
        BadInputError: A row holds NaN or infinity, or is zero.
    """
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] < 2:
        raise BadInputError(f"Embeddings must have shape (n, d) with n >= 2, got {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise BadInputError(f"Embedding in row {bad[0]} is not finite ({bad.size} such rows); leave these images out.")
    double = array.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", double, double))
    if (lengths == 0).any():
        raise BadInputError(f"Embedding in row {int(np.flatnonzero(lengths == 0)[0])} is zero; it has no direction.")
    return np.asarray(double / lengths[:, None], dtype=np.float32)


def matched_ages(
    codes: Int64, ages: npt.NDArray[np.float64], tolerance: float
) -> Callable[[slice, slice], npt.NDArray[np.bool_]]:
    """Which pairs of a tile are endpoint-age-matched negatives (whole years; unknown ages match nothing)."""
    known = np.isfinite(ages)
    years = np.where(known, np.floor(ages), 0).astype(np.int64)
    width = int(years.max()) + 1
    has = np.zeros((int(codes.max()) + 1, width), dtype=np.int32)
    np.add.at(has, (codes[known], years[known]), 1)
    near = np.abs(np.arange(width)[:, None] - np.arange(width)[None, :]) <= tolerance
    reach = has @ near.astype(np.int32)  # images of a subject within the tolerance of an age

    def allow(rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        own = near[years[rows][:, None], years[columns][None, :]].astype(np.int32)
        forward = reach[codes[rows][:, None], years[columns][None, :]] - own
        backward = reach[codes[columns][None, :], years[rows][:, None]] - own
        both_known = known[rows][:, None] & known[columns][None, :]
        return both_known & ((forward > 0) | (backward > 0))

    return allow


def _plan(
    vectors: npt.NDArray[np.float32],
    codes: Int64,
    groups: Int64,
    product: Callable[[npt.NDArray[np.float32]], TileProduct] | None,
) -> Plan:
    count = len(vectors)
    padded = np.zeros((-(-count // TILE) * TILE, vectors.shape[1]), dtype=np.float32)
    padded[:count] = vectors
    label = (groups + 1).astype(np.int32)
    run_end = np.searchsorted(label, label, side="right").astype(np.int32)
    row, column = _mated_pairs(codes)
    side = len(padded) // TILE
    number = (row // TILE) * side + column // TILE
    by_tile = np.argsort(number, kind="stable")
    start = np.searchsorted(number[by_tile], np.arange(side * side + 1))
    return Plan(
        vectors=padded,
        count=count,
        label=label,
        run_end=run_end,
        class_of=np.zeros((1, 1), dtype=np.int32),
        classes=1,
        bins=cosine_bins(),
        mated_row=row[by_tile],
        mated_column=column[by_tile],
        mated_start=start,
        product=None if product is None else product(padded),
    )


def _mated_pairs(codes: Int64) -> tuple[Int64, Int64]:
    sizes = np.bincount(codes)
    total = int((sizes * (sizes - 1) // 2).sum())
    if total > MATED_LIMIT:
        raise BadInputError(
            f"{total} mated comparisons are more than the {MATED_LIMIT} that are kept in memory; use fewer images per subject."
        )
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        first, second = np.triu_indices(size, k=1)
        members = order[starts[:-1][sizes == size][:, None] + np.arange(size)[None, :]]
        rows.append(members[:, first].ravel())
        columns.append(members[:, second].ravel())
    return np.concatenate(rows), np.concatenate(columns)


def _evaluated(codes: Int64, grouping: Grouping) -> Bool:
    table = np.zeros((int(codes.max()) + 1, len(grouping.names) + 1), dtype=np.int64)
    np.add.at(table, (codes, grouping.codes), 1)
    mated = (table * (table - 1) // 2).sum(axis=0)[: len(grouping.names)]
    totals = table.sum(axis=0)[: len(grouping.names)]
    non_mated = totals * (totals - 1) // 2 - mated
    return (mated > 0) & (non_mated > 0)


def _bins_to_hold(
    plan: Plan,
    classes: Classes,
    targets: Sequence[float],
    tail_to: float | None,
    budget: Budget,
    settings: dict[str, Any],
) -> Bool:
    wanted = np.zeros((classes.count, plan.bins.count), dtype=np.bool_)
    pairs = plan.count * (plan.count - 1) // 2
    if pairs <= budget.all_scores:
        wanted[:] = True
        return wanted
    tiles = plan.tiles()
    stride = max(1, len(tiles) // max(8, len(tiles) // 20))
    sample = scan(plan, wanted, tiles=tiles[stride // 2 :: stride], **settings)
    pooled = sample.histogram[classes.pool].sum(axis=0)
    from_top = pooled[::-1].cumsum()[::-1]
    total = max(int(from_top[0]), 1)
    share = sample.histogram[classes.pool].sum() / max(sample.histogram.sum(), 1)
    for target in [*targets, *_crossing(plan, sample, pooled)]:
        slack = 0.05 + 5 / np.sqrt(max(target * total, 1))
        low = int(np.searchsorted(-from_top, -target * (1 + slack) * total)) - 2
        high = int(np.searchsorted(-from_top, -target * max(1 - slack, 0) * total)) + 2
        wanted[:, max(low, 0) : high if slack < 1 else None] = True
    if tail_to is not None and min(1.0, tail_to * 1.05) * share * pairs <= budget.tail:
        cut = int(np.searchsorted(-from_top, -tail_to * total)) - 1
        wanted[classes.pool, max(cut, 0) :] = True
    return wanted


def _crossing(plan: Plan, sample: Found, pooled: Int64) -> list[float]:
    """FMR near which FNMR equals it, from a sample of tiles: where the equal error rate will be."""
    scored = sample.mated[sample.mated != 0]
    if not scored.size or not pooled.sum():
        return []
    fnmr = np.searchsorted(np.sort(plan.bins.of(scored)), np.arange(plan.bins.count)) / scored.size
    fmr = pooled[::-1].cumsum()[::-1] / pooled.sum()
    return [float(fmr[int(np.argmax(fnmr >= fmr))])]


def _comparisons(
    plan: Plan, found: Found, wanted: Bool, frame: tuple[Any, ...], settings: dict[str, Any]
) -> Comparisons:
    order, codes, grouping, evaluated, classes, rule, names, weights, matched_age = frame
    ascending = np.argsort(found.score)
    tally = Tally(
        plan.bins,
        found.histogram,
        found.sums / 2.0**28,
        wanted,
        found.score[ascending],
        found.kind[ascending],
        order[found.row[ascending]].astype(np.int32),
        order[found.column[ascending]].astype(np.int32),
    )
    label = plan.label.astype(np.int64) - 1
    same = label[plan.mated_row] == label[plan.mated_column]
    mated = Mated(
        found.mated,
        np.where(same, label[plan.mated_row], NO_GROUP),
        codes[plan.mated_row],
        order[plan.mated_row],
        order[plan.mated_column],
    )

    def refine(bins: list[int]) -> Comparisons:
        more = np.zeros_like(wanted)
        more[:, bins] = True
        more |= wanted
        return _comparisons(plan, scan(plan, more, **settings), more, frame, settings)

    subject_of = np.empty_like(codes)
    subject_of[order] = codes
    return Comparisons(
        grouping.names, evaluated, mated, tally, classes, rule, names, subject_of, weights, matched_age, refine
    )


def _with(plan: Plan, **changes: Any) -> Plan:
    from dataclasses import replace

    return replace(plan, **changes)
