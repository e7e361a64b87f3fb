"""Groups of samples: age groups, groups by any other column, their crossings, and named protocols.

Age bounds are inclusive whole years: ``0-12`` holds every age with 0 <= age < 13, ``60+`` every age from 60.
A sample belongs to at most one group; samples in none are counted and reported.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import suggestion

Codes = npt.NDArray[np.int64]

NO_GROUP = -1
DEFAULT_GROUPS = "0-12,13-19,20-39,40-59,60+"
RULE = "inclusive whole years: a-b holds a <= age < b + 1"
ALL = "all"
NO_AGES = "no image has an age, so all of them are evaluated together, as one group"
_PATTERN = re.compile(r"(\d{1,3})(?:\s*-\s*(\d{1,3})|(\+))")


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """Ages from ``low`` to ``high`` whole years, both included (``high`` None: no upper bound)."""

    low: int
    high: int | None

    @property
    def name(self) -> str:
        """``20-39`` or ``60+``."""
        return f"{self.low}+" if self.high is None else f"{self.low}-{self.high}"

    def holds(self, ages: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """True for every age (years, NaN unknown) inside the group."""
        upper = np.inf if self.high is None else self.high + 1
        with np.errstate(invalid="ignore"):
            return np.asarray((ages >= self.low) & (ages < upper), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class DistributionClass:
    """A kind of comparison whose score distribution is shown: mated or not, one sample of each age group."""

    name: str
    mated: bool
    first: AgeGroup
    second: AgeGroup


@dataclass(frozen=True, slots=True)
class Protocol:
    """A named choice of age groups.

    Attributes:
        name: Name given to ``--protocol``.
        groups: Age groups whose rates are compared.
        distributions: Further kinds of comparison whose score distributions are reported.
        note: What the protocol is.
    """

    name: str
    groups: tuple[AgeGroup, ...]
    distributions: tuple[DistributionClass, ...]
    note: str


@dataclass(frozen=True)
class Grouping:
    """Which group every sample is in.

    Attributes:
        names: Group names in order.
        codes: Position in ``names`` per sample, -1 for none, shape (n,).
        by: What the groups are of (``age``, ``sex``, ``age x sex``).
        rule: How the bounds are meant.
        gaps: Ages between groups that no group holds, as text.
        protocol: Name of the protocol, or None.
        note: Why there are no groups although some were asked for, or None.
    """

    names: tuple[str, ...]
    codes: Codes
    by: str
    rule: str
    gaps: tuple[str, ...] = ()
    protocol: str | None = None
    note: str | None = None

    @property
    def ungrouped(self) -> int:
        """Number of samples in no group."""
        return int((self.codes == NO_GROUP).sum())


def parse_age_groups(text: str) -> tuple[AgeGroup, ...]:
    """Parse ``0-12,13-19,20-39,40-59,60+``.

    Raises:
        UsageError: A part cannot be read, is upside down, or two groups overlap.

    Example:
        >>> [g.name for g in parse_age_groups("0-12, 13-19, 60+")]
        ['0-12', '13-19', '60+']
    """
    groups = []
    for part in (p.strip() for p in text.split(",") if p.strip()):
        match = _PATTERN.fullmatch(part)
        if match is None:
            raise UsageError(f"Age group {part!r} cannot be read; write e.g. {DEFAULT_GROUPS} (bounds included).")
        low, high = int(match[1]), None if match[3] else int(match[2])
        if high is not None and high < low:
            raise UsageError(f"Age group {part!r} is upside down; write the smaller age first.")
        groups.append(AgeGroup(low, high))
    if not groups:
        raise UsageError(f"No age group was given; write e.g. {DEFAULT_GROUPS}.")
    groups.sort(key=lambda g: g.low)
    for first, second in pairwise(groups):
        if first.high is None or first.high >= second.low:
            raise UsageError(
                f"Age groups {first.name} and {second.name} overlap (bounds are included); a sample is in one group only."
            )
    return tuple(groups)


def gaps_between(groups: Sequence[AgeGroup]) -> tuple[str, ...]:
    """Ages below, between and above the groups that none of them holds.

    Example:
        >>> gaps_between(parse_age_groups("5-20,45-70"))
        ('0-4', '21-44', '71+')
    """
    found = [AgeGroup(0, groups[0].low - 1).name] if groups[0].low > 0 else []
    for first, second in pairwise(groups):
        if first.high is not None and first.high + 1 < second.low:
            found.append(AgeGroup(first.high + 1, second.low - 1).name)
    last = groups[-1].high
    return (*found, *([AgeGroup(last + 1, None).name] if last is not None else []))


def group_by_age(ages: npt.ArrayLike, groups: Sequence[AgeGroup] | str) -> Grouping:
    """Put every sample into its age group.

    Args:
        ages: Years, shape (n,), NaN unknown.
        groups: Age groups, or text for :func:`parse_age_groups`.

    Example:
        >>> group_by_age([3, 12.9, 13, 44], "0-12,13-19").codes.tolist()
        [0, 0, 1, -1]
    """
    chosen = parse_age_groups(groups) if isinstance(groups, str) else tuple(groups)
    years = np.asarray(ages, dtype=np.float64)
    codes = np.full(years.shape, NO_GROUP, dtype=np.int64)
    for position, group in enumerate(chosen):
        codes[group.holds(years)] = position
    return Grouping(tuple(g.name for g in chosen), codes, "age", RULE, gaps_between(chosen))


def group_all(count: int, note: str | None = None) -> Grouping:
    """One group that holds every sample (or comparison).

    Args:
        count: Number of samples.
        note: Why there are no other groups.

    Example:
        >>> group_all(2).names, group_all(2).codes.tolist()
        (('all',), [0, 0])
    """
    return Grouping((ALL,), np.zeros(count, dtype=np.int64), "nothing", "every comparison", note=note)


def group_by_value(values: Sequence[Any] | npt.NDArray[Any], by: str) -> Grouping:
    """Put every sample into the group of its value; empty, None and NaN mean no group.

    Example:
        >>> group_by_value(["m", "f", "", "m"], "sex").codes.tolist()
        [1, 0, -1, 1]
    """
    texts = ["" if v is None or v != v else str(v).strip() for v in values]
    names = tuple(sorted({t for t in texts if t}))
    if not names:
        raise UsageError(f"No sample has a value of {by!r}, so there is nothing to group by.")
    position = {name: k for k, name in enumerate(names)}
    codes = np.array([position.get(t, NO_GROUP) for t in texts], dtype=np.int64)
    return Grouping(names, codes, by, "equal values")


def cross(first: Grouping, second: Grouping) -> Grouping:
    """Groups of every combination that occurs, e.g. ``0-12 x f``.

    Example:
        >>> cross(group_by_value("aab", "x"), group_by_value("pqq", "y")).names
        ('a x p', 'a x q', 'b x q')
    """
    both = (first.codes >= 0) & (second.codes >= 0)
    width = len(second.names)
    combined = np.where(both, first.codes * width + second.codes, NO_GROUP)
    present = np.unique(combined[both])
    if not present.size:
        raise UsageError(f"No sample has both {first.by} and {second.by}.")
    names = tuple(f"{first.names[c // width]} x {second.names[c % width]}" for c in present)
    codes = np.where(both, np.searchsorted(present, combined), NO_GROUP).astype(np.int64)
    rule = first.rule if first.rule == second.rule else f"{first.by}: {first.rule}; {second.by}: {second.rule}"
    return Grouping(names, codes, f"{first.by} x {second.by}", rule, (*first.gaps, *second.gaps), first.protocol)


def age_groups_of(text: str) -> list[tuple[AgeGroup, ...] | None]:
    """The parts of ``--groups``: age groups, or None for a column.

    Raises:
        UsageError: Age groups cannot be read.

    Example:
        >>> age_groups_of("0-19,20+ x sex")
        [(AgeGroup(low=0, high=19), AgeGroup(low=20, high=None)), None]
    """
    named = [DEFAULT_GROUPS if part == "age" else part for part in _parts(text)]
    return [parse_age_groups(part) if part[:1].isdigit() else None for part in named]


def columns_of(text: str) -> tuple[str, ...]:
    """Columns beside ``age`` that ``--groups`` asks for.

    Example:
        >>> columns_of("age x sex")
        ('sex',)
    """
    return tuple(part for part in _parts(text) if part != "age" and not part[:1].isdigit())


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\s+x\s+", text.strip())]


def grouping_named(text: str, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> Grouping:
    """Groups as given to ``--groups``: age groups, a column, or crossings joined by `` x ``.

    Where age groups are asked for and no age is known, all samples are one group, with a note that says so.

    Args:
        text: ``0-12,13-19,20+``, ``age`` (the default age groups), ``sex``, or ``0-19,20+ x sex``.
        columns: Values per sample; ``age`` in years.

    Raises:
        UsageError: A column is unknown or empty, or age groups cannot be read.

    Example:
        >>> grouping_named("0-19,20+ x sex", {"age": [5, 30], "sex": ["f", "m"]}).names
        ('0-19 x f', '20+ x m')
    """
    found: Grouping | None = None
    for part in _parts(text):
        if part == "age" or part[:1].isdigit():
            ages = np.asarray(columns.get("age", ()), dtype=np.float64)
            if not ages.size:
                raise UsageError(f"--groups {part!r} needs ages, and the samples have none.")
            if not np.isfinite(ages).any():
                if len(_parts(text)) == 1:
                    return group_all(len(ages), NO_AGES)
                raise UsageError(f"--groups {text!r} needs ages, and no image has an age.")
            one = group_by_age(ages, DEFAULT_GROUPS if part == "age" else part)
        elif part in columns:
            one = group_by_value(columns[part], part)
        else:
            raise UsageError(
                f"--groups {part!r} is no column of the samples; there are {', '.join(columns) or 'none'}, "
                f"or write age groups such as {DEFAULT_GROUPS}."
            )
        found = one if found is None else cross(found, one)
    assert found is not None
    return found


def protocol_named(name: str) -> Protocol:
    """A named protocol.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PROTOCOLS:
        listed = ", ".join(PROTOCOLS)
        raise UsageError(f"--protocol {name!r} is unknown; use {listed}{suggestion(name, PROTOCOLS, end='.')}")
    return PROTOCOLS[name]


