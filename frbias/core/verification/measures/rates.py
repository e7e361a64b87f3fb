"""Error rates of verification from mated and non-mated comparison scores (ISO/IEC 19795-1 terms).

A comparison is accepted iff score >= tau. FMR(tau) is the share of non-mated comparisons accepted, FNMR(tau)
the share of mated comparisons rejected. Larger scores mean more similar. Counts are exact integers.

Threshold conventions for a target FMR (the name is part of every output):

==========  ====================================================================================
at_most     smallest observed non-mated score whose FMR does not exceed the target; just above the
            largest one when none fits (the default; also bob.measure's rule)
infimum     just above the largest non-mated score that has to be rejected: same FMR, lowest FNMR
nearest     observed score whose FMR is nearest to the target, the lowest of several; may exceed it
quantile    linear quantile 1 - target of the non-mated scores; usually exceeds the target
==========  ====================================================================================
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.records import Record

Scores = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

DEFAULT_CONVENTION = "at_most"
LARGEST_SCORE = 1e100  # squares of larger ones are infinite
CONVENTIONS = ("at_most", "infimum", "nearest", "quantile")
EER_CONVENTIONS = ("fvc2000", "mean_at_smallest_difference", "linear_interpolation")


@dataclass(frozen=True, slots=True)
class Curve:
    """Error counts at every threshold where they change.

    Attributes:
        thresholds: Ascending, shape (t,); the last one is above every score (nobody is accepted).
        false_matches: Non-mated comparisons with score >= threshold, shape (t,).
        false_non_matches: Mated comparisons with score < threshold, shape (t,).
        non_mated, mated: Numbers of comparisons.
    """

    thresholds: Scores
    false_matches: Counts
    false_non_matches: Counts
    non_mated: int
    mated: int

    @property
    def fmr(self) -> npt.NDArray[np.float64]:
        """False match rates, shape (t,)."""
        return self.false_matches / self.non_mated

    @property
    def fnmr(self) -> npt.NDArray[np.float64]:
        """False non-match rates, shape (t,)."""
        return self.false_non_matches / self.mated


@dataclass(frozen=True, slots=True)
class EqualErrorRate(Record):
    """Equal error rate with the interval it lies in, the convention that picks the value, and a bootstrap interval."""

    value: float
    low: float
    high: float
    threshold: float
    convention: str
    bootstrap: Interval | None = None


def check_scores(scores: npt.ArrayLike, what: str = "scores") -> Scores:
    """Scores as a one-dimensional float array (float32 stays, everything else becomes float64).

    Raises:
        BadInputError: There are none, one is NaN or infinite (its row, counted from 0, is named), or beyond
            ``LARGEST_SCORE``.
    """
    array = np.asarray(scores)
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise BadInputError(f"{what}: a non-empty one-dimensional list of scores is needed, got shape {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise BadInputError(
            f"{what}: row {bad[0]} is {array[bad[0]]}; {bad.size} of {array.size} scores are not finite."
        )
    if (largest := float(np.abs(array).max())) > LARGEST_SCORE:
        raise BadInputError(f"{what}: {largest:g} is too large for a score (at most {LARGEST_SCORE:g}); rescale them.")
    return array


def exact_fraction(value: float | str | Fraction) -> Fraction:
    """The decimal number a person wrote: 0.29 is 29/100, not the binary double nearest to it."""
    return value if isinstance(value, Fraction) else Fraction(Decimal(str(value)))


def error_budget(target: float | str | Fraction, non_mated: int) -> int:
    """Largest number of false matches that keeps FMR <= target, computed exactly.

    Example:
        >>> error_budget(0.29, 100), int(0.29 * 100)
        (29, 28)
    """
    return error_budgets(target, [non_mated])[0]


def error_budgets(target: float | str | Fraction, non_mated: Iterable[int]) -> list[int]:
    """:func:`error_budget` of many numbers of comparisons."""
    fraction = exact_fraction(target)
    if not 0 <= fraction <= 1:
        raise UsageError(f"A target FMR is a fraction from 0 to 1, not {target}.")
    return [fraction.numerator * int(n) // fraction.denominator for n in non_mated]


def check_target(target: float | str | Fraction, non_mated: int) -> None:
    """Refuse a target that the data cannot resolve.

    Raises:
        UsageError: Not even one false match is allowed at ``target``; names the smallest usable target.
    """
    if error_budget(target, non_mated) < 1:
        raise UsageError(
            f"A target FMR of {target} allows no false match among {non_mated} non-mated comparisons; "
            f"the smallest usable target is 1/{non_mated} = {1 / non_mated:.3g}."
        )


def error_curve(mated: npt.ArrayLike, non_mated: npt.ArrayLike) -> Curve:
    """Counts at every distinct score, and at one threshold above all of them.

    Example:
        >>> error_curve([0.9, 0.4], [0.1, 0.4]).false_matches.tolist()
        [2, 1, 0, 0]
    """
    mated, non_mated = _same_kind(check_scores(mated, "mated scores"), check_scores(non_mated, "non-mated scores"))
    mated, non_mated = np.sort(mated), np.sort(non_mated)
    distinct = np.unique(np.concatenate([mated, non_mated]))
    thresholds = np.append(distinct, np.nextafter(distinct[-1], distinct.dtype.type(np.inf)))
    false_matches, false_non_matches = sorted_counts(mated, non_mated, thresholds)
    return Curve(thresholds, false_matches, false_non_matches, len(non_mated), len(mated))


def error_counts(mated: npt.ArrayLike, non_mated: npt.ArrayLike, thresholds: npt.ArrayLike) -> tuple[Counts, Counts]:
    """False matches and false non-matches at the given thresholds (score >= threshold accepts).

    Example:
        >>> fm, fnm = error_counts([0.9, 0.4], [0.1, 0.4], [0.4, 0.5])
        >>> fm.tolist(), fnm.tolist()
        ([1, 0], [0, 1])
    """
    genuine, impostor = check_scores(mated, "mated scores"), check_scores(non_mated, "non-mated scores")
    at = np.atleast_1d(np.asarray(thresholds))
    common = np.result_type(genuine.dtype, impostor.dtype, at.dtype)
    return sorted_counts(np.sort(genuine).astype(common), np.sort(impostor).astype(common), at.astype(common))


def sorted_counts(mated: Scores, non_mated: Scores, thresholds: Scores) -> tuple[Counts, Counts]:
    """:func:`error_counts` for ascending scores of one dtype; nothing is checked."""
    false_matches = len(non_mated) - np.searchsorted(non_mated, thresholds, side="left")
    return false_matches.astype(np.int64), np.searchsorted(mated, thresholds, side="left").astype(np.int64)


def threshold_at_fmr(
    non_mated: npt.ArrayLike,
    target: float | str | Fraction,
    *,
    convention: str = DEFAULT_CONVENTION,
    mated: npt.ArrayLike | None = None,
) -> float:
    """Threshold for a target FMR under a named convention.

    Args:
        non_mated: Non-mated scores, shape (n,).
        target: Target FMR, 0..1 (0 is allowed here and rejects every non-mated comparison).
        convention: One of :data:`CONVENTIONS`.
        mated: Mated scores; needed by ``nearest``, which chooses among all observed scores.

    Returns:
        The threshold, exactly representable in the dtype of the scores.

    Example:
        >>> threshold_at_fmr([0.1, 0.2, 0.3, 0.4], 0.5)
        0.3
        >>> threshold_at_fmr([0.1, 0.2, 0.4, 0.4], 0.25) > 0.4
        True
    """
    scores = np.sort(check_scores(non_mated, "non-mated scores"))
    allowed = error_budget(target, len(scores))
    if convention == "at_most":
        return float(at_most_threshold(scores, allowed))
    if convention == "infimum":
        if allowed >= len(scores):
            return float(scores[0])
        return float(np.nextafter(scores[len(scores) - 1 - allowed], scores.dtype.type(np.inf)))
    if convention == "quantile":
        return float(np.quantile(scores.astype(np.float64), 1 - float(exact_fraction(target))))
    if convention == "nearest":
        observed = scores if mated is None else np.concatenate([scores, check_scores(mated, "mated scores")])
        distinct = np.unique(observed)
        fmr = (len(scores) - np.searchsorted(scores, distinct, side="left")) / len(scores)
        return float(distinct[np.argmin(np.abs(fmr - float(exact_fraction(target))))])
    raise UsageError(f"Threshold convention {convention!r} is unknown; use {', '.join(CONVENTIONS)}.")


def at_most_threshold(ascending: Scores, allowed: int) -> np.floating[Any]:
    """Smallest of the ascending scores with at most ``allowed`` scores at or above it, else just above the largest."""
    n = len(ascending)
    if allowed >= n:
        return ascending[0]
    rejected = ascending[n - 1 - allowed]  # the largest score that has to be rejected, with all its ties
    position = int(np.searchsorted(ascending, rejected, side="right"))
    return ascending[position] if position < n else np.nextafter(ascending[-1], ascending.dtype.type(np.inf))


def equal_error_rate(
    mated: npt.ArrayLike, non_mated: npt.ArrayLike, *, convention: str = EER_CONVENTIONS[0]
) -> EqualErrorRate:
    """Equal error rate; the step functions FMR and FNMR need not meet, so the interval is reported too.

    Args:
        mated: Mated scores.
        non_mated: Non-mated scores.
        convention: ``fvc2000`` (middle of the interval of Maio et al., FVC2000, on the curve closed by the
            accept-nobody point), ``mean_at_smallest_difference`` ((FMR + FNMR)/2 where they differ least, the
            lowest such threshold), or ``linear_interpolation`` of the ROC.

    Example:
        >>> equal_error_rate([0.5, 0.5], [0.5, 0.5]).value
        0.5
    """
    return eer_of_curve(error_curve(mated, non_mated), convention=convention)


def eer_of_curve(curve: Curve, *, convention: str = EER_CONVENTIONS[0]) -> EqualErrorRate:
    """:func:`equal_error_rate` of a curve (or of the part of it around the crossing)."""
    # difference of the rates on a common denominator, exact
    gap = curve.false_non_matches * curve.non_mated - curve.false_matches * curve.mated
    last = max(int(np.searchsorted(gap, 0, side="right")) - 1, 0)  # largest threshold with FNMR <= FMR
    first = min(int(np.searchsorted(gap, 0, side="left")), len(gap) - 1)  # smallest threshold with FNMR >= FMR
    fmr, fnmr = curve.fmr, curve.fnmr
    low_sum, high_sum = (
        int(curve.false_matches[k]) * curve.mated + int(curve.false_non_matches[k]) * curve.non_mated
        for k in (last, first)
    )
    chosen = last if low_sum <= high_sum else first
    low, high = sorted((float(fmr[chosen]), float(fnmr[chosen])))
    if convention == "fvc2000":
        return EqualErrorRate((low + high) / 2, low, high, float(curve.thresholds[chosen]), convention)
    if convention == "mean_at_smallest_difference":
        at = int(np.argmin(np.abs(gap)))
        return EqualErrorRate(float(fmr[at] + fnmr[at]) / 2, low, high, float(curve.thresholds[at]), convention)
    if convention == "linear_interpolation":
        before = max(first - 1, 0)
        share = 0.0 if first == before else float(-gap[before] / (gap[first] - gap[before]))
        value = float(fmr[before] + share * (fmr[first] - fmr[before]))
        threshold = float(curve.thresholds[before] + share * (curve.thresholds[first] - curve.thresholds[before]))
        return EqualErrorRate(value, low, high, threshold, convention)
    raise UsageError(f"EER convention {convention!r} is unknown; use {', '.join(EER_CONVENTIONS)}.")


def fnmr_at_fmr(mated: npt.ArrayLike, non_mated: npt.ArrayLike, target: float | str | Fraction) -> float:
    """FNMR at the ``at_most`` threshold of a target FMR (1 - TAR).

    Example:
        >>> fnmr_at_fmr([0.9, 0.25], [0.1, 0.2, 0.3, 0.4], 0.5)
        0.5
    """
    tau = threshold_at_fmr(non_mated, target)
    return float(error_counts(mated, non_mated, np.array([tau]))[1][0] / np.size(mated))


def tar_at_fmr(mated: npt.ArrayLike, non_mated: npt.ArrayLike, target: float | str | Fraction) -> float:
    """True accept rate, 1 - FNMR, at the ``at_most`` threshold of a target FMR."""
    return 1 - fnmr_at_fmr(mated, non_mated, target)


def det_points(curve: Curve, limit: int = 200) -> npt.NDArray[np.int64]:
    """Positions of at most about ``limit`` points of a curve, evenly spread on log axes in FMR and in FNMR."""
    chosen = [np.array([0, len(curve.thresholds) - 1])]
    for counts, total in ((curve.false_matches, curve.non_mated), (curve.false_non_matches, curve.mated)):
        levels = np.unique(np.geomspace(1, max(total, 1), max(limit // 2, 2)).astype(np.int64))
        ascending = counts if counts[0] <= counts[-1] else counts[::-1]
        position = np.searchsorted(ascending, levels, side="left").clip(0, len(counts) - 1)
        chosen.append(position if counts[0] <= counts[-1] else len(counts) - 1 - position)
    return np.unique(np.concatenate(chosen))


def deviation(scores: npt.NDArray[Any]) -> float:
    """Standard deviation (ddof 0) of some scores; exactly 0 when all are the same, which rounding would hide."""
    return 0.0 if scores.min() == scores.max() else float(scores.std())


def d_prime(mean_mated: float, std_mated: float, mean_non_mated: float, std_non_mated: float) -> float | None:
    """Decidability index |mu_m - mu_n| / sqrt((sigma_m^2 + sigma_n^2) / 2); None when both spreads are 0."""
    spread = math.sqrt((std_mated**2 + std_non_mated**2) / 2)
    return None if spread == 0 else abs(mean_mated - mean_non_mated) / spread


def transaction_rates(fmr: float, fnmr: float, failure_to_acquire: float) -> tuple[float, float]:
    """FAR and FRR of whole transactions: FAR = FMR (1 - FTA), FRR = FTA + FNMR (1 - FTA) (ISO/IEC 19795-1).

    Example:
        >>> transaction_rates(0.01, 0.1, 0.5)
        (0.005, 0.55)
    """
    return fmr * (1 - failure_to_acquire), failure_to_acquire + fnmr * (1 - failure_to_acquire)


def _same_kind(a: Scores, b: Scores) -> tuple[Scores, Scores]:
    common = np.result_type(a.dtype, b.dtype)
    return a.astype(common, copy=False), b.astype(common, copy=False)
