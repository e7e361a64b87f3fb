"""How large the fairness measures get by chance alone when all groups are truly equal.

Under equality every group has the pooled rate; its errors are binomial. Few comparisons in one group are enough
for a large Gini by chance, so a measure means something only above its floor.

``independent`` treats all comparisons as independent and is optimistic; ``clustered`` divides every group's number
of comparisons by its design effect (variance over subject bootstrap replicates relative to the binomial one), which
accounts for comparisons that share subjects.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.measures.fairness import garbe_values, gini_values

Float = npt.NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Floor:
    """Distribution of one measure under equality.

    Attributes:
        median, p95: Median and 95th percentile over the draws in which it is defined; None when there are none.
        undefined: Share of draws in which the measure is undefined (no error in any group).
    """

    median: float | None
    p95: float | None
    undefined: float

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {"median": self.median, "p95": self.p95, "undefined_share": self.undefined}


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """Floors of the Gini coefficients and of GARBE.

    Attributes:
        kind: ``independent`` or ``clustered``.
        draws: Simulated sets.
        gini_fmr, gini_fnmr, garbe: Floors.
    """

    kind: str
    draws: int
    gini_fmr: Floor
    gini_fnmr: Floor
    garbe: Floor

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "kind": self.kind,
            "draws": self.draws,
            "gini_fmr": self.gini_fmr.to_json(),
            "gini_fnmr": self.gini_fnmr.to_json(),
            "garbe": self.garbe.to_json(),
        }


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
        >>> floor.gini_fmr.p95
        1.0
    """
    generator = np.random.Generator(np.random.PCG64([seed, 11]))
    false_match = _rates(generator, np.asarray(non_mated), fmr, draws)
    false_non_match = _rates(generator, np.asarray(mated), fnmr, draws)
    return NoiseFloor(
        kind,
        draws,
        _floor(gini_values(false_match)),
        _floor(gini_values(false_non_match)),
        _floor(garbe_values(false_match, false_non_match, alpha=alpha)),
    )


def _rates(generator: np.random.Generator, trials: npt.NDArray[Any], rate: float, draws: int) -> Float:
    whole = np.maximum(np.rint(trials), 1).astype(np.int64)
    return np.asarray(generator.binomial(whole, min(max(rate, 0.0), 1.0), size=(draws, len(whole))) / whole)


def _floor(values: Float) -> Floor:
    defined = values[np.isfinite(values)]
    undefined = 1 - len(defined) / len(values)
    if not len(defined):
        return Floor(None, None, undefined)
    median, p95 = np.quantile(defined, [0.5, 0.95])
    return Floor(float(median), float(p95), undefined)
