"""Mated comparisons by age gap and by pair of ages, at a threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.groups import AgeGroup, parse_age_groups
from frbias.core.verification.records import Record

Float = npt.NDArray[np.float64]

GAP_CLASSES = parse_age_groups("0-1,2-5,6-10,11-20,21-30,31-40,41+")
DECADES = tuple(AgeGroup(10 * k, 10 * k + 9) for k in range(12))
Counts = tuple[tuple[int, ...], ...]
Cells = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class AgeGap(Record):
    """Mated comparisons whose samples are so many years apart."""

    gap_years: str
    mated: int
    false_non_matches: int
    fnmr: float
    mean_score: float


@dataclass(frozen=True)
class AgePairs(Record):
    """Mated comparisons by the decades of both samples; matrices of shape (ages, ages), None without comparisons."""

    ages: tuple[str, ...]
    rows: str
    columns: str
    mated: Counts
    false_non_matches: Counts
    fnmr: Cells
    mean_score: Cells


def by_age_gap(scores: npt.NDArray[Any], gaps: Float, threshold: Any) -> tuple[AgeGap, ...]:
    """Mated comparisons per class of age gap (whole years, inclusive), unknown ages left out.

    Args:
        scores: Mated scores, shape (m,).
        gaps: Absolute age differences in years, NaN unknown, shape (m,).
        threshold: tau in the scores' dtype.

    Returns:
        One record per class that has comparisons.
    """
    rows = []
    rejected = scores < threshold
    for group in GAP_CLASSES:
        inside = group.holds(gaps)
        count = int(inside.sum())
        if count:
            errors = int(rejected[inside].sum())
            mean = float(scores[inside].mean(dtype=np.float64))
            rows.append(AgeGap(group.name, count, errors, errors / count, mean))
    return tuple(rows)


def by_age_pair(scores: npt.NDArray[Any], younger: Float, older: Float, threshold: Any) -> AgePairs | None:
    """Mated comparisons per pair of decades: matrices of counts, FNMR and mean score (None where there are none).

    Args:
        scores: Mated scores, shape (m,).
        younger, older: Ages in years of the two samples, younger <= older, NaN unknown, shape (m,).
        threshold: tau in the scores' dtype.
    """
    low, high = _decade(younger), _decade(older)
    known = (low >= 0) & (high >= 0)
    if not known.any():
        return None
    used = np.unique(np.concatenate([low[known], high[known]]))
    size, place = len(used), np.searchsorted(used, np.arange(len(DECADES)).clip(max=used[-1]))
    cell = place[low[known]] * size + place[high[known]]
    counts = np.bincount(cell, minlength=size * size)
    errors = np.bincount(cell[scores[known] < threshold], minlength=size * size)
    sums = np.bincount(cell, weights=scores[known].astype(np.float64), minlength=size * size)
    return AgePairs(
        ages=tuple(DECADES[k].name for k in used),
        rows="younger sample",
        columns="older sample",
        mated=_counts(counts, size),
        false_non_matches=_counts(errors, size),
        fnmr=_cells(errors, counts, size),
        mean_score=_cells(sums, counts, size),
    )


def _decade(ages: Float) -> npt.NDArray[np.int64]:
    return np.where(np.isfinite(ages), np.minimum(np.nan_to_num(ages) // 10, len(DECADES) - 1), -1).astype(np.int64)


def _counts(values: npt.NDArray[Any], size: int) -> Counts:
    return tuple(tuple(row) for row in values.reshape(size, size).tolist())


def _cells(values: npt.NDArray[Any], counts: npt.NDArray[Any], size: int) -> Cells:
    flat = tuple(float(v) / int(n) if n else None for v, n in zip(values, counts, strict=True))
    return tuple(flat[k : k + size] for k in range(0, size * size, size))
