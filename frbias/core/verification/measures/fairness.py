"""Differential-performance measures of verification error rates over groups, with reasons instead of NaN.

Notation: groups d = 1..n, rates x_d = FMR_d(tau) or FNMR_d(tau), all at one global threshold tau; groups weigh
equally whatever their size. No epsilon is ever added to a denominator.

=====================  ========================================================================  ==========
measure                formula                                                                   best/worst
=====================  ========================================================================  ==========
gini                   n/(n-1) * sum_ij |x_i - x_j| / (2 n^2 mean(x))                            0 / 1
garbe                  alpha * gini(FMR) + (1 - alpha) * gini(FNMR)                              0 / 1
fdr                    1 - (alpha * range(FMR) + (1 - alpha) * range(FNMR))                      1 / 0
ir                     (max/min FMR)^alpha * (max/min FNMR)^(1 - alpha)                          1 / inf
max_over_min           max(x) / min(x)                                                           1 / inf
max_over_geometric..   max(x) / (prod x)^(1/n)                                                   1 / inf
max_over_arithmetic..  max(x) / mean(x)                                                          1 / n
mape                   100/n * sum_d |FMR_d - target| / target                                   0 / inf
std, ser               of accuracies in percent: standard deviation (ddof 1); max/min error      0, 1 / inf
=====================  ========================================================================  ==========

Sources: Gini and GARBE: Howard et al. 2022 (arXiv 2203.05051). FDR: de Freitas Pereira and Marcel
(arXiv 2011.02395). IR and the ratios: Grother, NISTIR 8429. STD and SER: Wang and Deng (RFW).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rates = Sequence[float] | npt.NDArray[np.float64]

FEWER_THAN_TWO = "fewer_than_two_groups"
MEAN_ZERO = "mean_zero"


@dataclass(frozen=True, slots=True)
class Definition:
    """What a measure says: its best and worst value (None: unbounded) and how to read it."""

    best: float
    worst: float | None
    unit: str = "1"

    @property
    def direction(self) -> str:
        """``lower is fairer`` or ``higher is fairer``."""
        return "lower is fairer" if self.worst is None or self.best < self.worst else "higher is fairer"


DEFINITIONS: dict[str, Definition] = {
    "garbe": Definition(0.0, 1.0),
    "gini_fmr": Definition(0.0, 1.0),
    "gini_fnmr": Definition(0.0, 1.0),
    "gini_fmr_uncorrected": Definition(0.0, 1.0),
    "gini_fnmr_uncorrected": Definition(0.0, 1.0),
    "fdr": Definition(1.0, 0.0),
    "fdr_range_fmr": Definition(0.0, 1.0),
    "fdr_range_fnmr": Definition(0.0, 1.0),
    "ir": Definition(1.0, None),
    "fmr_max_over_min": Definition(1.0, None),
    "fmr_max_over_geometric_mean": Definition(1.0, None),
    "fmr_max_over_arithmetic_mean": Definition(1.0, None),
    "fnmr_max_over_min": Definition(1.0, None),
    "fnmr_max_over_geometric_mean": Definition(1.0, None),
    "fnmr_max_over_arithmetic_mean": Definition(1.0, None),
    "mape_fmr": Definition(0.0, None, "%"),
    "accuracy_std": Definition(0.0, None, "%"),
    "accuracy_ser": Definition(1.0, None),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A value, or the reason why there is none.

    Attributes:
        value: The value, or None when undefined.
        reason: Why it is undefined (``mean_zero``, ``infinite_min_zero``, ...), or None.
        limit: ``+inf`` or ``nan``: what the formula tends to when it is undefined, where that is known.
    """

    value: float | None
    reason: str | None = None
    limit: str | None = None

    @property
    def defined(self) -> bool:
        """True when there is a value."""
        return self.value is not None

    def to_json(self, name: str | None = None) -> dict[str, Any]:
        """JSON object with value, reason and limit; with ``name`` also best, worst, unit and direction."""
        record: dict[str, Any] = {"value": self.value}
        if self.reason is not None:
            record["reason"] = self.reason
        if self.limit is not None:
            record["limit"] = self.limit
        if name is not None:
            definition = DEFINITIONS[name]
            record |= {
                "best": definition.best,
                "worst": definition.worst,
                "unit": definition.unit,
                "direction": definition.direction,
            }
        return record


