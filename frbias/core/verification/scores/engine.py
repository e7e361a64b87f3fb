"""The score engine: from embeddings, subjects and groups to comparisons, without ever holding all pairs.

The comparison score is the cosine of two embeddings, computed in float32. Small sets keep every score. Large sets
keep exact scores around the thresholds (found from a sample of tiles) and a fine histogram of the rest, so that
every reported count is exact for the float32 scores; should a threshold fall outside what is kept, one more scan
fetches it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World, usable_cores
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.verification.groups import NO_GROUP, Grouping
from frbias.core.verification.scores.binning import Tally
from frbias.core.verification.scores.comparisons import Classes, Comparisons, Mated, needed_classes, pair_classes
from frbias.core.verification.scores.foreseeing import Budget, bins_to_hold
from frbias.core.verification.scores.laps import LAP, Laps
from frbias.core.verification.scores.planning import make_plan, matched_ages
from frbias.core.verification.scores.scan import Found, Plan, TileProduct, scan
from frbias.core.verification.scores.tiles import SUM_SCALE

SELF_CHECKED = 500
CROSS_LIMIT = 500_000_000  # pairs up to which every pair of groups is counted by itself

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ScanSettings:
    """How a scan is shared; changes nothing in its result.

    Attributes:
        threads: Threads.
        block: Tiles a thread takes at a time.
        world: Ranks that share the work, None for one.
        laps: Where the laps of a long scan are kept; None: nowhere.
    """

    threads: int
    block: int
    world: World | None
    laps: Laps | None = None

    def scan(
        self,
        plan: Plan,
        wanted: Bool,
        *,
        tiles: Sequence[tuple[int, int]] | None = None,
        advance: Callable[[int], None] = lambda n: None,
    ) -> Found:
        """Scan the tiles of a plan (default: all), holding the scores in the wanted bins."""
        return scan(
            plan,
            wanted,
            tiles=tiles,
            threads=self.threads,
            block=self.block,
            world=self.world,
            advance=advance,
        )

    def scan_all(self, plan: Plan, wanted: Bool, advance: Callable[[int], None]) -> Found:
        """Scan all tiles of a plan, keeping laps on the way when there are several."""
        if self.laps is None or len(plan.tiles()) <= LAP or plan.allow is not None:
            return self.scan(plan, wanted, advance=advance)
        share = partial(self.scan, plan, wanted, advance=advance)
        return self.laps.scan(plan, wanted, self.world or World(), lambda lap: share(tiles=lap), advance)

    def count(self, plan: Plan, tiles: Sequence[tuple[int, int]]) -> Found:
        """Count some tiles of a plan, holding nothing."""
        return self.scan(plan, np.zeros((plan.classes, plan.bins.count), dtype=np.bool_), tiles=tiles)


@dataclass(frozen=True)
class PairScan:
    """All pairs of one set, ready to be scanned as often as more scores turn out to be needed.

    Attributes:
        plan: What a scan has to know.
        order: Input position of every sorted sample.
        codes: Subject code of every sorted sample.
        grouping, evaluated, classes, rule: Groups and which pairs make them up.
        subject_names: Names of the subject codes.
        weights: Samples per subject and group.
        matched_age: Tolerance of age-matched pairs in years, or None.
        settings: How scans are shared.
    """

    plan: Plan
    order: Int64
    codes: Int64
    grouping: Grouping
    evaluated: Bool
    classes: Classes
    rule: str
    subject_names: tuple[str, ...]
    weights: Int64
    matched_age: float | None
    settings: ScanSettings

    def comparisons(self, wanted: Bool, advance: Callable[[int], None] = lambda n: None) -> Comparisons:
        """Scan, and put together what was found, with the scores in the wanted bins held."""
        found = self.settings.scan_all(self.plan, wanted, advance)
        made = Comparisons(
            groups=self.grouping.names,
            evaluated=self.evaluated,
            mated=self._mated(found),
            tally=self._tally(found, wanted),
            classes=self.classes,
            rule=self.rule,
            subject_names=self.subject_names,
            subject_of=self._subjects_as_given(),
            weights=self.weights,
            matched_age=self.matched_age,
            refine=partial(self.with_bins, wanted),
        )
        return replace(made, self_check=_self_check(self.plan, found, made))

    def with_bins(self, wanted: Bool, bins: list[int]) -> Comparisons:
        """Scan again and hold the scores of further bins too."""
        rows = np.arange(self.classes.count) if self.classes.cross else needed_classes(self.classes)
        more = wanted.copy()
        more[np.ix_(rows, np.array(bins))] = True
        return self.comparisons(more)

    def _tally(self, found: Found, wanted: Bool) -> Tally:
        ascending, small = ascending_order(found.score), self.order.astype(np.int32)
        return Tally(
            self.plan.bins,
            found.histogram,
            found.sums / SUM_SCALE,
            wanted,
            found.score[ascending],
            found.kind[ascending],
            lambda: (small[found.row[ascending]], small[found.column[ascending]]),
        )

    def _mated(self, found: Found) -> Mated:
        row, column = self.plan.mated_row, self.plan.mated_column
        group = self.plan.label.astype(np.int64) - 1
        return Mated(
            found.mated,
            np.where(group[row] == group[column], group[row], NO_GROUP),
            self.codes[row],
            self.order[row],
            self.order[column],
        )

    def _subjects_as_given(self) -> Int64:
        subjects = np.empty_like(self.codes)
        subjects[self.order] = self.codes
        return subjects


def compare_all(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    grouping: Grouping,
    *,
    targets: Sequence[float] = (0.1, 0.01, 0.001),
    rule: str = "within",
    ages: npt.NDArray[np.float64] | None = None,
    matched_age: float | None = None,
    tails: Sequence[float] = (),
    budget: Budget | None = None,
    threads: int = 0,
    block: int = 2,
    world: World | None = None,
    product: Callable[[npt.NDArray[np.float32]], TileProduct] | None = None,
    laps: Laps | None = None,
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
        tails: Hold every score down to the threshold of the largest of these FMRs that the budget allows (for a
            bootstrap, whose replicates reach a little further than the targets).
        budget: Limits of what is held.
        threads: Threads; 0: one per core.
        block: Tiles a thread takes at a time.
        world: Ranks that share the work.
        product: Makes the function that computes tiles from the sorted unit vectors (an accelerator).
        laps: Where the laps of a long scan are kept, so that one that was cut off goes on.
        progress: Sink of progress.

    Raises:
        BadInputError: A row is not finite or zero, or there are no mated or no non-mated comparisons at all.
    """
    names, codes = np.unique(np.asarray([str(s) for s in subjects], dtype=object).astype(str), return_inverse=True)
    order = np.lexsort((codes, grouping.codes))
    plan = make_plan(matrix, order, codes[order], grouping.codes[order], product)
    if matched_age is not None:
        if ages is None:
            raise UsageError("Matching the ages of non-mated pairs needs ages.")
        plan = replace(plan, allow=matched_ages(codes[order], ages[order], matched_age))
    weights = _samples_by_group(codes, grouping)
    evaluated = _evaluated(weights)
    few = len(matrix) * (len(matrix) - 1) // 2 <= CROSS_LIMIT
    classes = pair_classes(grouping, evaluated, rule, cross=None if few or rule == "any-probe" else False)
    plan = replace(plan, class_of=classes.table, classes=classes.count)
    settings = ScanSettings(threads or usable_cores(), block, world, laps)
    wanted = bins_to_hold(plan, classes, targets, tails, budget or Budget(), partial(settings.count, plan))
    known, codes = tuple(names.tolist()), codes[order]
    pairs = PairScan(plan, order, codes, grouping, evaluated, classes, rule, known, weights, matched_age, settings)
    with progress.task("comparing", len(plan.tiles())) as advance:
        return pairs.comparisons(wanted, advance)


