"""Claim, measure, write: what evaluating and comparing have in common, once.

An outcome's folder holds ``evaluation.json`` (of the other model, when two were compared), ``comparison.json`` (when
two were), ``rates.csv``, ``scores.parquet`` and ``draws.parquet`` when asked for, and figures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frbias.core.foundation.devices import World, world_from_environment
from frbias.core.foundation.errors import FrbiasError, UsageError
from frbias.core.foundation.files import atomic_path, read_object, write_json, write_text
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.provenance import Work, claim_together
from frbias.core.verification.ratetable import rates_csv
from frbias.core.verification.results import Evaluation

if TYPE_CHECKING:
    from frbias.core.stages.sources import Source
    from frbias.core.verification.paired import Comparison

    Outcomes = Sequence[Evaluation | Comparison]
else:
    Outcomes = Sequence

EVALUATION_NAME = "evaluation.json"
COMPARISON_NAME = "comparison.json"
RATES_NAME = "rates.csv"
SCORES_NAME = "scores.parquet"
FIGURES = "figures"
DRAWS_NAME = "draws.parquet"
_KEY_LETTERS = 8


@dataclass(frozen=True)
class Measured:
    """What an evaluation or a comparison left.

    Attributes:
        out: The folder.
        documents: Its documents: the evaluation, or one comparison for every model beside the baseline. Empty on the
            ranks of a torchrun launch beside the leader.
        broken_gates: One sentence for every condition that is not met.
        reused: True when the same work had been finished before.
    """

    out: Path
    documents: tuple[dict[str, Any], ...]
    broken_gates: tuple[str, ...]
    reused: bool

    @property
    def document(self) -> dict[str, Any]:
        """The document, when there is one."""
        return self.documents[0]

    @property
    def outcomes(self) -> "tuple[Evaluation | Comparison, ...]":
        """The documents as evaluations or comparisons."""
        from frbias.core.reporting.documents import typed

        return tuple(typed(document) for document in self.documents)

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation; of the other model, when two were compared."""
        first = self.outcomes[0]
        return first if isinstance(first, Evaluation) else first.other


@dataclass(frozen=True)
class Writing:
    """What is written of an outcome.

    Attributes:
        paired: Comparisons rather than an evaluation.
        count: How many outcomes there are.
        figures: Draw figures.
        scores: Write every score.
        gates: Conditions judged on every outcome.
        draws: Write the bootstrap draws of every comparison.
    """

    paired: bool
    count: int = 1
    figures: bool = True
    scores: bool = False
    gates: tuple[str, ...] = ()
    draws: bool = False

    @property
    def document(self) -> str:
        """Name of the document."""
        return COMPARISON_NAME if self.paired else EVALUATION_NAME


@dataclass(frozen=True)
class Task:
    """An evaluation or a comparison that is ready to be made.

    Attributes:
        work: What it depends on.
        name: Path of its folder when none is given, without the letters of the key that are added.
        make: Measures; called on every rank of a torchrun launch.
        writing: What is written.
        sources: Where the embeddings come from.
    """

    work: Work
    name: str
    make: "Callable[[World], Outcomes]"
    writing: Writing
    sources: "tuple[Source, ...]" = ()


def place_of(task: Task, out: Path | None) -> Path:
    """The folder of a task: ``out``, or a name with the first letters of the key, which no other work has."""
    return place_for(task.work, task.name, out)


def place_for(work: Work, name: str, out: Path | None) -> Path:
    """``out``, or ``name`` with the first letters of the key of ``work``."""
    return Path(out) if out is not None else Path(f"{name}-{work.key[:_KEY_LETTERS]}")


