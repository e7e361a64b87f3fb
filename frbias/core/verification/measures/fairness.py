"""Differential-performance formulas over groups: each once, vectorised, with a scalar form that gives reasons.

Notation: groups d = 1..n, rates x_d = FMR_d(tau) or FNMR_d(tau), all at one global threshold tau; groups weigh
equally whatever their size. No epsilon is ever added to a denominator. The names under which these are reported,
their directions, texts and sources are in :mod:`frbias.core.verification.measures.table`.

``*_values`` work over the last axis and give NaN (or inf) where undefined; the functions without the suffix take one
set of groups and give a :class:`Measure`: a value, or the reason why there is none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.records import Record, member

Float = npt.NDArray[np.float64]
Rates = Sequence[float] | Float

FEWER_THAN_TWO = "fewer_than_two_groups"
MEAN_ZERO = "mean_zero"
ZERO_ERROR_RISK = 0.05
"""A group without errors enters zero-adjusted measures with the bound that it exceeds with this probability."""


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """A value, or the reason why there is none.

    Attributes:
        value: The value, or None when undefined.
        reason: Why it is undefined (``mean_zero``, ``infinite_min_zero``, ...), or None.
        limit: ``+inf`` or ``nan``: what the formula tends to when it is undefined, where that is known.
    """

    value: float | None
    reason: str | None = member(omit_none=True)
    limit: str | None = member(omit_none=True)

    @property
    def defined(self) -> bool:
        """True when there is a value."""
        return self.value is not None


def gini_values(rates: Float, *, corrected: bool = True) -> Float:
    """Gini coefficients over the last axis, vectorised; NaN where undefined (use :func:`gini` for the reason).

    Computed from the gaps of the sorted rates, sum_k k (n-k) (x_(k+1) - x_(k)): all terms are non-negative,
    so equal rates give exactly 0 and nothing cancels.

    Args:
        rates: Non-negative rates of shape (..., n).
        corrected: Multiply by n/(n-1), so that 1 is reached for any n.

    Returns:
        Shape (...), in 0..1.

    Example:
        >>> gini_values(np.array([[0.001, 0.005], [0.2, 0.2]])).round(4).tolist()
        [0.6667, 0.0]
    """
    rates = np.asarray(rates, dtype=np.float64)
    n = rates.shape[-1]
    if n < 2:
        return np.full(rates.shape[:-1], np.nan)
    ordered = np.sort(rates, axis=-1)
    k = np.arange(1, n, dtype=np.float64)
    spread = (k * (n - k) * np.diff(ordered, axis=-1)).sum(axis=-1)
    total = rates.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = np.where(total > 0, spread / (n * total), np.nan)
    return plain * (n / (n - 1)) if corrected else plain


def gini(rates: Rates, *, corrected: bool = True, zero_mean_is_equal: bool = False) -> Measure:
    """Gini coefficient of one rate over groups (Howard et al. 2022).

    Args:
        rates: One rate per group.
        corrected: Multiply by n/(n-1).
        zero_mean_is_equal: Call "no error in any group" perfect equality (0) instead of undefined.

    Example:
        >>> gini([0.001, 0.005]).value
        0.6666666666666666
        >>> gini([0.0, 0.0])
        Measure(value=None, reason='mean_zero', limit=None)
    """
    values = checked_rates(rates)
    if values.size < 2:
        return Measure(None, FEWER_THAN_TWO)
    if values.sum() == 0:
        return Measure(0.0) if zero_mean_is_equal else Measure(None, MEAN_ZERO)
    return Measure(float(gini_values(values, corrected=corrected)))


def garbe_values(fmr: Float, fnmr: Float, *, alpha: float = 0.5) -> Float:
    """GARBE over the last axis, vectorised; NaN where undefined, a part of weight exactly 0 ignored."""
    return _weighted_sum(gini_values(fmr), gini_values(fnmr), alpha)


def garbe(fmr: Rates, fnmr: Rates, *, alpha: float = 0.5, zero_mean_is_equal: bool = False) -> Measure:
    """GARBE, the Gini aggregation rate for biometric equitability (Howard et al. 2022).

    Args:
        fmr: False match rate per group.
        fnmr: False non-match rate per group, same order.
        alpha: Weight of the false match rates, 0..1; a part of weight exactly 0 is ignored even when undefined.
        zero_mean_is_equal: As in :func:`gini`.

    Example:
        >>> garbe([0.001, 0.005], [0.02, 0.06]).value
        0.5833333333333333
        >>> garbe([0.0, 0.0], [0.02, 0.06], alpha=0.5).reason
        'gini_fmr:mean_zero'
        >>> round(garbe([0.0, 0.0], [0.02, 0.06], alpha=0.0).value, 12)
        0.5
    """
    parts = {
        "gini_fmr": (gini(fmr, zero_mean_is_equal=zero_mean_is_equal), alpha),
        "gini_fnmr": (gini(fnmr, zero_mean_is_equal=zero_mean_is_equal), 1 - alpha),
    }
    missing = [f"{name}:{part.reason}" for name, (part, weight) in parts.items() if weight and not part.defined]
    if missing:
        return Measure(None, "; ".join(missing))
    one, two = (np.float64(part.value or 0.0) for part, _ in parts.values())
    return Measure(float(_weighted_sum(one, two, alpha)))


def fdr_values(fmr: Float, fnmr: Float, *, alpha: float = 0.5) -> Float:
    """Fairness discrepancy rate over the last axis, vectorised."""
    return np.asarray(1 - _weighted_sum(np.ptp(fmr, axis=-1), np.ptp(fnmr, axis=-1), alpha))


def fdr(fmr: Rates, fnmr: Rates, *, alpha: float = 0.5) -> Measure:
    """Fairness discrepancy rate, 1 fair and 0 unfair (de Freitas Pereira and Marcel).

    Example:
        >>> fdr([0.001, 0.005], [0.02, 0.06]).value
        0.978
    """
    return Measure(float(fdr_values(checked_rates(fmr), checked_rates(fnmr), alpha=alpha)))


def max_over_min_values(rates: Float) -> Float:
    """Largest over smallest rate over the last axis; inf where only the smallest is 0, NaN where all are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(rates.max(axis=-1) / rates.min(axis=-1))


