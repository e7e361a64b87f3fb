"""Conditions on published protocols: ``accuracy < 99%``, ``tar[young]@0.1% < 0.9``, ``rank_1 < 90%``, ``fnir@1% > 0.3``.

Written as those on evaluations (:mod:`frbias.core.verification.gates`), and read by the same grammar: without ``@TARGET``
every target that was judged counts, ``.low`` and ``.high`` are the bounds of an interval, and what is undefined, or a
target that the comparisons cannot resolve, is not met.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import suggestion
from frbias.core.verification.gates import Gate, VerdictGate, breaks, label_of, parse_gate, same_target

Document = dict[str, Any]
Value = float | None


@dataclass(frozen=True)
class Quantity:
    """Something that a protocol's document says of all pairs or searches and of every group.

    Attributes:
        value: (record of ``all`` or of a group) -> value, low and high of its interval; at a target where it has any.
        targets: Where its targets stand in the record, and their name there; empty when it has none.
        groups: Whether it can be asked of a group.
    """

    value: Callable[[Document], tuple[Value, Document | None]]
    targets: tuple[str, str] | None = None
    groups: bool = True


PAIR_QUANTITIES: dict[str, Quantity] = {
    "accuracy": Quantity(
        lambda r: (None if r["accuracy"] is None else r["accuracy"]["accuracy"], r["accuracy_bootstrap"])
    ),
    "tar": Quantity(lambda r: (r["tar"], r["tar_bootstrap"]), ("tar_at_far", "target_far")),
    "eer": Quantity(lambda r: (r["eer"]["value"], None)),
    "d_prime": Quantity(lambda r: (r["d_prime"], None)),
    "skewed_error_ratio": Quantity(
        lambda d: ((d["groups_at_own_thresholds"] or {}).get("skewed_error_ratio"), None), None, False
    ),
}
SEARCH_QUANTITIES: dict[str, Quantity] = {
    "rank_1": Quantity(lambda r: (r["rank_1"]["value"], r["rank_1"]["bootstrap"])),
    "fnir": Quantity(lambda r: (r["fnir"]["value"], r["fnir"]["bootstrap"]), ("open_set", "target_fpir")),
}
_OF_SCHEMA = {"frbias.pairs": PAIR_QUANTITIES, "frbias.identification": SEARCH_QUANTITIES}


def protocol_gate_problems(
    gates: Sequence[str], known: dict[str, Quantity], targets: Sequence[float], flag: str
) -> Iterator[str]:
    """What is wrong with conditions, as far as the request tells.

    Args:
        gates: Conditions.
        known: Quantities of the protocol.
        targets: Targets that will be judged.
        flag: The option that gives them.
    """
    for text in gates:
        try:
            _check(parse_gate(text), known, targets, flag)
        except UsageError as error:
            yield error.message


def protocol_failures(gates: Sequence[str], document: Document) -> list[str]:
    """One sentence per condition that is not met, in order.

    Args:
        gates: Conditions.
        document: The JSON document of a list of pairs or of an identification.

    Raises:
        UsageError: A quantity or a group does not exist in this document.
    """
    known, found = _OF_SCHEMA[document["schema"]], []
    for text in gates:
        gate = parse_gate(text)
        _check(gate, known, None, "")
        assert isinstance(gate, Gate)
        for label, value in _values(gate, known[gate.quantity], document):
            if value is None:
                found.append(f"'{gate.text}' cannot be judged: {label} is undefined")
            elif breaks(gate, value):
                found.append(f"'{gate.text}': {label} is {value:.6g}")
    return found


def _check(gate: Gate | VerdictGate, known: dict[str, Quantity], targets: Sequence[float] | None, flag: str) -> None:
    if isinstance(gate, VerdictGate):
        raise UsageError(f"--fail-if {gate.text!r}: a verdict needs a comparison; there are {', '.join(known)}.")
    if gate.quantity not in known:
        hint = suggestion(gate.quantity, known, end=f"; there are {', '.join(known)}.")
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity!r} is not a quantity of this protocol{hint}")
    quantity = known[gate.quantity]
    if gate.group is not None and not quantity.groups:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity} is about all groups; leave out [{gate.group}].")
    if gate.target is None:
        return
    if quantity.targets is None:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity} has no target; leave out @.")
    if targets is not None and not any(same_target(gate.target, target) for target in targets):
        listed = ", ".join(f"{target:g}" for target in targets)
        raise UsageError(f"--fail-if {gate.text!r}: {gate.target:g} is not among {flag} {listed}.")


def _values(gate: Gate, quantity: Quantity, document: Document) -> Iterator[tuple[str, Value]]:
    record = _record(gate, quantity, document)
    if quantity.targets is None:
        yield label_of(gate), _bound(gate, *quantity.value(record))
        return
    place, name = quantity.targets
    wanted = [one for one in record[place] if gate.target is None or same_target(gate.target, one[name])]
    if not wanted:  # the comparisons could not resolve it
        yield label_of(gate) + ("" if gate.target is None else f" at {gate.target:g}"), None
    for one in wanted:
        yield f"{label_of(gate)} at {one[name]:g}", _bound(gate, *quantity.value(one))


def _record(gate: Gate, quantity: Quantity, document: Document) -> Document:
    if not quantity.groups:
        return document
    if gate.group is None:
        return dict(document["all"])
    for group in document["groups"]:
        if group["name"] == gate.group:
            return dict(group)
    names = ", ".join(group["name"] for group in document["groups"]) or "none"
    raise UsageError(f"--fail-if {gate.text!r}: {gate.group!r} is none of the groups: {names}.")


def _bound(gate: Gate, value: Value, band: Document | None) -> Value:
    if gate.bound is None:
        return value
    if band is None:
        raise UsageError(f"--fail-if {gate.text!r}: there is no interval of {gate.quantity} here.")
    found = band[gate.bound]
    return None if found is None else float(found)
