"""The verdict on a comparison: is the other recogniser fairer, and at whose cost?

A ratio of error rates also shrinks when everybody is served worse, so fairness is judged together with accuracy and
with each group by itself. ``docs/evaluation.md`` has the outcomes as a table; the order of the rules is that of
:func:`_decide`. "Clearly" always means that the paired interval of a difference excludes 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from frbias.core.verification.differences import (
    BETTER,
    NO_INTERVAL,
    WORSE,
    Difference,
    Judgement,
    PairedAtTarget,
)
from frbias.core.verification.headline import enough_errors
from frbias.core.verification.measures.table import is_rate, label_of
from frbias.core.verification.records import Record
from frbias.core.verification.results import Evaluation

Outcome = Literal[
    "fairer",
    "fairer_at_a_price",
    "levelling_down",
    "less_fair",
    "better_for_all",
    "better_at_a_price",
    "worse_for_all",
    "no_clear_change",
    "undecided",
]
OUTCOMES: tuple[Outcome, ...] = (
    "fairer", "fairer_at_a_price", "levelling_down", "less_fair",
    "better_for_all", "better_at_a_price", "worse_for_all", "no_clear_change", "undecided",
)  # fmt: skip
JUDGED = ("garbe", "fdr", "fdr_range_fnmr", "fdr_range_fmr", "fnmr_worst", "fnmr", "eer", "d_prime")
_RATIOS = ("garbe", "gini_fnmr")
_GAPS = ("fdr", "fdr_range_fnmr")
_ACCURACIES = ("fnmr", "fnmr_worst", "eer", "d_prime")
# A fall of GARBE by this share of its value is one that a reader takes for an improvement, whatever its interval.
VISIBLE_FALL = 0.1


@dataclass(frozen=True)
class Number(Record):
    """One number that a verdict rests on.

    Attributes:
        name: Measure, accuracy, or ``fmr`` / ``fnmr`` of a group.
        label: In words.
        group: Name of the group, None for all groups together.
        is_rate: Whether the difference is in percentage points.
        baseline, other, difference: Values.
        low, high: Paired interval of the difference.
        direction: Which way is better.
        judgement: ``better``, ``worse``, ``no clear difference`` or ``no interval``.
    """

    name: str
    label: str
    group: str | None
    is_rate: bool
    baseline: float | None
    other: float | None
    difference: float | None
    low: float | None
    high: float | None
    direction: str
    judgement: Judgement


@dataclass(frozen=True)
class Verdict(Record):
    """The verdict at one target FMR.

    Attributes:
        target: Target FMR.
        outcome: One of :data:`OUTCOMES`.
        sentence: The outcome in one sentence, without numbers.
        reasons: What it rests on, clauses without numbers.
        numbers: The numbers behind them.
    """

    target: float
    outcome: Outcome
    sentence: str
    reasons: tuple[str, ...]
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class _Case:
    """What the rules look at."""

    baseline: str
    other: str
    found: Mapping[str, Difference]
    groups: Mapping[str, Difference]
    worse_groups: tuple[str, ...]
    overloaded_groups: tuple[str, ...]
    enough: bool

    def clearly(self, judgement: Judgement, *names: str) -> list[str]:
        return [name for name in names if self.found[name].verdict == judgement]

    @property
    def served_worse(self) -> bool:
        """Everybody is missed more often: clearly so together, and no group less often than before."""
        return self.found["fnmr"].verdict == WORSE and all((d.value or 0) >= 0 for d in self.groups.values())

    @property
    def served_better(self) -> bool:
        """Everybody is missed less often: clearly so together, and no group more often than before."""
        return self.found["fnmr"].verdict == BETTER and all((d.value or 0) <= 0 for d in self.groups.values())

    @property
    def ratio_shrank(self) -> bool:
        """A ratio looks better: clearly so, or GARBE by a tenth of its value."""
        garbe = self.found["garbe"]
        fell = bool(garbe.baseline) and (garbe.value or 0.0) <= -VISIBLE_FALL * (garbe.baseline or 0.0)
        return fell or bool(self.clearly(BETTER, *_RATIOS))

    @property
    def price(self) -> list[str]:
        """What is clearly worse, in words."""
        names = self.clearly(WORSE, *_ACCURACIES, *_GAPS)
        found = [label_of(n) for n in names]
        found += [f"FNMR of {g}" for g in self.worse_groups]
        return found + [f"FMR of {g} (above the target)" for g in self.overloaded_groups]


def judge(baseline: Evaluation, other: Evaluation, overall: Mapping[str, Difference], at: PairedAtTarget) -> Verdict:
    """Judge fairness together with accuracy at one target FMR.

    Args:
        baseline, other: The two evaluations; their names and counts of errors are used.
        overall: Differences of ``eer`` and ``d_prime``.
        at: Differences at the target.

    A group is worse when its FNMR clearly is, or when its FMR clearly is and lies above the target: at one pooled FMR
    some group has to take over what another is relieved of.
    """
    found = {**at.differences, **overall}
    case = _Case(
        baseline.name,
        other.name,
        found,
        {g.name: g.fnmr for g in at.groups},
        tuple(g.name for g in at.groups if g.fnmr.verdict == WORSE),
        tuple(g.name for g in at.groups if g.fmr.verdict == WORSE and (g.fmr.other or 0) > at.target),
        all(enough_errors(e.at(at.target)) for e in (baseline, other)),
    )
    outcome, sentence = _decide(case)
    return Verdict(at.target, outcome, sentence, tuple(_reasons(case)), tuple(_numbers(found, at)))


def _decide(case: _Case) -> tuple[Outcome, str]:
    one, two = case.baseline, case.other
    if case.found["fnmr"].verdict == NO_INTERVAL:
        return "undecided", f"Undecided: without intervals nothing can be said about {two} and {one}."
    if not case.enough:
        return "undecided", f"Undecided: too few errors were made to compare the fairness of {two} and {one}."
    if case.served_worse and case.ratio_shrank:
        missed = _missed(case, "more", "less")
        return "levelling_down", f"Levelling down: with {two} the ratio shrank because {missed} than with {one}."
    fairness = case.found["garbe"].verdict
    if fairness == BETTER:
        if case.price:
            return "fairer_at_a_price", f"{two} is fairer than {one}, at a price: {_joined(case.price)} got worse."
        return "fairer", f"{two} is fairer than {one}, and no group is worse."
    return _decide_without_garbe(case, fairness)


def _decide_without_garbe(case: _Case, fairness: Judgement) -> tuple[Outcome, str]:
    one, two = case.baseline, case.other
    wider = bool(case.clearly(WORSE, *_GAPS))
    if case.served_better and not wider and not case.worse_groups:
        change = "fairness shows no clear change"
        if fairness == WORSE:
            change = "the ratio grew because the others gained even more"
        missed = _missed(case, "less", "more")
        if case.overloaded_groups:
            return (
                "better_at_a_price",
                f"With {two} {missed} than with {one}, but {_joined(case.price)} got worse; {change}.",
            )
        return "better_for_all", f"{two} is better than {one} for all: {missed}; {change}."
    though = f", though {_missed(case, 'less', 'more')}" if case.served_better else ""
    if fairness == WORSE:
        return "less_fair", f"{two} is less fair than {one}{though}."
    if case.served_worse:
        missed = _missed(case, "more", "less")
        return "worse_for_all", f"With {two} {missed} than with {one}; fairness shows no clear change."
    if wider:
        return "less_fair", f"{two} is less fair than {one}: the gap between the groups is wider{though}."
    if fairness == NO_INTERVAL:
        return "undecided", f"Undecided: GARBE of {two} and {one} cannot be compared, it is undefined too often."
    if case.clearly(BETTER, *_GAPS) and not case.price:
        return "fairer", f"{two} is fairer than {one} (the gap between the groups is narrower), and no group is worse."
    return "no_clear_change", f"No clear change in fairness between {two} and {one}{_accuracy(case)}."


def _accuracy(case: _Case) -> str:
    """What else changed, a clause; empty when nothing clearly did."""
    better = [label_of(name) for name in case.clearly(BETTER, *_ACCURACIES)]
    if case.price:
        return f", but {_joined(case.price)} got worse with {case.other}"
    return f"; {_joined(better)} got better with {case.other}" if better else ""


def _missed(case: _Case, more: str, less: str) -> str:
    """How the groups are missed in comparison, a clause that is true of every one of them."""
    if all(d.value for d in case.groups.values()):
        return f"every group is missed {more} often"
    return f"no group is missed {less} often and all together are missed {more} often"


def _reasons(case: _Case) -> Iterator[str]:
    words = {BETTER: "clearly better", WORSE: "clearly worse"}
    for name in ("garbe", "gini_fnmr", *_GAPS, *_ACCURACIES):
        judgement = case.found[name].verdict
        if judgement in words:
            yield f"{label_of(name)} is {words[judgement]}"
    if case.served_worse:
        if case.ratio_shrank and not case.clearly(BETTER, *_RATIOS):
            yield f"{label_of('garbe')} fell, and its interval holds 0"
        yield "every group is missed more often or as often as before"
    if case.served_better:
        yield "every group is missed less often or as often as before"
    for group in case.worse_groups:
        yield f"FNMR of {group} is clearly worse"
    for group in case.overloaded_groups:
        yield f"FMR of {group} is clearly worse and above the target"
    if not case.enough:
        yield "a recogniser makes fewer than thirty errors of a kind"


def _numbers(found: Mapping[str, Difference], at: PairedAtTarget) -> Iterator[Number]:
    for name in JUDGED:
        yield _number(name, label_of(name), None, is_rate(name), found[name])
    for group in at.groups:
        yield _number("fnmr", f"FNMR, {group.name}", group.name, True, group.fnmr)
    for group in at.groups:
        yield _number("fmr", f"FMR, {group.name}", group.name, True, group.fmr)


def _number(name: str, label: str, group: str | None, rate: bool, change: Difference) -> Number:
    band = change.interval
    low, high = (None, None) if band is None else (band.low, band.high)
    return Number(
        name,
        label,
        group,
        rate,
        change.baseline,
        change.other,
        change.value,
        low,
        high,
        change.direction,
        change.verdict,
    )


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
