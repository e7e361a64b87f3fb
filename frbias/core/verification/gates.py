"""Conditions that make an evaluation fail: ``garbe@1e-2 > 0.3``.

``QUANTITY[@TARGET] OPERATOR NUMBER`` with one of ``> >= < <=``. Quantities: ``garbe``, ``gini_fmr``,
``gini_fnmr``, ``fdr``, ``ir``, every other fairness measure, ``fnmr``, ``tar``, ``tau``, ``achieved_fmr``,
``fmr[GROUP]``, ``fnmr[GROUP]``, ``eer`` and ``d_prime``; ``.low`` and ``.high`` after a fairness measure mean the
bounds of its interval. Without ``@TARGET`` every evaluated target counts. A value that is undefined fails the gate:
what cannot be measured is not met.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import suggestion
from frbias.core.foundation.values import share
from frbias.core.verification.measures.fairness import DEFINITIONS

_PATTERN = re.compile(
    r"\s*([a-z_]+)(?:\[([^\]]+)\])?(?:\.(low|high))?\s*(?:@\s*([0-9.eE+-]+%?))?\s*(>=|<=|>|<)\s*([0-9.eE+-]+%?)\s*"
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_OVERALL = ("eer", "d_prime")
_AT_TARGET = ("fmr", "fnmr", "tar", "tau", "achieved_fmr", "far", "frr")
QUANTITIES = (*DEFINITIONS, *_AT_TARGET, *_OVERALL)


@dataclass(frozen=True)
class Gate:
    """A parsed condition; the evaluation fails when it holds."""

    text: str
    quantity: str
    group: str | None
    bound: str | None
    target: float | None
    operator: str
    limit: float


def parse_gate(text: str) -> Gate:
    """Parse one condition.

    Raises:
        UsageError: It cannot be read.

    Example:
        >>> gate = parse_gate("garbe@1e-2 > 0.3")
        >>> gate.quantity, gate.target, gate.operator, gate.limit
        ('garbe', 0.01, '>', 0.3)
    """
    match = _PATTERN.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        quantity, group, bound, target, sign, limit = match.groups()
        return Gate(text.strip(), quantity, group, bound, None if target is None else share(target), sign, share(limit))
    except ValueError:  # share() raises Unusable, which is one
        raise UsageError(
            f"--fail-if {text!r} cannot be read; write e.g. 'garbe@1e-2 > 0.3', 'fnmr[0-12] >= 0.1' or 'eer > 0.02'."
        ) from None


def check_gate(gate: Gate, targets: Sequence[float], groups: Sequence[str] | None) -> None:
    """Refuse a condition that no evaluation at these targets can answer.

    Args:
        gate: The condition.
        targets: Target FMRs that will be evaluated.
        groups: Names of the groups; None when they are not known yet.

    Raises:
        UsageError: Its quantity is unknown, its group or its target will not be evaluated.
    """
    if gate.quantity not in QUANTITIES:
        known = suggestion(gate.quantity, QUANTITIES, end=f"; there are {', '.join(QUANTITIES)}.")
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity!r} is not a quantity of an evaluation{known}")
    if gate.target is not None and not any(_same(gate.target, target) for target in targets):
        listed = ", ".join(f"{target:g}" for target in targets)
        raise UsageError(f"--fail-if {gate.text!r}: FMR {gate.target:g} is not among --at-fmr {listed}.")
    if gate.group is not None and groups is not None and gate.group not in groups:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.group!r} is none of the groups {', '.join(groups)}.")


def failures(gates: Sequence[Gate], document: dict[str, Any]) -> list[str]:
    """One sentence per gate that is not met, in order.

    Args:
        gates: Conditions.
        document: The JSON document of an evaluation.

    Raises:
        UsageError: A quantity, group or target does not exist in this evaluation.
    """
    found = []
    for gate in gates:
        for label, value in _values(gate, document):
            if value is None:
                found.append(f"'{gate.text}' cannot be judged: {label} is undefined")
            elif _OPERATORS[gate.operator](value, gate.limit):
                found.append(f"'{gate.text}': {label} is {value:.6g}")
    return found


def _values(gate: Gate, document: dict[str, Any]) -> list[tuple[str, float | None]]:
    if gate.quantity in _OVERALL:
        overall = document["overall"]
        return [(gate.quantity, overall["eer"]["value"] if gate.quantity == "eer" else overall["d_prime"])]
    records = [t for t in document["targets"] if gate.target is None or _same(t["target"], gate.target)]
    if not records:
        known = ", ".join(f"{t['target']:g}" for t in document["targets"])
        raise UsageError(f"--fail-if {gate.text!r}: FMR {gate.target:g} was not evaluated; there are {known}.")
    return [(f"{_label(gate)} at FMR {record['target']:g}", _value(gate, record)) for record in records]


def _value(gate: Gate, record: dict[str, Any]) -> float | None:
    if gate.group is not None:
        group = next((g for g in record["groups"] if g["name"] == gate.group), None)
        if group is None or gate.quantity not in ("fmr", "fnmr"):
            names = ", ".join(g["name"] for g in record["groups"])
            raise UsageError(f"--fail-if {gate.text!r}: use fmr[...] or fnmr[...] with one of the groups {names}.")
        return float(group[gate.quantity])
    if gate.bound is not None:
        measure = record["measures"].get(gate.quantity)
        if measure is None or "bootstrap" not in measure:
            raise UsageError(f"--fail-if {gate.text!r}: there is no interval of {gate.quantity} in this evaluation.")
        value = measure["bootstrap"][gate.bound]
        return None if value is None else float(value)
    if gate.quantity in record["measures"]:
        value = record["measures"][gate.quantity]["value"]
    elif gate.quantity in ("fnmr", "tar", "tau", "achieved_fmr", "far", "frr"):
        value = record[gate.quantity]
    else:
        raise UsageError(f"--fail-if {gate.text!r}: {gate.quantity!r} is not a quantity of an evaluation.")
    return None if value is None else float(value)


def _label(gate: Gate) -> str:
    group = "" if gate.group is None else f"[{gate.group}]"
    bound = "" if gate.bound is None else f".{gate.bound}"
    return f"{gate.quantity}{group}{bound}"


def _same(one: float, two: float) -> bool:
    return abs(one - two) <= 1e-9 * max(abs(one), abs(two))
