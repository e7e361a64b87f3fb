"""Mated comparisons by age gap and by pair of ages, at a threshold."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.groups import AgeGroup, parse_age_groups

Float = npt.NDArray[np.float64]

GAP_CLASSES = parse_age_groups("0-1,2-5,6-10,11-20,21-30,31-40,41+")
DECADES = tuple(AgeGroup(10 * k, 10 * k + 9) for k in range(12))


def by_age_gap(scores: npt.NDArray[Any], gaps: Float, threshold: Any) -> list[dict[str, Any]]:
    """Mated comparisons per class of age gap (whole years, inclusive), unknown ages left out.

    Args:
        scores: Mated scores, shape (m,).
        gaps: Absolute age differences in years, NaN unknown, shape (m,).
        threshold: tau in the scores' dtype.

    Returns:
        One object per class that has comparisons: ``gap_years``, ``mated``, ``false_non_matches``, ``fnmr``,
        ``mean_score``.
    """
    rows = []
    rejected = scores < threshold
    for group in GAP_CLASSES:
        inside = group.holds(gaps)
        count = int(inside.sum())
        if count:
            errors = int(rejected[inside].sum())
            rows.append(
                {
                    "gap_years": group.name,
                    "mated": count,
                    "false_non_matches": errors,
                    "fnmr": errors / count,
                    "mean_score": float(scores[inside].mean(dtype=np.float64)),
                }
            )
    return rows


def by_age_pair(scores: npt.NDArray[Any], younger: Float, older: Float, threshold: Any) -> dict[str, Any] | None:
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
    return {
        "ages": [DECADES[k].name for k in used],
        "rows": "younger sample",
        "columns": "older sample",
        "mated": counts.reshape(size, size).tolist(),
        "false_non_matches": errors.reshape(size, size).tolist(),
        "fnmr": _cells(errors, counts, size),
        "mean_score": _cells(sums, counts, size),
    }


def _decade(ages: Float) -> npt.NDArray[np.int64]:
    return np.where(np.isfinite(ages), np.minimum(np.nan_to_num(ages) // 10, len(DECADES) - 1), -1).astype(np.int64)


def _cells(values: npt.NDArray[Any], counts: npt.NDArray[Any], size: int) -> list[list[float | None]]:
    flat = [float(v) / int(n) if n else None for v, n in zip(values, counts, strict=True)]
    return [flat[k : k + size] for k in range(0, size * size, size)]