def _samples_by_group(codes: Int64, grouping: Grouping) -> Int64:
    """Samples per subject and group, the last column without a group, shape (subjects, groups + 1)."""
    table = np.zeros((int(codes.max()) + 1, len(grouping.names) + 1), dtype=np.int64)
    np.add.at(table, (codes, grouping.codes), 1)
    return table


def _evaluated(samples: Int64) -> Bool:
    """Groups with both kinds of comparison."""
    mated = (samples * (samples - 1) // 2).sum(axis=0)[:-1]
    totals = samples.sum(axis=0)[:-1]
    non_mated = totals * (totals - 1) // 2 - mated
    return (mated > 0) & (non_mated > 0)


def ascending_order(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Positions that sort float32 scores, ties in their order."""
    from frbias.core.verification.scores.kernels import radix_order

    bits = (scores + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
    return radix_order(np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31)))


def _self_check(plan: Plan, found: Found, comparisons: Comparisons) -> dict[str, Any]:
    """Check the tally against closed-form counts and some scores against float64.

    Raises:
        RuntimeError: A count or a score is wrong, which would be a defect of this program or of the BLAS library.
    """
    if comparisons.matched_age is None and not np.array_equal(comparisons.tally.counts, _closed_form(comparisons)):
        raise RuntimeError("the tally of non-mated comparisons does not have the right number of comparisons")
    step = max(1, len(found.score) // SELF_CHECKED), max(1, len(found.mated) // SELF_CHECKED)
    row = np.concatenate([found.row[:: step[0]], plan.mated_row[:: step[1]]])
    column = np.concatenate([found.column[:: step[0]], plan.mated_column[:: step[1]]])
    scores = np.concatenate([found.score[:: step[0]], found.mated[:: step[1]]]).astype(np.float64)
    exact = np.einsum("ij,ij->i", plan.vectors[row].astype(np.float64), plan.vectors[column].astype(np.float64))
    worst = float(np.abs(scores - exact).max()) if len(scores) else 0.0
    if worst > plan.vectors.shape[1] * 2.0**-23:
        raise RuntimeError(f"scores differ from float64 products by {worst:.1e}")
    return {"counts_in_closed_form": True, "scores_recomputed": len(scores), "largest_error_to_float64": worst}


def _closed_form(comparisons: Comparisons) -> Int64:
    counts = np.zeros(comparisons.classes.count, dtype=np.int64)
    assert comparisons.weights is not None
    by_label = np.roll(comparisons.weights, 1, axis=1)
    sums = by_label.sum(axis=0)
    for one in range(len(sums)):
        for two in range(one, len(sums)):
            pairs = int(sums[one] * sums[two] - by_label[:, one] @ by_label[:, two])
            counts[comparisons.classes.table[one, two]] += pairs // 2 if one == two else pairs
    return counts