def max_over_min(rates: Rates) -> Measure:
    """Largest rate over smallest rate; undefined (limit +inf) when only the smallest is 0."""
    values = checked_rates(rates)
    return _ratio_measure(max_over_min_values(values), values, "min_zero")


def max_over_geometric_mean_values(rates: Float) -> Float:
    """Largest rate over geometric mean, over the last axis; inf or NaN where a rate is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.exp(np.log(rates.max(axis=-1)) - np.log(rates).mean(axis=-1)))


def max_over_geometric_mean(rates: Rates) -> Measure:
    """Largest rate over geometric mean (NISTIR 8429); undefined when any rate is 0."""
    values = checked_rates(rates)
    return _ratio_measure(max_over_geometric_mean_values(values), values, "geometric_mean_zero")


def max_over_arithmetic_mean_values(rates: Float) -> Float:
    """Largest rate over arithmetic mean, over the last axis; NaN where every rate is 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(rates.max(axis=-1) * rates.shape[-1] / rates.sum(axis=-1))


def max_over_arithmetic_mean(rates: Rates) -> Measure:
    """Largest rate over arithmetic mean; undefined when every rate is 0."""
    values = checked_rates(rates)
    return Measure(None, MEAN_ZERO) if not values.any() else Measure(float(max_over_arithmetic_mean_values(values)))


