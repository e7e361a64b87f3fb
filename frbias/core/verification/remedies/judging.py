"""Remedies by name, and what each does to a recogniser: evaluations that can be compared with one another, paired."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.core.verification.assembling import EvaluationOptions, evaluate
from frbias.core.verification.groups import Grouping
from frbias.core.verification.remedies.crossfit import Within, deal_subjects, within_groups
from frbias.core.verification.remedies.group_threshold import group_thresholds
from frbias.core.verification.remedies.names import REMEDIES, check_remedies
from frbias.core.verification.remedies.normalisation import DEFAULT_TOP, Cohort, normalised
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.scoresets import comparisons_from_scores

Float = npt.NDArray[np.float64]

DEFAULT_FOLDS = 5


@dataclass(frozen=True)
class RemedyOptions:
    """How remedies are fitted.

    Attributes:
        names: Some of :data:`REMEDIES`.
        folds: Folds of subjects.
        top: Highest cohort scores that ``adaptive-norm`` looks at.
        seed: Seed that deals subjects to folds.
    """

    names: tuple[str, ...]
    folds: int = DEFAULT_FOLDS
    top: int = DEFAULT_TOP
    seed: int = 0

    def __post_init__(self) -> None:
        check_remedies(self.names)
        if self.top < 2:
            raise UsageError(f"--cohort-top is a number of scores from 2, not {self.top}.")


def remedied_scores(
    name: str, within: Within, fold: npt.NDArray[np.int64], targets: Sequence[float], top: int, cohort: Cohort | None
) -> Float:
    """Scores of every comparison after a remedy, learned from other subjects, shape (c,)."""
    if name == "group-threshold":
        return group_thresholds(within, fold, targets)
    return normalised(within, fold, name.removesuffix("-norm"), top=top, cohort=cohort)


def judge_remedies(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    grouping: Grouping,
    remedies: RemedyOptions,
    options: EvaluationOptions,
    *,
    ages: npt.ArrayLike | None = None,
    cohort: Cohort | None = None,
    name: str = "embeddings",
) -> dict[str, Evaluation]:
    """Evaluate a recogniser as it is (under the empty name) and after every remedy, on the same comparisons.

    All comparisons within groups are used and one threshold serves all groups, so a remedy and a fine-tuned model can be
    compared by :func:`frbias.core.verification.paired.compare_evaluations`: the bootstrap draws are the same.

    Args:
        matrix: Embeddings, shape (n, d), any scale.
        subjects: Identity per row.
        grouping: Group per row.
        remedies: Which, and how they are fitted.
        options: What to evaluate.
        ages: Years per row; the younger sample of a comparison is its reference.
        cohort: Samples of other people for the normalisations; None: the set's own other subjects.
        name: Title.

    Raises:
        UsageError: There are too few subjects, or too many comparisons.
        BadInputError: A group or the cohort is too small to learn from.
    """
    rows = np.flatnonzero(grouping.codes >= 0)
    inside = Grouping(
        grouping.names, grouping.codes[rows], grouping.by, grouping.rule, grouping.gaps, grouping.protocol
    )
    known = None if ages is None else np.asarray(ages, dtype=np.float64)[rows]
    within = within_groups(np.asarray(matrix)[rows], np.asarray(subjects)[rows], inside, known)
    fold = deal_subjects(within.subject, remedies.folds, remedies.seed) if remedies.names else within.subject
    found = {"": _evaluated(within, within.score, grouping, options, name, {"remedy": None})}
    for remedy in remedies.names:
        scores = remedied_scores(remedy, within, fold, options.targets, remedies.top, cohort)
        facts = {
            "remedy": remedy,
            "what": REMEDIES[remedy],
            "folds": remedies.folds,
            "seed": remedies.seed,
            "cohort": "given" if cohort is not None and remedy != "group-threshold" else "other subjects of the set",
        }
        found[remedy] = _evaluated(within, scores, grouping, options, f"{name} + {remedy}", facts)
    return found


def _evaluated(
    within: Within, scores: Float, grouping: Grouping, options: EvaluationOptions, name: str, facts: dict[str, Any]
) -> Evaluation:
    labelled = replace(grouping, codes=within.kind)
    comparisons, _ = comparisons_from_scores(
        scores,
        within.mated,
        groups=labelled,
        subject_ref=within.subject[within.reference],
        subject_probe=within.subject[within.probe],
    )
    return evaluate(comparisons, labelled, options, name=name, provenance={"kind": "remedy", **facts})
