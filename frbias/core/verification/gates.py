"""Conditions that make an evaluation fail: ``garbe@1e-2 > 0.3``, ``verdict == levelling_down``.

``QUANTITY[@TARGET] OPERATOR NUMBER`` with one of ``> >= < <=``. Quantities: every measure of the table, ``fnmr``,
``tar``, ``tau``, ``achieved_fmr``, ``far``, ``frr``, ``fmr[GROUP]``, ``fnmr[GROUP]``, ``far[GROUP]``, ``frr[GROUP]``,
``eer`` and ``d_prime``; ``.low`` and ``.high`` after a measure mean the bounds of its interval. Without ``@TARGET``
every evaluated target counts. A value that is undefined fails the gate: what cannot be measured is not met.

``verdict[@TARGET] == OUTCOME`` (or ``!=``) is about the verdict of a comparison, at the headline's target without
``@TARGET``. Everything else is about the other recogniser of a comparison.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import suggestion
from frbias.core.foundation.values import share
from frbias.core.verification.measures.table import MEASURES, WITHOUT_THRESHOLD
from frbias.core.verification.verdict import OUTCOMES

_PATTERN = re.compile(
    r"\s*([a-z][a-z0-9_]*)(?:\[([^\]]+)\])?(?:\.(low|high))?\s*(?:@\s*([0-9.eE+-]+%?))?\s*(>=|<=|>|<)\s*([0-9.eE+-]+%?)\s*"
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_VERDICT = re.compile(r"\s*verdict\s*(?:@\s*([0-9.eE+-]+%?))?\s*(==|!=)\s*([a-z_]+)\s*")
_AT_TARGET = ("fnmr", "tar", "tau", "achieved_fmr", "far", "frr")
_OF_GROUP = ("fmr", "fnmr", "far", "frr")


@dataclass(frozen=True)
class VerdictGate:
    """A condition on the verdict of a comparison; it fails when the verdict is (or is not) the outcome."""

    text: str
    target: float | None
    equal: bool
    outcome: str


@dataclass(frozen=True)
class Gate:
    """A parsed condition on a number; the evaluation fails when it holds."""

    text: str
    quantity: str
    group: str | None
    bound: str | None
    target: float | None
    operator: str
    limit: float


def parse_gate(text: str) -> Gate | VerdictGate:
    """Parse one condition.

    Raises:
        UsageError: It cannot be read, or names no outcome of a verdict.

    Example:
        >>> gate = parse_gate("garbe@1e-2 > 0.3")
        >>> gate.quantity, gate.target, gate.operator, gate.limit
        ('garbe', 0.01, '>', 0.3)
    """
    if (verdict := _VERDICT.fullmatch(text)) is not None:
        target, sign, outcome = verdict.groups()
        if outcome not in OUTCOMES:
            raise UsageError(f"--fail-if {text!r}: {outcome!r} is no verdict; use {', '.join(OUTCOMES)}.")
        return VerdictGate(text.strip(), None if target is None else share(target), sign == "==", outcome)
    match = _PATTERN.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        quantity, group, bound, target, sign, limit = match.groups()
        return Gate(text.strip(), quantity, group, bound, None if target is None else share(target), sign, share(limit))
    except ValueError:  # share() raises Unusable, which is one
        raise UsageError(
            f"--fail-if {text!r} cannot be read; write e.g. 'garbe@1e-2 > 0.3', 'fnmr[0-12] >= 0.1', "
            "'eer > 0.02' or 'verdict == levelling_down'."
        ) from None


def quantities() -> tuple[str, ...]:
    """Names of everything that a condition can be about, but the verdict."""
    return (*MEASURES, *dict.fromkeys((*_AT_TARGET, *_OF_GROUP)), *WITHOUT_THRESHOLD)


def check_gate(
    gate: Gate | VerdictGate, targets: Sequence[float], groups: Sequence[str] | None, *, paired: bool = False
) -> None:
    """Refuse a condition that no evaluation at these targets can answer.

    Args:
        gate: The condition.
        targets: Target FMRs that will be evaluated.
        groups: Names of the groups; None when they are not known yet.
        paired: Whether two recognisers are compared.

    Raises:
        UsageError: Its quantity is unknown, its group or its target will not be evaluated, or it asks for a verdict
            where nothing is compared.
    """
    if isinstance(gate, VerdictGate):
        _check_paired(gate, paired)
    elif gate.quantity not in quantities():
        known = suggestion(gate.quantity, quantities(), end=f"; there are {', '.join(quantities())}.")
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity!r} is not a quantity of an evaluation{known}")
    if gate.target is not None and not any(same_target(gate.target, target) for target in targets):
        listed = ", ".join(f"{target:g}" for target in targets)
        raise UsageError(f"--fail-if {gate.text!r}: FMR {gate.target:g} is not among --at-fmr {listed}.")
    if isinstance(gate, Gate) and gate.group is not None and groups is not None and gate.group not in groups:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.group!r} is none of the groups {', '.join(groups)}.")


def _check_paired(gate: VerdictGate, paired: bool) -> None:
    if not paired:
        raise UsageError(f"--fail-if {gate.text!r}: a verdict needs a comparison; give --baseline too.")


def failures(gates: Sequence[Gate | VerdictGate], document: dict[str, Any]) -> list[str]:
    """One sentence per gate that is not met, in order.

    Args:
        gates: Conditions.
        document: The JSON document of an evaluation or a comparison.

    Raises:
        UsageError: A quantity, group or target does not exist in this evaluation.
    """
    paired = document.get("schema") == "frbias.comparison"
    evaluation = document["other"] if paired else document
    found = []
    for gate in gates:
        if isinstance(gate, VerdictGate):
            _check_paired(gate, paired)
            found += _verdict_failures(gate, document)
            continue
        for label, value in _values(gate, evaluation):
            if value is None:
                found.append(f"'{gate.text}' cannot be judged: {label} is undefined")
            elif breaks(gate, value):
                found.append(f"'{gate.text}': {label} is {value:.6g}")
    return found


def _verdict_failures(gate: VerdictGate, document: dict[str, Any]) -> list[str]:
    verdict = document["verdict"] if gate.target is None else _records(gate, document["verdicts"])[0]
    if (verdict["outcome"] == gate.outcome) != gate.equal:
        return []
    return [f"'{gate.text}': the verdict at FMR {verdict['target']:g} is {verdict['outcome']}"]


def _values(gate: Gate, document: dict[str, Any]) -> list[tuple[str, float | None]]:
    if gate.quantity in WITHOUT_THRESHOLD:
        found = document["overall"][gate.quantity]
        return [(gate.quantity, found["value"] if isinstance(found, dict) else found)]
    records = _records(gate, document["targets"])
    return [(f"{label_of(gate)} at FMR {record['target']:g}", _value(gate, record)) for record in records]


def _records(gate: Gate | VerdictGate, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of the gate's target, or of all targets."""
    found = [r for r in records if gate.target is None or same_target(r["target"], gate.target)]
    if not found:
        known = ", ".join(f"{r['target']:g}" for r in records)
        raise UsageError(f"--fail-if {gate.text!r}: FMR {gate.target:g} was not evaluated; there are {known}.")
    return found


