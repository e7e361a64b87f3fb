"""How many people a group needs: widths of intervals and visible changes, before anything is measured.

Comparisons that share a person hang together, so their number says little; people do. A rate p that is counted over
comparisons whose errors are correlated has the variance p (1 - p) / effective comparisons, with

- mated, n people with k images: m = k (k - 1) / 2 comparisons each, n m / (1 + (m - 1) a) effective ones;
- non-mated: N = n (n - 1) / 2 pairs of people with k^2 comparisons each, N k^2 / (1 + (k^2 - 1) b + 2 (n - 2) k^2 c),

where a, b and c are the correlations of the *errors* of two mated comparisons of a person, of two non-mated comparisons
of the same two people, and of two that share one person. They follow from correlations of the *scores* (Gaussian, two
cut at the same threshold), or from the design effects of an evaluation that has been made.

The threshold is taken as known; one set from the same comparisons makes intervals wider when groups are few. With
errors enough (about ten effective ones) widths agree with simulation within 15 %.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from frbias.core.verification.measures.fairness import garbe_values
from frbias.core.verification.measures.intervals import RULE_OF_THIRTY, wilson

Float = npt.NDArray[np.float64]
MOST_PEOPLE = 10_000_000
DRAWS = 2000
_NORMAL = NormalDist()


@dataclass(frozen=True)
class GroupPlan:
    """What is expected of a group.

    Attributes:
        name: Its name.
        fmr, fnmr: Rates at the threshold, 0..1, exclusive.
        images: Images of a person in the group, at least 2.
        mated: Correlation of the errors of two mated comparisons of a person, 0..1.
        pair: Of two non-mated comparisons of the same two people, 0..1.
        person: Of two non-mated comparisons that share one person, 0..0.5.
    """

    name: str
    fmr: float
    fnmr: float
    images: int
    mated: float
    pair: float
    person: float

    def effective_mated(self, people: float) -> float:
        """Independent mated comparisons that say as much as those of so many people."""
        each = self.images * (self.images - 1) / 2
        return people * each / (1 + (each - 1) * self.mated)

    def effective_non_mated(self, people: float) -> float:
        """Independent non-mated comparisons that say as much as those of so many people."""
        each, pairs = self.images**2, people * (people - 1) / 2
        return pairs * each / (1 + (each - 1) * self.pair + 2 * (people - 2) * each * self.person)

    def fnmr_half_width(self, people: float, confidence: float) -> float:
        """Half the width of the interval of the group's FNMR."""
        return _half_width(self.fnmr, self.effective_mated(people), confidence)

    def fmr_half_width(self, people: float, confidence: float) -> float:
        """Half the width of the interval of the group's FMR."""
        return _half_width(self.fmr, self.effective_non_mated(people), confidence)

    def visible_change(self, people: float, *, confidence: float, power: float, pairing: float) -> float:
        """Fall of FNMR that a paired comparison shows with this power, as a rate; the whole of it when none is.

        Args:
            people: People, the same for both recognisers.
            confidence: 1 - the error of the first kind, two-sided.
            power: Chance to see it.
            pairing: Correlation of the two recognisers' rates over people, 0..1.
        """
        trials = self.effective_mated(people)
        reach = _NORMAL.inv_cdf((1 + confidence) / 2) + _NORMAL.inv_cdf(power)

        def unseen(change: float) -> bool:
            one, two = self.fnmr, self.fnmr - change
            spread = [math.sqrt(p * (1 - p) / trials) for p in (one, two)]
            variance = spread[0] ** 2 + spread[1] ** 2 - 2 * pairing * spread[0] * spread[1]
            return change < reach * math.sqrt(variance)

        low, high = 0.0, self.fnmr
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if unseen(middle) else (low, middle)
        return high


