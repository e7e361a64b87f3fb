"""How many people a group needs, from expectations or from an evaluation made before: behind ``frbias plan``."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from frbias.core.foundation.errors import BadInputError
from frbias.core.reporting.documents import typed_evaluation
from frbias.core.stages.requests.plan import PlanRequest
from frbias.core.verification.counted import GroupAtTarget, Rate
from frbias.core.verification.groups import DEFAULT_GROUPS, parse_age_groups
from frbias.core.verification.results import Evaluation
from frbias.core.verification.sizing import (
    GroupPlan,
    garbe_range,
    people_for,
    planned_group,
    thirty_false_matches,
    with_design_effects,
)


@dataclass(frozen=True)
class Needs:
    """What a group needs, or gives.

    Attributes:
        group: What is expected of it.
        people: By quantity (``fnmr``, ``fmr``, ``change``, ``thirty_false_matches``), the people that are needed;
            None: more than ten million.
        widths: With a number of people given: half-widths of ``fnmr`` and ``fmr``, and the smallest visible ``change``.
    """

    group: GroupPlan
    people: dict[str, int | None]
    widths: dict[str, float]


@dataclass(frozen=True)
class SizePlan:
    """Answer to a :class:`PlanRequest`.

    Attributes:
        groups: Every group.
        garbe_people: People in every group that GARBE needs; None with a number given, or when ten million are too few.
        garbe: Range of the GARBE that would be measured, with the people given or needed.
        notes: What was assumed.
    """

    groups: tuple[Needs, ...]
    garbe_people: int | None
    garbe: tuple[float, float] | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "groups": [
                {
                    "name": one.group.name,
                    "fmr": one.group.fmr,
                    "fnmr": one.group.fnmr,
                    "images_per_person": one.group.images,
                    "error_correlations": {
                        "mated": one.group.mated,
                        "pair": one.group.pair,
                        "person": one.group.person,
                    },
                    "people": one.people,
                    "half_widths": one.widths,
                }
                for one in self.groups
            ],
            "garbe": {"people_per_group": self.garbe_people, "range": None if self.garbe is None else list(self.garbe)},
            "notes": list(self.notes),
        }


def plan_sizes(request: PlanRequest) -> SizePlan:
    """How many people every group needs (or what the people given would show).

    Raises:
        BadInputError: ``like`` is no evaluation, or has no group with both kinds of error rates between 0 and 1.

    Example:
        >>> found = plan_sizes(PlanRequest(groups="0-19,20+", fmr=0.01, fnmr=(0.1,)))
        >>> [one.people["fnmr"] for one in found.groups]
        [301, 301]
    """
    groups, notes = _expected(request) if request.like is None else _measured(request)
    if request.people is not None:
        found = garbe_range(
            groups, request.people, alpha=request.alpha, confidence=request.confidence, seed=request.seed
        )
        return SizePlan(tuple(Needs(g, {}, _widths(g, request)) for g in groups), None, found, notes)
    needs = tuple(Needs(group, _people(group, request), {}) for group in groups)

    def spread(people: int) -> tuple[float, float]:
        return garbe_range(groups, people, alpha=request.alpha, confidence=request.confidence, seed=request.seed)

    people = people_for(lambda n: spread(n)[1] - spread(n)[0] <= 2 * request.garbe_within)
    return SizePlan(needs, people, None if people is None else spread(people), notes)


def _people(group: GroupPlan, wanted: PlanRequest) -> dict[str, int | None]:
    confidence = wanted.confidence
    return {
        "fnmr": people_for(lambda n: group.fnmr_half_width(n, confidence) <= wanted.fnmr_within),
        "fmr": people_for(lambda n: group.fmr_half_width(n, confidence) <= wanted.fmr_within * group.fmr),
        "change": people_for(lambda n: _visible(group, n, wanted) <= wanted.change)
        if wanted.change < group.fnmr
        else None,
        "thirty_false_matches": people_for(lambda n: thirty_false_matches(group, n)),
    }


def _widths(group: GroupPlan, wanted: PlanRequest) -> dict[str, float]:
    people = wanted.people or 0
    return {
        "fnmr": group.fnmr_half_width(people, wanted.confidence),
        "fmr": group.fmr_half_width(people, wanted.confidence),
        "change": _visible(group, people, wanted),
    }


def _visible(group: GroupPlan, people: int, wanted: PlanRequest) -> float:
    return group.visible_change(people, confidence=wanted.confidence, power=wanted.power, pairing=wanted.pairing)


def _expected(request: PlanRequest) -> tuple[tuple[GroupPlan, ...], tuple[str, ...]]:
    names = [group.name for group in parse_age_groups(request.groups or DEFAULT_GROUPS)]
    rates = request.fnmr * len(names) if len(request.fnmr) == 1 else request.fnmr
    mated, person = request.mated_correlation, request.person_correlation
    groups = tuple(
        planned_group(name, request.fmr, rate, request.images, mated=mated, person=person)
        for name, rate in zip(names, rates, strict=True)
    )
    return groups, (
        f"Scores of one person's mated comparisons are assumed to correlate by {mated:g}, of non-mated comparisons that "
        f"share a person by {person:g}; --like takes both from an evaluation.",
        "The FMR of every group is assumed to be the target.",
    )


def _measured(request: PlanRequest) -> tuple[tuple[GroupPlan, ...], tuple[str, ...]]:
    assert request.like is not None
    found = typed_evaluation(request.like)
    at = min(found.targets, key=lambda one: abs(one.target - request.fmr))
    facts = {group.name: group for group in found.groups.evaluated}
    groups, notes = [], [f"Rates and correlations are those of {found.name} at FMR {at.target:g}."]
    for one in at.groups:
        subjects, samples = facts[one.name].subjects, facts[one.name].samples
        if not subjects or not samples or not (0 < one.fmr.value < 1 and 0 < one.fnmr.value < 1):
            notes.append(f"{one.name} is left out: without an error of either kind, or without known people.")
            continue
        images = max(2, round(samples / subjects))
        plain = planned_group(
            one.name, one.fmr.value, one.fnmr.value, images,
            mated=request.mated_correlation, person=request.person_correlation,
        )  # fmt: skip
        groups.append(_with_effects(plain, one, subjects, found, notes))
    if not groups:
        raise BadInputError(
            f"{request.like} has no group with false matches and false non-matches; choose another --fmr."
        )
    return tuple(groups), tuple(notes)


def _with_effects(
    plain: GroupPlan, measured: GroupAtTarget, subjects: int, found: Evaluation, notes: list[str]
) -> GroupPlan:
    effects = [_design_effect(rate, found.confidence) for rate in (measured.fnmr, measured.fmr)]
    if None in effects:
        notes.append(f"{plain.name} has no bootstrap interval, so its correlations are assumed.")
        return plain
    return with_design_effects(plain, subjects, effects[0] or 1.0, effects[1] or 1.0)


def _design_effect(rate: Rate, confidence: float) -> float | None:
    """Variance over the bootstrap's replicates, from its interval, over the binomial one; at least 1."""
    drawn = rate.bootstrap
    if drawn is None or drawn.low is None or drawn.high is None:
        return None
    spread = (drawn.high - drawn.low) / (2 * NormalDist().inv_cdf((1 + confidence) / 2))
    return max(1.0, spread**2 * rate.trials / (rate.value * (1 - rate.value)))
