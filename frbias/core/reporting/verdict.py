"""What a document says in one honest sentence, with what a reader must not overlook."""

from dataclasses import dataclass, replace
from typing import Any

from frbias.core.reporting.documents import typed
from frbias.core.verification.headline import headline_target, nearest_target
from frbias.core.verification.paired import Comparison
from frbias.core.verification.results import AtTarget, Evaluation
from frbias.core.verification.verdict import Outcome

TONES: dict[Outcome, str] = {
    "fairer": "good",
    "better_for_all": "good",
    "fairer_at_a_price": "open",
    "better_at_a_price": "open",
    "no_clear_change": "open",
    "undecided": "open",
    "less_fair": "bad",
    "worse_for_all": "bad",
    "levelling_down": "bad",
}


@dataclass(frozen=True)
class Verdict:
    """The finding at the headline target.

    Attributes:
        tone: ``good``, ``bad`` or ``open``; colours the panel.
        headline: A few words, without numbers.
        meaning: What the words rest on, one sentence without numbers.
        cautions: What a reader must not overlook, sentences without numbers.
        index: Position of the headline target in ``targets``.
        path: Path of the verdict in a comparison's document, empty for one evaluation.
    """

    tone: str
    headline: str
    meaning: str
    cautions: tuple[str, ...]
    index: int
    path: str = ""


def headline_index(document: dict[str, Any], target: float | None) -> int:
    """Position in ``targets`` of the record that the headline is about.

    Args:
        document: Document of either schema.
        target: Wanted target FMR; None: see :func:`frbias.core.verification.headline.headline_target`.
    """
    return _headline(typed(document), target)


def is_comparison(document: dict[str, Any]) -> bool:
    """True for a paired comparison, False for one evaluation."""
    return bool(document["schema"] == "frbias.comparison")


def judge(document: dict[str, Any], *, target: float | None = None, held_out: bool | None = None) -> Verdict:
    """The verdict on a comparison (is the other model fairer?) or on one evaluation (is it biased beyond chance?).

    A comparison's verdict is the one that stands in it (:mod:`frbias.core.verification.verdict`).

    Args:
        document: Document of either schema.
        target: Headline target FMR; default: see :func:`headline_index`.
        held_out: Whether the people were kept out of training; None: not known.

    Raises:
        BadInputError: The document cannot be read.
    """
    found = typed(document)
    index = _headline(found, target)
    if isinstance(found, Comparison):
        verdict = _judge_pair(found, index, held_out)
    else:
        verdict = _judge_one(found, index, held_out)
    moved = _moved_caution(found, index, target)
    return replace(verdict, cautions=(moved, *verdict.cautions)) if moved else verdict


def _evaluations(found: Evaluation | Comparison) -> tuple[Evaluation, ...]:
    return (found.baseline, found.other) if isinstance(found, Comparison) else (found,)


def _targets(found: Evaluation | Comparison) -> list[float]:
    return [t.target for t in found.targets]


def _headline(found: Evaluation | Comparison, target: float | None) -> int:
    return _targets(found).index(headline_target(_evaluations(found), target))


def _moved_caution(found: Evaluation | Comparison, index: int, target: float | None) -> str:
    """Says so when the headline is not at the target nearest to the wanted one."""
    nearest = nearest_target(_targets(found), target)
    if _targets(found)[index] == nearest:
        return ""
    passed = [evaluation.at(nearest) for evaluation in _evaluations(found)]
    defined = all(record.measures["garbe"].value is not None for record in passed)
    cause = "there are too few errors" if defined else "GARBE is undefined"
    return f"At the target nearest to the usual one {cause}, so this is about the next one that can tell more."