def error_correlation(rate: float, scores: float) -> float:
    """Correlation of two errors of this rate whose Gaussian scores have this correlation.

    The bivariate normal distribution by Plackett's integral over the correlation.

    Example:
        >>> round(error_correlation(0.5, 0.5), 6)  # 2 asin(r) / pi
        0.333333
        >>> error_correlation(0.01, 0.0)
        0.0
    """
    z = _NORMAL.inv_cdf(rate)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    at = scores * (nodes + 1) / 2
    density = np.exp(-z * z / (1 + at)) / (2 * np.pi * np.sqrt(1 - at * at))
    return float(scores / 2 * (weights @ density) / (rate * (1 - rate)))


def planned_group(name: str, fmr: float, fnmr: float, images: int, *, mated: float, person: float) -> GroupPlan:
    """A group from correlations of scores.

    Args:
        name: Its name.
        fmr, fnmr: Rates at the threshold.
        images: Images of a person.
        mated: Correlation of the scores of two mated comparisons of a person, 0..1.
        person: Of two non-mated comparisons that share one person, 0..0.45; those that share both have twice that.
    """
    return GroupPlan(
        name,
        fmr,
        fnmr,
        images,
        error_correlation(fnmr, mated),
        error_correlation(fmr, 2 * person),
        error_correlation(fmr, person),
    )


def with_design_effects(group: GroupPlan, people: int, mated: float, non_mated: float) -> GroupPlan:
    """The group with correlations that give these design effects (variance over the binomial one) at so many people."""
    each, squared = group.images * (group.images - 1) / 2, group.images**2
    inner = (mated - 1) / (each - 1) if each > 1 else 0.0
    # sharing both people weighs twice what sharing one does: (k^2 - 1) 2 c + 2 (n - 2) k^2 c = effect - 1
    shared = (non_mated - 1) / (2 * (squared - 1) + 2 * max(people - 2, 0) * squared)
    return replace(
        group, mated=min(max(inner, 0.0), 1.0), pair=min(max(2 * shared, 0.0), 1.0), person=min(max(shared, 0.0), 0.5)
    )


def garbe_range(
    groups: tuple[GroupPlan, ...], people: float, *, alpha: float, confidence: float, seed: int = 0
) -> tuple[float, float]:
    """The central range of the GARBE that will be measured with so many people in every group.

    Args:
        groups: What is expected of them.
        people: People in each.
        alpha: Weight of FMR.
        confidence: Share of the measurements inside.
        seed: Of the simulated measurements, the same for every number of people.
    """
    from scipy.special import betaincinv

    levels = np.random.Generator(np.random.PCG64([seed, 17])).random((2, DRAWS, len(groups)))
    drawn = []
    for kind, level in zip(("fmr", "fnmr"), levels, strict=True):
        rate = np.array([getattr(g, kind) for g in groups])
        trials = np.array(
            [getattr(g, "effective_non_mated" if kind == "fmr" else "effective_mated")(people) for g in groups]
        )
        size = np.maximum(trials - 1, 1e-3)
        drawn.append(np.asarray(betaincinv(rate * size, (1 - rate) * size, level)))
    found = garbe_values(drawn[0], drawn[1], alpha=alpha)
    low, high = np.nanquantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def people_for(enough: Callable[[int], bool], *, least: int = 3) -> int | None:
    """The smallest number of people that is enough (more always are, too); None when ten million are not.

    Example:
        >>> people_for(lambda n: n * n > 5000)
        71
    """
    high = least
    while not enough(high):
        if high >= MOST_PEOPLE:
            return None
        high = min(2 * high, MOST_PEOPLE)
    low = least if high == least else high // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def thirty_false_matches(group: GroupPlan, people: int) -> bool:
    """Whether 30 false matches are expected within the group (the rule of 30)."""
    return group.fmr * people * (people - 1) / 2 * group.images**2 >= RULE_OF_THIRTY


def _half_width(rate: float, trials: float, confidence: float) -> float:
    if trials < 1:
        return 1.0
    low, high = wilson(rate * trials, trials, confidence=confidence)
    return (high - low) / 2
