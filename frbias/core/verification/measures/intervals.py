"""Intervals of rates: binomial ones, the one that is shown, and the small-sample rules.

Comparisons that share a subject are not independent, so these intervals are a lower bound of the
uncertainty; :mod:`frbias.core.verification.bootstrap` gives the honest one where subjects are known.
"""

import math
from dataclasses import dataclass

from frbias.core.verification.records import Record, member

RULE_OF_THIRTY = 30
BOOTSTRAP, WILSON = "subject bootstrap", "wilson"
PERCENTILE = f"{BOOTSTRAP}, percentile"


@dataclass(frozen=True, slots=True)
class Interval(Record):
    """A percentile interval over bootstrap replicates, or the reason why there is none.

    Attributes:
        low, high: Bounds, None when undefined.
        confidence: Nominal coverage.
        method: How it was made.
        used, dropped: Replicates that had a value, and that had none (a group was missing, no error anywhere).
        reason: Why there is no interval.
    """

    low: float | None
    high: float | None
    confidence: float
    method: str
    used: int = member("replicates_used")
    dropped: int = member("replicates_dropped")
    reason: str | None = member(omit_none=True)


@dataclass(frozen=True, slots=True)
class ShownInterval(Record):
    """The interval that stands beside a rate wherever it is shown.

    Attributes:
        low, high: Bounds.
        method: ``subject bootstrap`` or ``wilson``.
    """

    low: float
    high: float
    method: str


def shown_interval(errors: int, trials: int, found: Interval | None, *, confidence: float = 0.95) -> ShownInterval:
    """The bootstrap interval; Wilson's where there is none, or where every comparison or none is an error.

    Resampling cannot make an error that was never seen (nor a success), so its interval has no width there.

    Example:
        >>> shown_interval(0, 300, Interval(0.0, 0.0, 0.95, PERCENTILE, 1000, 0)).method
        'wilson'
    """
    if found is not None and 0 < errors < trials and found.low is not None and found.high is not None:
        return ShownInterval(found.low, found.high, BOOTSTRAP)
    return ShownInterval(*wilson(errors, trials, confidence=confidence), WILSON)


def wilson(errors: float, trials: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion (two-sided).

    Example:
        >>> [round(x, 6) for x in wilson(0, 300)]
        [0.0, 0.012643]
    """
    _check(errors, trials, confidence)
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, z2n = errors / trials, z * z / trials
    centre = p + z2n / 2
    half = z * math.sqrt(p * (1 - p) / trials + z2n / (4 * trials))
    low = 0.0 if errors == 0 else max(0.0, (centre - half) / (1 + z2n))
    high = 1.0 if errors == trials else min(1.0, (centre + half) / (1 + z2n))
    return low, high


def clopper_pearson(errors: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (conservative) binomial interval of a proportion (two-sided), from beta quantiles.

    Example:
        >>> [round(x, 6) for x in clopper_pearson(0, 300)]
        [0.0, 0.012221]
    """
    _check(errors, trials, confidence)
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(betaincinv(errors, trials - errors + 1, tail))
    high = 1.0 if errors == trials else float(betaincinv(errors + 1, trials - errors, 1 - tail))
    return low, high


def zero_error_upper_bound(trials: int, *, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a rate after no error in ``trials``: 1 - (1 - confidence)^(1/trials)."""
    _check(0, trials, confidence)
    return -math.expm1(math.log1p(-confidence) / trials)


def rule_of_three(trials: int) -> float:
    """Upper 95 % bound of a rate after no error in ``trials``, approximately 3 / trials (at most 1)."""
    _check(0, trials, 0.95)
    return min(1.0, 3 / trials)


def flags(errors: int, trials: int) -> list[str]:
    """Small-sample flags of a rate: ``rule_of_3`` (no error seen) and ``below_rule_of_30`` (under 30 errors).

    With 30 errors the true rate is within 30 % of the observed one at 90 % confidence (Doddington).

    Example:
        >>> flags(0, 300), flags(29, 300), flags(30, 300)
        (['rule_of_3', 'below_rule_of_30'], ['below_rule_of_30'], [])
    """
    _check(errors, trials, 0.95)
    found = ["rule_of_3"] if errors == 0 else []
    return [*found, "below_rule_of_30"] if errors < RULE_OF_THIRTY else found


def _check(errors: float, trials: float, confidence: float) -> None:
    if trials < 1 or not 0 <= errors <= trials:
        raise ValueError(f"{errors} errors in {trials} trials is impossible")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
