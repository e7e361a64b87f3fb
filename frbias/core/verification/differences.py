"""Differences between two recognisers on the same samples, each with its paired interval and its direction."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from frbias.core.verification.bootstrap import percentile_interval
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.measures.table import (
    AT_THRESHOLD,
    HIGHER_IS_BETTER,
    LOWER_IS_BETTER,
    MEASURES,
    lower_is_better,
)
from frbias.core.verification.records import Record, member

Float = npt.NDArray[np.float64]
Judgement = Literal["better", "worse", "no clear difference", "no interval"]
BETTER: Judgement = "better"
WORSE: Judgement = "worse"
UNCLEAR: Judgement = "no clear difference"
NO_INTERVAL: Judgement = "no interval"


@dataclass(frozen=True)
class Difference(Record):
    """Other minus baseline of one quantity.

    Attributes:
        baseline, other: The two values, None when undefined.
        value: Other minus baseline, None when either is undefined.
        direction: ``lower is better`` or ``higher is better``.
        interval: Paired bootstrap interval of the difference, or None without a bootstrap.
        improved: Share of usable replicates in which the other is strictly better.
        verdict: ``better``, ``worse``, ``no clear difference`` when the interval holds 0, or ``no interval``.
    """

    baseline: float | None
    other: float | None
    value: float | None = member("difference")
    direction: Literal["lower is better", "higher is better"] = member()
    interval: Interval | None = member("bootstrap")
    improved: float | None = member("improved_share")
    verdict: Judgement = member()

    @classmethod
    def of(
        cls,
        baseline: float | None,
        other: float | None,
        draws: tuple[Float, Float] | None,
        *,
        lower: bool,
        confidence: float = 0.95,
    ) -> Self:
        """The difference of two values.

        Args:
            baseline, other: The two values.
            draws: The two quantities in the same bootstrap draws, shape (r,) each; None without a bootstrap.
            lower: Whether smaller values are better.
            confidence: Coverage of the interval.
        """
        interval, improved = None, None
        if draws is not None:
            with np.errstate(invalid="ignore"):
                change = draws[1] - draws[0]
            usable = change[np.isfinite(change)]
            better = usable < 0 if lower else usable > 0
            improved = float(better.mean()) if usable.size else None
            interval = percentile_interval(change, confidence=confidence)
        value = None if baseline is None or other is None else other - baseline
        direction: Any = LOWER_IS_BETTER if lower else HIGHER_IS_BETTER
        return cls(baseline, other, value, direction, interval, improved, _judgement(interval, lower))


@dataclass(frozen=True)
class GroupDifferences(Record):
    """Differences of one group's rates."""

    name: str
    fmr: Difference
    fnmr: Difference


@dataclass(frozen=True)
class KeptGroup(Record):
    """One group's errors of the other recogniser at the baseline's threshold."""

    name: str
    false_matches: int
    fmr: float
    false_non_matches: int
    fnmr: float


@dataclass(frozen=True)
class KeptThreshold(Record):
    """The other recogniser at the baseline's threshold."""

    tau: float
    false_matches: int
    fmr: float
    false_non_matches: int
    fnmr: float
    groups: tuple[KeptGroup, ...]


@dataclass(frozen=True)
class PairedAtTarget(Record):
    """Differences at one target FMR, each model at its own threshold.

    Attributes:
        target: Target FMR.
        differences: By name: every measure of the table, ``fnmr`` and ``tar``.
        groups: By group.
        at_baseline_tau: The other model at the baseline's threshold, None when not available.
    """

    target: float
    differences: dict[str, Difference] = member(names=lambda: [*MEASURES, *AT_THRESHOLD])
    groups: tuple[GroupDifferences, ...] = member()
    at_baseline_tau: KeptThreshold | None = member()


def difference_named(
    name: str,
    values: tuple[float | None, float | None],
    draws: tuple[Float, Float] | None,
    *,
    confidence: float = 0.95,
) -> Difference:
    """The difference of a measure or accuracy of the table, in the direction that the table gives it."""
    return Difference.of(*values, draws, lower=lower_is_better(name), confidence=confidence)


def _judgement(interval: Interval | None, lower: bool) -> Judgement:
    if interval is None or interval.low is None or interval.high is None:
        return NO_INTERVAL
    if interval.low <= 0 <= interval.high:
        return UNCLEAR
    return BETTER if (interval.high < 0) == lower else WORSE
