"""How well embeddings of people who are not trained on verify: the quick look taken during training."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.groups import DEFAULT_GROUPS, NO_GROUP, group_by_age
from frbias.core.verification.measures.fairness import garbe
from frbias.core.verification.measures.rates import d_prime, deviation, equal_error_rate, fnmr_at_fmr, threshold_at_fmr
from frbias.core.verification.scores.planning import unit_vectors

MOST_IMAGES = 4000
Metrics = dict[str, float | None]


def validation_rows(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows that are looked at: all, or every k-th so that about 4000 are left."""
    return rows[:: -(-len(rows) // MOST_IMAGES)] if len(rows) else rows


def verification_metrics(
    embeddings: npt.NDArray[np.float32], subjects: list[str], ages: npt.NDArray[np.float64], fmr: float
) -> Metrics:
    """Verification measures over all comparisons of a set.

    Args:
        embeddings: (n, d), any length.
        subjects: Subject of every row.
        ages: Years of every row, NaN unknown.
        fmr: Target FMR of ``fnmr`` and ``garbe``.

    Returns:
        ``eer`` (FVC2000), ``d_prime``, ``fnmr`` at the target over all comparisons, ``garbe`` over the default age
        groups at one threshold set on their pooled non-mated comparisons; None where undefined.
    """
    unit = unit_vectors(embeddings)
    first, second = np.triu_indices(len(unit), k=1)
    _, codes = np.unique(np.asarray(subjects), return_inverse=True)
    scores = (unit @ unit.T)[first, second]
    same = codes[first] == codes[second]
    mated, non_mated = scores[same], scores[~same]
    if not len(mated) or not len(non_mated):
        return {"eer": None, "d_prime": None, "fnmr": None, "garbe": None}
    return {
        "eer": equal_error_rate(mated, non_mated).value,
        "d_prime": d_prime(float(mated.mean()), deviation(mated), float(non_mated.mean()), deviation(non_mated)),
        "fnmr": fnmr_at_fmr(mated, non_mated, fmr),
        "garbe": _garbe(scores, same, group_by_age(ages, DEFAULT_GROUPS).codes, first, second, fmr),
    }


def _garbe(
    scores: npt.NDArray[np.float32],
    same: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    fmr: float,
) -> float | None:
    within = (groups[first] == groups[second]) & (groups[first] != NO_GROUP)
    scores, same, group = scores[within], same[within], groups[first][within]
    present = [g for g in np.unique(group) if same[group == g].any() and not same[group == g].all()]
    if len(present) < 2:
        return None
    counted = np.isin(group, present)
    threshold = threshold_at_fmr(scores[counted & ~same], fmr)
    rates_fmr = [float((scores[(group == g) & ~same] >= threshold).mean()) for g in present]
    rates_fnmr = [float((scores[(group == g) & same] < threshold).mean()) for g in present]
    return garbe(rates_fmr, rates_fnmr).value


def watched(record: dict[str, Any], watch: str) -> tuple[float, float]:
    """What is minimised to find the best epoch; ties of the first number are broken by d' (larger is better)."""
    if watch == "loss":
        return float(record["loss"]), 0.0
    metrics = record["validation"]
    value = metrics[watch]
    return (float("inf") if value is None else float(value)), -(metrics["d_prime"] or 0.0)