def settle(task: Task, out: Path | None, *, machine: Machine, force: bool = False) -> Measured:
    """Claim the folder of a task, measure unless it is finished there, write, and judge the gates.

    Args:
        task: What to do.
        out: The folder; None for a name of its own.
        machine: What may be used.
        force: Replace an earlier result.

    Raises:
        UsageError: ``out`` holds something else.
    """
    world, place, writing = world_from_environment(), place_of(task, out), task.writing
    with process_group(world) as barrier:
        folder = claim_together(place, task.work, world, barrier, force=force)
        places = [place] if writing.count == 1 else [place / f"{k + 1:02d}" for k in range(writing.count)]
        if not folder.finished:
            try:
                outcomes = task.make(world)
            except FrbiasError:
                if world.leader:
                    folder.abandon()
                raise
            if world.leader:
                drawn = [
                    write_outcome(where, outcome, writing, tell=machine.tell)
                    for where, outcome in zip(places, outcomes, strict=True)
                ]
                folder.finish(drawn[0] if writing.count == 1 else {"comparisons": drawn})
            barrier()
    documents = tuple(read_object(where / writing.document) for where in places)
    return Measured(place, documents, _broken(writing, documents), folder.finished)


def _broken(writing: Writing, documents: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    from frbias.core.verification.gates import failures, parse_gate

    gates = [parse_gate(text) for text in writing.gates]
    if len(documents) == 1:
        return tuple(failures(gates, documents[0]))
    return tuple(f"{found['other']['name']}: {text}" for found in documents for text in failures(gates, found))


def write_outcome(
    folder: Path,
    outcome: "Evaluation | Comparison",
    writing: Writing,
    *,
    tell: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Write the documents, ``rates.csv`` and the figures of an outcome; returns the results for provenance."""
    folder, document = Path(folder), outcome.to_json()
    write_json(folder / EVALUATION_NAME, document["other"] if writing.paired else document)
    write_text(folder / RATES_NAME, rates_csv(outcome if isinstance(outcome, Evaluation) else outcome.other))
    if writing.paired:
        write_json(folder / COMPARISON_NAME, document)
    if writing.scores:
        tell("writing scores")
        write_scores(folder / SCORES_NAME, outcome)
    if writing.draws and not isinstance(outcome, Evaluation):
        write_draws(folder / DRAWS_NAME, outcome)
    drawn: list[str] = []
    if writing.figures:
        from frbias.core.reporting.figures.every import draw_document

        tell("drawing figures")
        drawn = draw_document(document, folder / FIGURES).names
    return {"figures": drawn}


def write_scores(path: Path, outcome: "Evaluation | Comparison") -> None:
    """Write every comparison score as Parquet, with bob's column names; mated comparisons first.

    Columns: ``bio_ref_sample``, ``probe_sample`` (row of the evaluated embeddings), ``bio_ref_subject_id``,
    ``probe_subject_id``, ``group`` (empty across groups), ``mated``, ``score``. The file can be given to ``--scores``.

    Raises:
        UsageError: The comparisons do not come from embeddings, or are too many to be held.
    """
    import pandas as pd

    evaluation = outcome if isinstance(outcome, Evaluation) else outcome.other
    source = evaluation.source
    if source is None or source.weights is None:
        raise UsageError("--save-scores needs embeddings; a file of scores is saved already.")
    if not source.tally.complete(np.arange(source.classes.count)):
        raise UsageError("--save-scores: there are too many comparisons to write them all; evaluate fewer images.")
    tally, mated = source.tally, source.mated
    names, groups = np.array(source.subject_names), np.array([*source.groups, ""])
    first, second = np.r_[mated.first, tally.first], np.r_[mated.second, tally.second]
    frame = pd.DataFrame(
        {
            "bio_ref_sample": first,
            "probe_sample": second,
            "bio_ref_subject_id": names[source.subject_of[first]],
            "probe_subject_id": names[source.subject_of[second]],
            "group": groups[np.r_[mated.group, np.minimum(tally.kind, len(groups) - 1)]],
            "mated": np.r_[np.ones(len(mated.score), bool), np.zeros(len(tally.score), bool)],
            "score": np.r_[mated.score, tally.score],
        }
    )
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def write_draws(path: Path, comparison: "Comparison") -> None:
    """Write :func:`frbias.core.verification.drawn.table_of_draws` as Parquet."""
    from frbias.core.verification.drawn import table_of_draws

    with atomic_path(path) as temporary:
        table_of_draws(comparison).to_parquet(temporary, index=False)