def gini_values(rates: npt.NDArray[np.float64], *, corrected: bool = True) -> npt.NDArray[np.float64]:
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
    values = _rates(rates)
    if values.size < 2:
        return Measure(None, FEWER_THAN_TWO)
    if values.sum() == 0:
        return Measure(0.0) if zero_mean_is_equal else Measure(None, MEAN_ZERO)
    return Measure(float(gini_values(values, corrected=corrected)))


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
    _check_alpha(alpha)
    missing = [f"{name}:{part.reason}" for name, (part, weight) in parts.items() if weight and not part.defined]
    if missing:
        return Measure(None, "; ".join(missing))
    return Measure(math.fsum(weight * (part.value or 0.0) for part, weight in parts.values() if weight))


def fdr(fmr: Rates, fnmr: Rates, *, alpha: float = 0.5) -> Measure:
    """Fairness discrepancy rate, 1 fair and 0 unfair (de Freitas Pereira and Marcel).

    Example:
        >>> fdr([0.001, 0.005], [0.02, 0.06]).value
        0.978
    """
    _check_alpha(alpha)
    return Measure(1 - (alpha * float(np.ptp(_rates(fmr))) + (1 - alpha) * float(np.ptp(_rates(fnmr)))))


def max_over_min(rates: Rates) -> Measure:
    """Largest rate over smallest rate; undefined (limit +inf) when only the smallest is 0."""
    values = _rates(rates)
    low, high = float(values.min()), float(values.max())
    if low == 0:
        return Measure(None, "min_zero", "nan" if high == 0 else "+inf")
    return Measure(high / low)


def max_over_geometric_mean(rates: Rates) -> Measure:
    """Largest rate over geometric mean (NISTIR 8429); undefined when any rate is 0."""
    values = _rates(rates)
    if values.min() == 0:
        return Measure(None, "geometric_mean_zero", "nan" if values.max() == 0 else "+inf")
    logarithm = math.fsum(math.log(v) for v in values) / values.size
    return Measure(math.exp(math.log(values.max()) - logarithm))


def max_over_arithmetic_mean(rates: Rates) -> Measure:
    """Largest rate over arithmetic mean; undefined when every rate is 0."""
    values = _rates(rates)
    total = math.fsum(values)
    return Measure(None, MEAN_ZERO) if total == 0 else Measure(float(values.max()) * values.size / total)


def ir(fmr: Rates, fnmr: Rates, *, alpha: float = 0.5) -> Measure:
    """Inequity rate, 1 fair and unbounded (Grother); a part of weight exactly 0 is ignored.

    Example:
        >>> round(ir([0.001, 0.005], [0.02, 0.06]).value, 6)
        3.872983
        >>> ir([0.0, 0.005], [0.02, 0.06])
        Measure(value=None, reason='fmr:infinite_min_zero', limit='+inf')
    """
    _check_alpha(alpha)
    parts = {"fmr": (_inequity(fmr), alpha), "fnmr": (_inequity(fnmr), 1 - alpha)}
    used = {name: pair for name, pair in parts.items() if pair[1]}
    missing = [name for name, (part, _) in used.items() if not part.defined]
    if missing:
        limit = "nan" if any(used[name][0].limit == "nan" for name in missing) else "+inf"
        return Measure(None, "; ".join(f"{name}:{used[name][0].reason}" for name in missing), limit)
    return Measure(math.prod((part.value or 0.0) ** weight for part, weight in used.values()))


