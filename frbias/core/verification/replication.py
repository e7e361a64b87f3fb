"""A difference measured in several runs: its mean, an interval over runs and subjects, and many such tests at once.

Two things vary. Another draw of *subjects* would have given another difference in every run alike, and another *seed*
would have given another run. The two-level bootstrap draws both: subjects with replacement (the draws of
:mod:`frbias.core.verification.bootstrap`, the same in all runs, so that their mean stays paired), and for every such
draw the mean over runs anew. With the two to five runs that people can afford, drawing runs with replacement gives
intervals that are far too narrow (78 % instead of 95 % of them hold the truth for three runs that differ more than the
subjects do), so the second level is parametric: the mean plus Student's t with (runs - 1) degrees of freedom times the
standard error between runs, which is exact for normal runs. Intervals are on the safe side when both levels matter.

With one run there is nothing to learn about seeds; the interval is then over subjects alone, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.bootstrap import percentile_interval
from frbias.core.verification.measures.intervals import Interval

Float = npt.NDArray[np.float64]
LEAST_DRAWS = 10_000
CORRECTION = "Holm"


@dataclass(frozen=True)
class Replicated:
    """A quantity over several runs.

    Attributes:
        mean: Mean over the runs.
        spread: Standard deviation between them; None for one run.
        interval: Percentile interval of the two-level bootstrap.
        p: Two-sided bootstrap p-value of "it is 0"; None without an interval.
        runs: How many runs there are.
    """

    mean: float
    spread: float | None
    interval: Interval
    p: float | None
    runs: int


def two_level_draws(values: npt.ArrayLike, draws: npt.ArrayLike, *, seed: int = 0) -> Float:
    """Draws of the mean over runs, subjects and runs drawn anew in each.

    Args:
        values: The quantity in every run, shape (runs,).
        draws: The quantity in every run and subject draw, shape (runs, r); NaN where undefined.
        seed: Seed of the draws of runs.

    Returns:
        Shape (r * ceil(10,000 / r),); a subject draw that is undefined in a run is NaN.

    Raises:
        ValueError: The shapes do not go together.
    """
    measured, drawn = np.asarray(values, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if measured.ndim != 1 or drawn.ndim != 2 or len(drawn) != len(measured) or not len(measured):
        raise ValueError(f"expected runs and (runs, draws), got shapes {measured.shape} and {drawn.shape}")
    mean = drawn.mean(axis=0)
    if len(measured) == 1 or not len(mean):
        return mean
    repeats = -(-LEAST_DRAWS // len(mean))
    error = measured.std(ddof=1) / np.sqrt(len(measured))
    generator = np.random.Generator(np.random.PCG64(seed))
    shifts = generator.standard_t(len(measured) - 1, size=(repeats, len(mean)))
    return np.asarray((mean + error * shifts).ravel())


def replicated(
    values: npt.ArrayLike, draws: npt.ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> Replicated | None:
    """Pool a quantity over runs; None when it is undefined in one of them.

    Args:
        values: The quantity in every run, shape (runs,).
        draws: The same in every subject draw, shape (runs, r), r may be 0.
        confidence: Coverage of the interval.
        seed: Seed of the draws of runs.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = replicated([0.9, 1.0, 1.1], 1 + 0.1 * rng.normal(size=(3, 1000)))
        >>> round(found.mean, 3), found.interval.low < 1 < found.interval.high, found.p < 0.05
        (1.0, True, True)
    """
    measured = np.asarray(values, dtype=np.float64)
    if not np.isfinite(measured).all():
        return None
    drawn = two_level_draws(measured, draws, seed=seed)
    interval = percentile_interval(drawn, confidence=confidence)
    known = interval.low is not None
    spread = float(measured.std(ddof=1)) if len(measured) > 1 else None
    return Replicated(float(measured.mean()), spread, interval, p_of_zero(drawn) if known else None, len(measured))


def p_of_zero(draws: Float) -> float:
    """Two-sided p-value of "the mean is 0": twice the smaller share of draws at or beyond 0, never 0 itself.

    Example:
        >>> p_of_zero(np.arange(1.0, 1000.0))
        0.002
    """
    usable = draws[np.isfinite(draws)]
    smaller = min(int((usable <= 0).sum()), int((usable >= 0).sum()))
    return float(min(1.0, 2 * (smaller + 1) / (len(usable) + 1)))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjusted p-values of one family of tests; None stays None and is no member of the family.

    Rejecting those at most 0.05 keeps the chance of one false rejection or more below 5 %, whatever the tests have to do
    with each other (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    Example:
        >>> [round(v, 3) for v in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    known = sorted((value, place) for place, value in enumerate(p) if value is not None)
    found: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        found[place] = highest
    return found
