"""What a document says in one honest sentence, and the paths of the numbers in it."""

from dataclasses import dataclass, replace
from typing import Any

from frbias.core.reporting.figures.drawing import nearest_target
from frbias.core.reporting.tracing import resolve

_RULE_OF_30 = 30
BETTER, WORSE, UNCLEAR, NONE = "better", "worse", "no clear difference", "no interval"


@dataclass(frozen=True)
class Verdict:
    """The finding at the headline target.

    Attributes:
        tone: ``good``, ``bad`` or ``open``; colours the panel.
        headline: A few words, without numbers.
        meaning: What the words rest on, one sentence without numbers.
        cautions: What a reader must not overlook, sentences without numbers.
        index: Position of the headline target in ``targets``.
    """

    tone: str
    headline: str
    meaning: str
    cautions: tuple[str, ...]
    index: int


def headline_index(document: dict[str, Any], target: float | None) -> int:
    """Position in ``targets`` of the record that the headline is about.

    Args:
        document: Document of either schema.
        target: Wanted target FMR; None: the one nearest to 0.01 at which GARBE is defined and at least 30 errors of
            each kind were made (by both models); where there is none, at which GARBE is defined; or the nearest.
    """
    records = document["targets"]
    defined = [r for r in records if _decidable(r["garbe"])]
    firm = [r for r in defined if _enough_errors(document, r["target"])]
    usable = records if target is not None else firm or defined or records
    wanted = nearest_target({"targets": usable}, target)
    return next(i for i, record in enumerate(records) if record["target"] == wanted)


def _moved_caution(document: dict[str, Any], index: int, target: float | None) -> str:
    """Says so when the headline is not at the target nearest to the wanted one."""
    nearest = nearest_target({"targets": document["targets"]}, target)
    if document["targets"][index]["target"] == nearest:
        return ""
    passed = next(record for record in document["targets"] if record["target"] == nearest)
    cause = "there are too few errors" if _decidable(passed["garbe"]) else "GARBE is undefined"
    return f"At the target nearest to the usual one {cause}, so this is about the next one that can tell more."


def _decidable(garbe: Any) -> bool:
    return garbe["difference"] is not None if isinstance(garbe, dict) else garbe is not None


def _enough_errors(document: dict[str, Any], target: float) -> bool:
    """Whether every model makes at least 30 false matches and 30 false non-matches in all (rule of 30)."""
    models = [document["baseline"], document["other"]] if is_comparison(document) else [document]
    records = [next(r for r in model["targets"] if r["target"] == target) for model in models]
    return all(min(r["false_matches"], r["false_non_matches"]) >= _RULE_OF_30 for r in records)


def is_comparison(document: dict[str, Any]) -> bool:
    """True for a paired comparison, False for one evaluation."""
    return bool(document["schema"] == "frbias.comparison")


def judge(document: dict[str, Any], *, target: float | None = None, held_out: bool | None = None) -> Verdict:
    """The verdict on a comparison (is the other model fairer?) or on one evaluation (is it biased beyond chance?).

    Args:
        document: Document of either schema.
        target: Headline target FMR; default: see :func:`headline_index`.
        held_out: Whether the people were kept out of training; None: not known.
    """
    index = headline_index(document, target)
    found = (_judge_pair if is_comparison(document) else _judge_one)(document, index, held_out)
    moved = _moved_caution(document, index, target)
    return replace(found, cautions=(moved, *found.cautions)) if moved else found


def _judge_pair(document: dict[str, Any], index: int, held_out: bool | None) -> Verdict:
    record = document["targets"][index]
    fairness, errors = record["garbe"]["verdict"], record["fnmr"]["verdict"]
    other, baseline = document["other"]["name"], document["baseline"]["name"]
    people = {True: "unseen people", False: "people of its own training set", None: "these people"}[held_out]
    cause = "too few errors are left" if document.get("paired") else "there are no intervals"
    tone, headline = {
        BETTER: ("good", f"{other} is fairer across groups than {baseline} on {people}."),
        WORSE: ("bad", f"{other} is less fair across groups than {baseline} on {people}."),
        UNCLEAR: ("open", f"Inconclusive: no clear difference in fairness between {other} and {baseline} on {people}."),
    }.get(fairness, ("open", f"Undecided: {cause} to compare the fairness of {other} and {baseline} on {people}."))
    if fairness == BETTER and (held_out is False or errors == WORSE):
        tone = "open"
    accuracy = {
        BETTER: "It also misses fewer mated comparisons."
        if fairness == BETTER
        else "It misses fewer mated comparisons.",
        WORSE: "But it misses more mated comparisons: fairness alone is not an improvement.",
        UNCLEAR: "The share of missed mated comparisons shows no clear difference.",
    }.get(errors, "")
    meaning = " ".join(part for part in (accuracy, *_components(record, fairness)) if part)
    return Verdict(tone, headline, meaning, tuple(_pair_cautions(document, index, held_out)), index)


def _components(record: dict[str, Any], fairness: str) -> list[str]:
    """What the halves of GARBE say by themselves where GARBE decides nothing."""
    if fairness in (BETTER, WORSE):
        return []
    how = {BETTER: "more evenly", WORSE: "less evenly"}
    return [
        f"{errors} by themselves are spread {how[record[part]['verdict']]} over the groups than before."
        for part, errors in (("gini_fmr", "False matches"), ("gini_fnmr", "False non-matches"))
        if record[part]["verdict"] in how
    ]


def _pair_cautions(document: dict[str, Any], index: int, held_out: bool | None) -> list[str]:
    found = [_training_caution(held_out)]
    if not document.get("paired"):
        found.append("Computed without a bootstrap, so there are no intervals and nothing is decided.")
    target = document["targets"][index]["target"]
    both = [(document[k]["name"], document[k]["targets"]) for k in ("baseline", "other")]
    sides = [next(r for r in records if r["target"] == target) for _, records in both]
    for (name, _), side in zip(both, sides, strict=True):
        if side["garbe"] is None:
            found.append(f"GARBE of {name} is undefined: {why_undefined(side)}.")
    if all(within_chance(side) for side in sides):
        found.append("Both GARBE values are within what groups of equal error rates reach by chance.")
    if any(few_errors(side) for side in sides):
        found.append("Some groups have few errors (rule of 30): their rates, and GARBE with them, are imprecise.")
    return [caution for caution in found if caution]


def _judge_one(document: dict[str, Any], index: int, held_out: bool | None) -> Verdict:
    record, name = document["targets"][index], document["name"]
    by = document["groups"]["by"]
    cautions = [_training_caution(held_out)]
    if record["garbe"] is None:
        cautions.append(f"GARBE is undefined: {why_undefined(record)}.")
    if few_errors(record):
        cautions.append("Some groups have few errors (rule of 30): their rates, and GARBE with them, are imprecise.")
    kept = tuple(caution for caution in cautions if caution)
    chance = within_chance(record)
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
    reason = str(record.get(f"{measure}_reason") or "")
    if record[measure] is not None:
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


def within_chance(record: dict[str, Any]) -> bool | None:
    """Whether GARBE is at most the 95th percentile of its noise floor; None when that cannot be told."""
    path = floor_path(record)
    limit = resolve(record, path)["p95"] if path else None
    return None if limit is None or record["garbe"] is None else bool(record["garbe"] <= limit)


def few_errors(record: dict[str, Any]) -> bool:
    """Whether a group has fewer than 30 errors of either kind."""
    return any(group[f"{rate}_flags"] for group in record["groups"] for rate in ("fmr", "fnmr"))