def _value(gate: Gate, record: dict[str, Any]) -> float | None:
    if gate.group is not None:
        group = next((g for g in record["groups"] if g["name"] == gate.group), None)
        if group is None or gate.quantity not in _OF_GROUP:
            names = ", ".join(g["name"] for g in record["groups"])
            known = ", ".join(f"{name}[...]" for name in _OF_GROUP)
            raise UsageError(f"--fail-if {gate.text!r}: use one of {known} with one of the groups {names}.")
        value = group[gate.quantity]
        return None if value is None else float(value)
    if gate.bound is not None:
        measure = record["measures"].get(gate.quantity)
        if measure is None or "bootstrap" not in measure:
            raise UsageError(f"--fail-if {gate.text!r}: there is no interval of {gate.quantity} in this evaluation.")
        value = measure["bootstrap"][gate.bound]
        return None if value is None else float(value)
    if gate.quantity in record["measures"]:
        value = record["measures"][gate.quantity]["value"]
    elif gate.quantity in _AT_TARGET:
        value = record[gate.quantity]
    else:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity!r} is not a quantity of an evaluation.")
    return None if value is None else float(value)


def breaks(gate: Gate, value: float) -> bool:
    """Whether the condition holds of a value, so that the gate is not met."""
    return _OPERATORS[gate.operator](value, gate.limit)


def label_of(gate: Gate) -> str:
    """What a condition is about, without its target."""
    group = "" if gate.group is None else f"[{gate.group}]"
    bound = "" if gate.bound is None else f".{gate.bound}"
    return f"{gate.quantity}{group}{bound}"


def same_target(one: float, two: float) -> bool:
    """Whether two target rates are the same but for rounding."""
    return abs(one - two) <= 1e-9 * max(abs(one), abs(two))
