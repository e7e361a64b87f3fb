"""Remedies beside recognisers: the baseline's scores changed without training, judged on the same comparisons."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from frbias.core.data.embeddings import Embeddings
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.words import counted
from frbias.core.stages.measuring import grouping_of, same_images
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.sources import Source
from frbias.core.verification.assembling import EvaluationOptions
from frbias.core.verification.paired import compare_evaluations
from frbias.core.verification.remedies.judging import RemedyOptions, judge_remedies
from frbias.core.verification.remedies.normalisation import Cohort, make_cohort
from frbias.core.verification.results import Evaluation

if TYPE_CHECKING:
    from frbias.core.verification.paired import Comparison


def compare_with_remedies(
    sources: Sequence[Source],
    request: CompareRequest,
    *,
    titles: Sequence[str],
    cohort: Source | None,
    machine: Machine,
    world: World,
) -> "list[Comparison]":
    """Compare every other recogniser, and every remedy of the first, with the first as it is, paired.

    Only the images that all recognisers have embeddings of are used, and only comparisons within groups.

    Raises:
        BadInputError: The recognisers share no image, the cohort has one of the evaluated people, or a group is too
            small to learn from.
        UsageError: There are too few subjects to cross-fit, or too many comparisons.
    """
    loaded = _shared([source.load(machine, world) for source in sources], machine)
    others = None if cohort is None else _cohort(cohort.load(machine, world), loaded[0], titles[0])
    remedies = RemedyOptions(request.remedy, request.remedy_folds, request.cohort_top, request.seed)
    machine.tell("fitting remedies")
    found = _judged(loaded[0], request, remedies, others, titles[0])
    baseline = found.pop("")
    nothing = RemedyOptions(())
    models = [
        _judged(embeddings, request, nothing, None, title)[""]
        for embeddings, title in zip(loaded[1:], titles[1:], strict=True)
    ]
    compared = [compare_evaluations(baseline, model) for model in models]
    return [*compared, *(_of_another_scale(compare_evaluations(baseline, other)) for other in found.values())]


def _of_another_scale(comparison: "Comparison") -> "Comparison":
    """Without what the baseline's threshold would do to scores that are on another scale."""
    return replace(comparison, targets=tuple(replace(at, at_baseline_tau=None) for at in comparison.targets))


def _judged(
    embeddings: Embeddings, request: CompareRequest, remedies: RemedyOptions, cohort: Cohort | None, title: str
) -> dict[str, Evaluation]:
    frame = embeddings.frame
    columns = {str(c): frame[c].to_numpy() for c in frame.columns if c not in ("file_name", "subject", "embedding")}
    options = EvaluationOptions(
        targets=request.at_fmr,
        alpha=request.alpha,
        replicates=request.bootstrap,
        seed=request.seed,
        confidence=request.confidence,
    )
    return judge_remedies(
        embeddings.matrix,
        frame["subject"].astype(str).to_numpy(),
        grouping_of(request, columns),
        remedies,
        options,
        ages=frame["age"].to_numpy(dtype=np.float64),
        cohort=cohort,
        name=title,
    )


def _shared(loaded: list[Embeddings], machine: Machine) -> list[Embeddings]:
    """The embeddings of the images that all have, with a subject, in the order of the first."""
    frame = loaded[0].frame
    known = frame["subject"].fillna("").astype(str).str.strip().ne("").to_numpy()
    if not known.any():
        raise BadInputError("No image has a subject, so there is nothing to verify.")
    first = Embeddings(frame[known].reset_index(drop=True), loaded[0].matrix[known], loaded[0].provenance)
    for other in loaded[1:]:
        first = same_images(first, other)[0]
    if len(first) < int(known.sum()):
        machine.progress.note(f"{counted(int(known.sum()) - len(first), 'image')} not in every set, left out.")
    return [first, *(same_images(first, other)[1] for other in loaded[1:])]


def _cohort(found: Embeddings, evaluated: Embeddings, name: str) -> Cohort:
    subjects = found.frame["subject"].fillna("").astype(str).str.strip()
    same = set(subjects) & set(evaluated.frame["subject"].astype(str)) - {""}
    if same and set(found.frame["file_name"]) & set(evaluated.frame["file_name"]):
        raise BadInputError(
            f"The cohort holds images of {min(same)}, who is judged too; give a cohort of other people to {name}."
        )
    if (subjects == "").all():
        subjects = found.frame["file_name"].astype(str)
    return make_cohort(found.matrix, subjects.to_numpy())
