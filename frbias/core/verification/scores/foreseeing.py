"""Which bins of a large set will be needed, foreseen from a sample of its tiles.

The bins around every threshold have to be held for exact counts. How far around is read off the sample itself: it is
taken in parts, and the more these disagree about the share of comparisons above a threshold, the more is held. Where the
equal error rate lies depends on mated comparisons, which are few: they are made beforehand. Should a threshold fall outside
all the same, another scan fetches its bin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.scores.comparisons import Classes, needed_classes
from frbias.core.verification.scores.scan import Found, Plan

EER_TAIL = 1.25  # the tail of a bootstrap reaches this far beyond the FMR at which the EER lies
_PARTS, _FEWEST = 16, 8  # parts of a sample that can be told from each other, and tiles that each needs
_ERRORS = 5.0  # standard errors that are held around a threshold
_LEAST = 0.002  # of a threshold's comparisons, held on either side whatever the sample says
_MATED = 1_000_000  # comparisons that are made beforehand at most
_ROWS = 4096  # of them at a time
_BINS = 2  # held beyond on either side

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Tiles = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Budget:
    """Memory for exact non-mated scores, in comparisons of 16 bytes.

    Attributes:
        all_scores: Up to this many non-mated comparisons, every score is held.
        tail: Up to this many, the upper tail that a bootstrap needs is held.
    """

    all_scores: int = 2_000_000
    tail: int = 20_000_000


@dataclass(frozen=True)
class _Sample:
    """What some tiles say of all of them.

    Attributes:
        parts: Pooled comparisons per part and bin, shape (parts, bins).
        share: Of all non-mated comparisons, those that are pooled.
    """

    parts: Int64
    share: float

    @property
    def from_top(self) -> Int64:
        """Pooled comparisons in a bin or above it, shape (bins,)."""
        return _from_top(self.parts.sum(axis=0))

    def slack(self, target: float) -> float:
        """Share of a target FMR's comparisons by which its threshold may lie elsewhere."""
        total = max(int(self.parts.sum()), 1)
        usual = (0.05 if total < 10_000_000 else 0.02) + 5 / float(np.sqrt(max(target * total, 1)))
        if len(self.parts) == 1 or not target:
            return usual
        bin_of = int(np.searchsorted(-self.from_top, -target * total))
        sizes = np.maximum(self.parts.sum(axis=1), 1)
        shares = [self.parts[:, edge:].sum(axis=1) / sizes for edge in (max(bin_of - 1, 0), bin_of)]
        error = max(float(share.std(ddof=1)) for share in shares) / float(np.sqrt(len(sizes)))
        return min(usual, _LEAST + _ERRORS * error / target)


def bins_to_hold(
    plan: Plan,
    classes: Classes,
    targets: Sequence[float],
    tails: Sequence[float],
    budget: Budget,
    scan: Callable[[Tiles], Found],
) -> Bool:
    """Bins whose scores a scan has to hold, shape (classes, bins).

    Args:
        plan: The samples.
        classes: Classes of their pairs.
        targets: Target FMRs whose thresholds are asked for.
        tails: FMRs down to whose thresholds a bootstrap would like every score.
        budget: Limits of what is held.
        scan: Counts some tiles, holding nothing.
    """
    wanted = np.zeros((classes.count, plan.bins.count), dtype=np.bool_)
    pairs = plan.count * (plan.count - 1) // 2
    if pairs <= budget.all_scores:
        wanted[:] = True
        return wanted
    sample = _sample(plan, classes, scan)
    from_top = sample.from_top
    total = max(int(from_top[0]), 1)
    rows = np.arange(classes.count) if classes.cross else needed_classes(classes)
    crossing = _crossing(plan, classes, sample)
    for target, more in [*((target, 0.0) for target in targets), *crossing]:
        slack = sample.slack(target) + more
        low = int(np.searchsorted(-from_top, -target * (1 + slack) * total)) - _BINS
        high = int(np.searchsorted(-from_top, -target * max(1 - slack, 0) * total)) + _BINS
        wanted[rows, max(low, 0) : high if slack < 1 else None] = True
    reaching = [min(EER_TAIL * level, 1.0) for level, _ in crossing] if tails else []
    for level in sorted([*tails, *reaching], reverse=True):
        if min(1.0, level * 1.05) * sample.share * pairs <= budget.tail:
            cut = int(np.searchsorted(-from_top, -level * total)) - 1
            wanted[classes.pool, max(cut, 0) :] = True
            break
    return wanted


def _sample(plan: Plan, classes: Classes, scan: Callable[[Tiles], Found]) -> _Sample:
    tiles = plan.tiles()
    stride = max(1, len(tiles) // max(4, len(tiles) // 20))
    chosen = tiles[stride // 2 :: stride]
    count = _PARTS if len(chosen) >= _PARTS * _FEWEST else 1
    found = [scan(chosen[number::count]) for number in range(count)]
    pooled = np.stack([part.histogram[classes.pool].sum(axis=0) for part in found])
    return _Sample(pooled, float(pooled.sum() / max(sum(int(part.histogram.sum()) for part in found), 1)))


def _crossing(plan: Plan, classes: Classes, sample: _Sample) -> list[tuple[float, float]]:
    """FMR near which FNMR equals it, where the equal error rate will be, and the share by which that may be elsewhere."""
    mated, all_of_them = _mated_scores(plan, classes)
    if not len(mated) or not sample.parts.sum():
        return []
    fnmr = np.searchsorted(np.sort(plan.bins.of(mated)), np.arange(plan.bins.count)) / len(mated)
    fmr = sample.from_top / sample.parts.sum()
    level = float(fmr[int(np.argmax(fnmr >= fmr))])
    return [(level, 0.0 if all_of_them else _ERRORS / float(np.sqrt(max(level * len(mated), 1))))]


def _mated_scores(plan: Plan, classes: Classes) -> tuple[npt.NDArray[np.float32], bool]:
    """Mated comparisons within evaluated groups, to the last bits, and whether they are all of these."""
    group, evaluated = plan.label - 1, np.append(classes.member.any(axis=0), False)
    row, column = plan.mated_row, plan.mated_column
    inside = np.flatnonzero((group[row] == group[column]) & evaluated[group[row]])
    chosen = inside[:: max(1, -(-len(inside) // _MATED))]
    scores = np.empty(len(chosen), np.float32)
    for start in range(0, len(chosen), _ROWS):
        some = chosen[start : start + _ROWS]
        scores[start : start + _ROWS] = np.einsum("ij,ij->i", plan.vectors[row[some]], plan.vectors[column[some]])
    return scores, len(chosen) == len(inside)


def _from_top(histogram: Int64) -> Int64:
    return histogram[::-1].cumsum()[::-1]