def group_by_protocol(ages: npt.ArrayLike, name: str) -> Grouping:
    """Put every sample into the age group of a named protocol.

    Raises:
        UsageError: There is none of that name, or no age is known.

    Example:
        >>> group_by_protocol([7, 30, 50], "thesis").codes.tolist()
        [0, -1, 1]
    """
    found = group_by_age(ages, protocol_named(name).groups)
    if not np.isfinite(np.asarray(ages, dtype=np.float64)).any():
        raise UsageError(
            f"--protocol {name} needs ages, and no image has an age; leave it out to evaluate all together."
        )
    return Grouping(found.names, found.codes, found.by, found.rule, found.gaps, name)


_AGES_20_30, _AGES_50_70 = AgeGroup(20, 30), AgeGroup(50, 70)
PROTOCOLS: dict[str, Protocol] = {
    "thesis": Protocol(
        "thesis",
        (AgeGroup(5, 20), AgeGroup(45, 70)),
        (
            DistributionClass("mated young 10-15", True, AgeGroup(10, 15), AgeGroup(10, 15)),
            DistributionClass("mated middle 20-40", True, AgeGroup(20, 40), AgeGroup(20, 40)),
            DistributionClass("mated old 45-65", True, AgeGroup(45, 65), AgeGroup(45, 65)),
            DistributionClass("mated 20-30 vs 50-70", True, _AGES_20_30, _AGES_50_70),
            DistributionClass("non-mated 20-30", False, _AGES_20_30, _AGES_20_30),
        ),
        "young 5-20 against old 45-70, the groups of the thesis, with one global threshold",
    ),
    "decades": Protocol(
        "decades", tuple(AgeGroup(10 * k, 10 * k + 9) for k in range(7)), (), "seven decades, 0-9 to 60-69"
    ),
    "fgnet4": Protocol(
        "fgnet4",
        (AgeGroup(0, 9), AgeGroup(10, 19), AgeGroup(20, 39), AgeGroup(40, 69)),
        (),
        "four groups with enough FG-NET images each: 0-9, 10-19, 20-39, 40-69",
    ),
}