def _judge_pair(found: Comparison, index: int, held_out: bool | None) -> Verdict:
    target = found.targets[index].target
    position = next(k for k, verdict in enumerate(found.verdicts) if verdict.target == target)
    verdict = found.verdicts[position]
    tone = "open" if held_out is False and TONES[verdict.outcome] == "good" else TONES[verdict.outcome]
    meaning = {True: "Measured on unseen people.", False: "Measured on people of a training set.", None: ""}[held_out]
    return Verdict(
        tone, verdict.sentence, meaning, _pair_cautions(found, target, held_out), index, f"verdicts.{position}"
    )


def _pair_cautions(found: Comparison, target: float, held_out: bool | None) -> tuple[str, ...]:
    cautions = [_training_caution(held_out)]
    if not found.paired:
        cautions.append("Computed without a bootstrap, so there are no intervals and nothing is decided.")
    sides = [(evaluation.name, evaluation.at(target)) for evaluation in _evaluations(found)]
    for name, side in sides:
        if side.measures["garbe"].value is None:
            cautions.append(f"GARBE of {name} is undefined: {why_undefined(side.to_json())}.")
    if all(_within_chance(side) for _, side in sides):
        cautions.append("Both GARBE values are within what groups of equal error rates reach by chance.")
    if any(_few_errors(side) for _, side in sides):
        cautions.append("Some groups have few errors (rule of 30): their rates, and GARBE with them, are imprecise.")
    return tuple(caution for caution in cautions if caution)


def _judge_one(found: Evaluation, index: int, held_out: bool | None) -> Verdict:
    record, name, by = found.targets[index], found.name, found.groups.by
    cautions = [_training_caution(held_out)]
    if record.measures["garbe"].value is None:
        cautions.append(f"GARBE is undefined: {why_undefined(record.to_json())}.")
    if _few_errors(record):
        cautions.append("Some groups have few errors (rule of 30): their rates, and GARBE with them, are imprecise.")
    kept = tuple(caution for caution in cautions if caution)
    chance = _within_chance(record)
    if chance is None:
        return Verdict("open", f"Undecided: the bias of {name} by {by} cannot be told from chance.", "", kept, index)
    if chance:
        meaning = "Groups of equal error rates would reach this GARBE by chance."
        return Verdict(
            "open", f"Inconclusive: no bias of {name} by {by} beyond chance was found.", meaning, kept, index
        )
    meaning = "GARBE is higher than groups of equal error rates reach by chance."
    return Verdict("bad", f"{name} does not work equally well for all groups (by {by}).", meaning, kept, index)


def _training_caution(held_out: bool | None) -> str:
    return {
        True: "",
        False: "These people were in the training set: this says nothing about others.",
        None: "Whether these people were in a training set is not recorded here.",
    }[held_out]


def why_undefined(record: dict[str, Any], measure: str = "garbe") -> str:
    """Why a measure of a target's record is undefined, a clause; empty when it is not."""
    found = record["measures"][measure]
    reason = str(found.get("reason") or "")
    if found["value"] is not None:
        return ""
    if not reason.endswith("mean_zero"):
        return reason.replace("_", " ") or "no reason recorded"
    return f"no group has a {'false match' if 'gini_fmr' in reason or measure == 'gini_fmr' else 'false non-match'}"


def floor_path(record: dict[str, Any], measure: str = "garbe") -> str | None:
    """Path below a target's record of the most honest noise floor of a measure there is."""
    for kind in ("clustered", "independent"):
        if (record.get("noise_floor") or {}).get(kind, {}).get(measure):
            return f"noise_floor.{kind}.{measure}"
    return None


def _within_chance(record: AtTarget) -> bool | None:
    """Whether GARBE is at most the 95th percentile of its noise floor; None when that cannot be told."""
    value, floor = record.measures["garbe"].value, record.floor
    limit = None if floor is None or "garbe" not in floor.floors else floor.floors["garbe"].p95
    return None if limit is None or value is None else value <= limit


def _few_errors(record: AtTarget) -> bool:
    """Whether a group has fewer than 30 errors of either kind."""
    return any(group.fmr.flags or group.fnmr.flags for group in record.groups)