def mape(fmr: Rates, *, target: float) -> Measure:
    """Mean absolute deviation of the groups' FMR from the nominal FMR, in percent of the nominal FMR."""
    if target <= 0:
        return Measure(None, "target_zero")
    values = _rates(fmr)
    return Measure(100 / values.size * math.fsum(abs(v - target) for v in values) / target)


def accuracy_std(accuracies: Rates) -> Measure:
    """Standard deviation (ddof = 1, as the RFW papers print it) of accuracies in percent."""
    values = np.asarray(accuracies, dtype=np.float64)
    return Measure(None, FEWER_THAN_TWO) if values.size < 2 else Measure(float(values.std(ddof=1)))


def accuracy_ser(accuracies: Rates) -> Measure:
    """Skewed error ratio: largest over smallest error, error = 100 - accuracy in percent."""
    errors = 100 - np.asarray(accuracies, dtype=np.float64)
    low, high = float(errors.min()), float(errors.max())
    if low <= 0:
        return Measure(None, "min_error_zero", "nan" if high <= 0 else "+inf")
    return Measure(high / low)


def all_measures(fmr: Rates, fnmr: Rates, *, alpha: float, target: float | None = None) -> dict[str, Measure]:
    """Every measure that FMR and FNMR per group determine, by the names of :data:`DEFINITIONS`.

    The accuracies behind ``accuracy_std`` and ``accuracy_ser`` are 100 (1 - (FMR + FNMR) / 2): balanced accuracy
    at the one global threshold.
    """
    accuracies = 100 * (1 - (_rates(fmr) + _rates(fnmr)) / 2)
    found = {
        "garbe": garbe(fmr, fnmr, alpha=alpha),
        "gini_fmr": gini(fmr),
        "gini_fnmr": gini(fnmr),
        "gini_fmr_uncorrected": gini(fmr, corrected=False),
        "gini_fnmr_uncorrected": gini(fnmr, corrected=False),
        "fdr": fdr(fmr, fnmr, alpha=alpha),
        "fdr_range_fmr": Measure(float(np.ptp(_rates(fmr)))),
        "fdr_range_fnmr": Measure(float(np.ptp(_rates(fnmr)))),
        "ir": ir(fmr, fnmr, alpha=alpha),
        "accuracy_std": accuracy_std(accuracies),
        "accuracy_ser": accuracy_ser(accuracies),
    }
    for name, rates in (("fmr", fmr), ("fnmr", fnmr)):
        found[f"{name}_max_over_min"] = max_over_min(rates)
        found[f"{name}_max_over_geometric_mean"] = max_over_geometric_mean(rates)
        found[f"{name}_max_over_arithmetic_mean"] = max_over_arithmetic_mean(rates)
    if target is not None:
        found["mape_fmr"] = mape(fmr, target=target)
    return found


def garbe_values(
    fmr: npt.NDArray[np.float64], fnmr: npt.NDArray[np.float64], *, alpha: float = 0.5
) -> npt.NDArray[np.float64]:
    """GARBE over the last axis, vectorised; NaN where undefined, parts of weight 0 ignored."""
    _check_alpha(alpha)
    if alpha == 0:
        return gini_values(fnmr)
    if alpha == 1:
        return gini_values(fmr)
    return alpha * gini_values(fmr) + (1 - alpha) * gini_values(fnmr)


def _inequity(rates: Rates) -> Measure:
    ratio = max_over_min(rates)
    if ratio.defined:
        return ratio
    return Measure(None, "max_zero_0_over_0" if ratio.limit == "nan" else "infinite_min_zero", ratio.limit)


def _rates(values: Rates) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("rates must be a non-empty one-dimensional sequence, one rate per group")
    bad = np.flatnonzero(~((array >= 0) & (array <= 1)))
    if bad.size:
        raise ValueError(f"rate {array[bad[0]]} of group {bad[0]} is not between 0 and 1")
    return array


def _check_alpha(alpha: float) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
