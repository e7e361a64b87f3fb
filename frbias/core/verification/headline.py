"""Which target FMR the headline of an evaluation or a comparison is about."""

from collections.abc import Sequence

from frbias.core.verification.measures.intervals import RULE_OF_THIRTY
from frbias.core.verification.results import AtTarget, Evaluation

USUAL_TARGET = 0.01


def nearest_target(targets: Sequence[float], wanted: float | None = None) -> float:
    """The target nearest (in ratio) to ``wanted``, or to 0.01.

    Example:
        >>> nearest_target((0.1, 0.001), 0.002)
        0.001
    """
    at = USUAL_TARGET if wanted is None else wanted
    return min(targets, key=lambda t: max(t / at, at / t))


def headline_target(evaluations: Sequence[Evaluation], wanted: float | None = None) -> float:
    """The target FMR of the headline.

    Args:
        evaluations: One evaluation, or the two of a comparison; targets that all of them have are considered.
        wanted: The target asked for, the nearest is taken; None: the one nearest to 0.01 at which GARBE is defined and
            at least 30 errors of each kind were made (by every model); where there is none, at which GARBE is
            defined; or the nearest.
    """
    shared = [t.target for t in evaluations[0].targets if all(_has(e, t.target) for e in evaluations)]
    if wanted is not None:
        return nearest_target(shared, wanted)
    records = {t: [e.at(t) for e in evaluations] for t in shared}
    defined = [t for t, found in records.items() if all(r.measures["garbe"].value is not None for r in found)]
    firm = [t for t in defined if all(enough_errors(r) for r in records[t])]
    return nearest_target(firm or defined or shared)


def enough_errors(record: AtTarget) -> bool:
    """Whether at least 30 false matches and 30 false non-matches were made in all (rule of 30)."""
    return min(record.fmr.errors, record.fnmr.errors) >= RULE_OF_THIRTY


def _has(evaluation: Evaluation, target: float) -> bool:
    return any(t.target == target for t in evaluation.targets)