def zero_adjusted(rates: Float, trials: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> Float:
    """Rates in which a group without errors has its one-sided 95 % upper bound, 1 - 0.05^(1/trials).

    Example:
        >>> zero_adjusted(np.array([0.0, 0.02]), np.array([300, 300])).round(6).tolist()
        [0.009936, 0.02]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = -np.expm1(math.log(ZERO_ERROR_RISK) / np.asarray(trials, dtype=np.float64))
    return np.asarray(np.where(rates == 0, bound, rates))


def inequity_values(fmr: Float, fnmr: Float, *, alpha: float = 0.5) -> Float:
    """(max/geometric mean FMR)^alpha (max/geometric mean FNMR)^(1 - alpha) over the last axis."""
    one, two = max_over_geometric_mean_values(fmr), max_over_geometric_mean_values(fnmr)
    return _weighted_product(one, two, alpha)


def ir_values(fmr: Float, fnmr: Float, *, alpha: float = 0.5) -> Float:
    """Inequity rate over the last axis, vectorised; inf or NaN where undefined."""
    return _weighted_product(max_over_min_values(fmr), max_over_min_values(fnmr), alpha)


def ir(fmr: Rates, fnmr: Rates, *, alpha: float = 0.5) -> Measure:
    """Inequity rate, 1 fair and unbounded (Grother); a part of weight exactly 0 is ignored.

    Example:
        >>> round(ir([0.001, 0.005], [0.02, 0.06]).value, 6)
        3.872983
        >>> ir([0.0, 0.005], [0.02, 0.06])
        Measure(value=None, reason='fmr:infinite_min_zero', limit='+inf')
    """
    one, two = checked_rates(fmr), checked_rates(fnmr)
    value = float(ir_values(one, two, alpha=alpha))
    used = {"fmr": one if alpha else None, "fnmr": two if alpha < 1 else None}
    missing = {name: rates for name, rates in used.items() if rates is not None and rates.min() == 0}
    if not missing:
        return Measure(value)
    reasons = [f"{n}:{'infinite_min_zero' if r.any() else 'max_zero_0_over_0'}" for n, r in missing.items()]
    return Measure(None, "; ".join(reasons), "+inf" if all(r.any() for r in missing.values()) else "nan")


def mape_values(fmr: Float, *, target: float) -> Float:
    """Mean absolute deviation of FMR from the nominal one, in percent of it, over the last axis."""
    return np.asarray(100 / fmr.shape[-1] * np.abs(fmr - target).sum(axis=-1) / target)


def mape(fmr: Rates, *, target: float) -> Measure:
    """Mean absolute deviation of the groups' FMR from the nominal FMR, in percent of the nominal FMR."""
    if target <= 0:
        return Measure(None, "target_zero")
    return Measure(float(mape_values(checked_rates(fmr), target=target)))


def balanced_accuracies(fmr: Float, fnmr: Float) -> Float:
    """100 (1 - (FMR + FNMR) / 2) of every group, in percent, at the one global threshold."""
    return 100 * (1 - (fmr + fnmr) / 2)


def accuracy_std_values(accuracies: Float) -> Float:
    """Standard deviation (ddof = 1) over the last axis; NaN for a single group."""
    if accuracies.shape[-1] < 2:
        return np.full(accuracies.shape[:-1], np.nan)
    return np.asarray(accuracies.std(axis=-1, ddof=1))


def accuracy_std(accuracies: Rates) -> Measure:
    """Standard deviation (ddof = 1, as the RFW papers print it) of accuracies in percent."""
    values = np.asarray(accuracies, dtype=np.float64)
    return Measure(None, FEWER_THAN_TWO) if values.size < 2 else Measure(float(accuracy_std_values(values)))


def accuracy_ser_values(accuracies: Float) -> Float:
    """Largest over smallest error, error = 100 - accuracy in percent, over the last axis."""
    return max_over_min_values(100 - accuracies)


def accuracy_ser(accuracies: Rates) -> Measure:
    """Skewed error ratio: largest over smallest error, error = 100 - accuracy in percent."""
    values = np.asarray(accuracies, dtype=np.float64)
    return _ratio_measure(accuracy_ser_values(values), 100 - values, "min_error_zero")


def checked_rates(values: Rates) -> Float:
    """One rate per group as an array.

    Raises:
        ValueError: There are none, or one is not between 0 and 1.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("rates must be a non-empty one-dimensional sequence, one rate per group")
    bad = np.flatnonzero(~((array >= 0) & (array <= 1)))
    if bad.size:
        raise ValueError(f"rate {array[bad[0]]} of group {bad[0]} is not between 0 and 1")
    return array


def _ratio_measure(value: Float, parts: Float, reason: str) -> Measure:
    """A ratio to something that is 0 when the smallest of ``parts`` is."""
    if parts.min() > 0:
        return Measure(float(value))
    return Measure(None, reason, "nan" if parts.max() <= 0 else "+inf")


def _weighted_sum(one: Float | np.float64, two: Float | np.float64, alpha: float) -> Float:
    _check_alpha(alpha)
    if alpha in (0, 1):
        return np.asarray(one if alpha else two)
    return np.asarray(alpha * one + (1 - alpha) * two)


def _weighted_product(one: Float, two: Float, alpha: float) -> Float:
    _check_alpha(alpha)
    if alpha in (0, 1):
        return np.asarray(one if alpha else two)
    return np.asarray(one**alpha * two ** (1 - alpha))


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
