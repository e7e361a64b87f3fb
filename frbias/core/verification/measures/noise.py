"""How large the fairness measures get by chance alone when all groups are truly equal.

Under equality every group has the pooled rate; its errors are binomial. Few comparisons in one group are enough
for a large Gini by chance, so a measure means something only above its floor.

``independent`` treats all comparisons as independent and is optimistic; ``clustered`` divides every group's number
of comparisons by its design effect (variance over subject bootstrap replicates relative to the binomial one), which
accounts for comparisons that share subjects.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.verification.measures.table import GroupRates, all_values, names_shown
from frbias.core.verification.records import Record, member

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Floor(Record):
    """Distribution of one measure under equality.

    Attributes:
        median, p95: Median and 95th percentile over the draws in which it is defined; None when there are none.
        undefined: Share of draws in which the measure is undefined (no error in any group).
    """

    median: float | None
    p95: float | None
    undefined: float = member("undefined_share")


@dataclass(frozen=True, slots=True)
class NoiseFloor(Record):
    """Floors of the measures that are shown with one.

    Attributes:
        kind: ``independent`` or ``clustered``.
        draws: Simulated sets.
        floors: By measure.
    """

    kind: str
    draws: int
    floors: dict[str, Floor] = member(names=lambda: names_shown("curve"))


def noise_floor(
    non_mated: npt.ArrayLike,
    mated: npt.ArrayLike,
    *,
    fmr: float,
    fnmr: float,
    alpha: float = 0.5,
    draws: int = DRAWS,
    seed: int = 0,
    kind: str = "independent",
) -> NoiseFloor:
    """Simulate equal groups.

    Args:
        non_mated, mated: (Effective) comparisons per group, shape (groups,).
        fmr, fnmr: The rates that all groups share.
        alpha: Weight of FMR in GARBE.
        draws: Simulated sets.
        seed: Seed.
        kind: Name of the floor.

    Example:
        >>> floor = noise_floor([251695, 2346], [900, 90], fmr=1e-3, fnmr=0.1, seed=1)
        >>> floor.floors["gini_fmr"].p95
        1.0
    """
    generator = np.random.Generator(np.random.PCG64([seed, 11]))
    whole = [np.maximum(np.rint(np.asarray(n)), 1).astype(np.int64) for n in (non_mated, mated)]
    false_match, false_non_match = (
        _rates(generator, trials, rate, draws) for trials, rate in zip(whole, (fmr, fnmr), strict=True)
    )
    rates = GroupRates(false_match, false_non_match, alpha, None, *whole)
    values = all_values(rates, names_shown("curve"))
    return NoiseFloor(kind, draws, {name: _floor(found) for name, found in values.items()})


def _rates(generator: np.random.Generator, trials: Int64, rate: float, draws: int) -> Float:
    return np.asarray(generator.binomial(trials, min(max(rate, 0.0), 1.0), size=(draws, len(trials))) / trials)


def _floor(values: Float) -> Floor:
    defined = values[np.isfinite(values)]
    undefined = 1 - len(defined) / len(values)
    if not len(defined):
        return Floor(None, None, undefined)
    median, p95 = np.quantile(defined, [0.5, 0.95])
    return Floor(float(median), float(p95), undefined)
