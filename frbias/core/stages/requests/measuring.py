"""What to measure: the options that evaluating and comparing share, and those that say what is written of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.values import shares, shown_shares

MEASURE, OUTPUT = "What to measure", "Output"


@dataclass(frozen=True, kw_only=True)
class MeasureOptions(Request):
    """What to measure.

    Attributes:
        groups: Age groups (``0-12,13-19,60+``, bounds included), a column, or a crossing (``age x sex``); None: the
            usual age groups.
        protocol: Named protocol instead of groups.
        at_fmr: Target false match rates, fractions in 0..1.
        alpha: Weight of FMR in GARBE, FDR and IR, 0..1.
        bootstrap: Subject bootstrap replicates; 0: none.
        confidence: Coverage of intervals.
        non_mated: Non-mated comparisons of a group: ``within``, ``any-probe`` or ``all``.
        matched_age: Only non-mated pairs that match a mated pair's ages within this many years; None: all.
        drop_duplicates: Leave out later images of a subject with at least this cosine to an earlier one; None: keep.
        seed: Seed of the bootstrap and the noise floor.
    """

    title = "what to measure"
    groups: str | None = option(
        None,
        help="Age groups, bounds included (0-12,13-19,20-39,40-59,60+), a column (sex), or both (age x sex).",
        panel=MEASURE,
        metavar="GROUPS",
    )
    protocol: str | None = option(
        None,
        help="Named age groups: thesis, decades or fgnet4.",
        panel=MEASURE,
        metavar="NAME",
        completes="protocol",
    )
    at_fmr: tuple[float, ...] = option(
        (0.1, 0.01, 0.001),
        help="Target false match rates: fractions or percentages, e.g. 0.01 or 1%.",
        panel=MEASURE,
        metavar="RATES",
        parse=shares,
        show=shown_shares,
    )
    alpha: float = option(0.5, help="Weight of FMR in GARBE, FDR and IR.", panel=MEASURE, low=0, high=1)
    bootstrap: int = option(1000, help="Subject bootstrap replicates; 0: none.", panel=MEASURE, low=0, high=1_000_000)
    confidence: float = option(0.95, help="Coverage of intervals.", panel=MEASURE, low=0.5, high=0.999)
    non_mated: Literal["within", "any-probe", "all"] = option(
        "within", help="Non-mated comparisons of a group: within, any-probe or all.", panel=MEASURE
    )
    matched_age: float | None = option(
        None,
        help="Only non-mated pairs that match a mated pair's ages within this many years.",
        panel=MEASURE,
        metavar="YEARS",
        low=0,
    )
    drop_duplicates: float | None = option(
        None,
        help="Leave out later images of a subject with at least this cosine to an earlier one.",
        panel=MEASURE,
        metavar="COSINE",
        low=0,
        high=1,
    )
    seed: int = option(0, help="Seed of bootstrap and noise floor.", panel=MEASURE, low=0)

    def conflicts(self) -> Iterator[str]:
        """Targets that are no rates, groups that cannot be read, protocols that nobody knows."""
        yield from super().conflicts()
        for target in self.at_fmr:
            if not 0 < target < 1:
                yield f"--at-fmr {target:g} is no false match rate; write one between 0 and 1, e.g. 0.01 or 1%."
        if self.groups is not None and self.protocol is not None:
            yield "Give --groups or --protocol, not both."
        yield from self._unreadable()

    def _unreadable(self) -> Iterator[str]:
        from frbias.core.verification.groups import age_groups_of, protocol_named

        try:
            if self.protocol is not None:
                protocol_named(self.protocol)
            elif self.groups is not None:
                age_groups_of(self.groups)
        except UsageError as error:
            yield error.message

    def group_names(self) -> tuple[str, ...] | None:
        """Names of the groups when the request alone tells them; None when they depend on the samples."""
        from frbias.core.verification.groups import DEFAULT_GROUPS, age_groups_of, protocol_named

        if self.protocol is not None:
            return tuple(group.name for group in protocol_named(self.protocol).groups)
        parts = age_groups_of(self.groups or DEFAULT_GROUPS)
        only = parts[0] if len(parts) == 1 else None
        return None if only is None else tuple(group.name for group in only)

    def columns(self) -> tuple[str, ...]:
        """Columns that the samples must have."""
        from frbias.core.verification.groups import columns_of

        return () if self.groups is None else columns_of(self.groups)


def gate_problems(gates: Sequence[str], options: MeasureOptions, *, paired: bool) -> Iterator[str]:
    """What is wrong with conditions of ``--fail-if``, as far as the request tells; ``paired`` when two are compared."""
    from frbias.core.verification.gates import check_gate, parse_gate

    for text in gates:
        try:
            check_gate(parse_gate(text), options.at_fmr, options.group_names(), paired=paired)
        except UsageError as error:
            yield error.message
