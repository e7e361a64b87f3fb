"""The evaluate stage: scores, embeddings or images in; one evaluation (or paired comparison) and its folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.core.foundation.devices import World
<<<<<<< HEAD
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import atomic_path, write_json, write_text
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.verification.evaluation import DEFAULT_TARGETS, EvaluationOptions, evaluate, evaluate_embeddings
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, group_by_protocol, grouping_named
from frbias.core.verification.ratetable import rates_csv
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.scorefiles import ScoreFile
=======
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.provenance import Work
from frbias.core.stages.comparing import compare_sources
from frbias.core.stages.measuring import measure_embeddings, measure_scores
from frbias.core.stages.outcomes import Measured, Writing, settle
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.sources import EmbeddingsFile, Source, distinct, embedded_set, file_safe, image_source
from frbias.core.verification.scores.scorefiles import ScoreFile, read_scores
>>>>>>> main

if TYPE_CHECKING:
    from frbias.core.verification.results import Evaluation

<<<<<<< HEAD
EVALUATION_NAME = "evaluation.json"
COMPARISON_NAME = "comparison.json"
RATES_NAME = "rates.csv"
SCORES_NAME = "scores.parquet"
=======
STAGE, VERSION = "evaluate", 2
>>>>>>> main


def evaluate(
    request: EvaluateRequest, out: Path | None = None, *, machine: Machine = LOCAL, force: bool = False
) -> Measured:
    """Measure how equally a recogniser works over groups; the call behind ``frbias evaluate``.

    Args:
        request: What to evaluate, and what to measure.
        out: Folder to write; default: ``evaluations/<what>-<key>``, of which there is one for every work.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else, a group or target makes no sense for the data, or the device is
            not there.
        BadInputError: A file cannot be used, or no group has both kinds of comparison.
        AssetMissingError: The data set or the weights are not installed.
    """
    if request.scores is not None:
        return _of_scores(request, read_scores(request.scores), out, machine, force)
    sources, subject = _sources(request, machine)
    names = [*(source.name for source in sources[:-1]), request.name or sources[-1].name]
    titles = distinct(names, baseline=0 if len(sources) == 2 else None)
    work = Work(STAGE, VERSION, request.identity(), {"models": [source.identity() for source in sources]})

    def make(world: World) -> "list[Any]":
        if len(sources) == 2:
            return [compare_sources(sources, request, titles=titles, machine=machine, world=world)[0]]
        found = sources[0].load(machine, world)
        return [measure_embeddings(found, request, name=titles[0], machine=machine, world=world)]

    writing = Writing(len(sources) == 2, 1, request.figures, request.save_scores, request.fail_if)
    name = f"evaluations/{file_safe('-'.join([*subject, *(source.name for source in reversed(sources))]))}"
    return settle(work, out, make, writing, name=name, machine=machine, force=force)


def _of_scores(
    request: EvaluateRequest, source: ScoreFile, out: Path | None, machine: Machine, force: bool
) -> Measured:
    title = request.name or source.path.stem
    inputs = {"scores": sha256_file(source.path), "file": source.path.name}
    work = Work(STAGE, VERSION, request.identity(), inputs)

    def make(world: World) -> "list[Evaluation]":
        del world
        return [measure_scores(source, request, name=title)]

    writing = Writing(False, 1, request.figures, gates=request.fail_if)
    return settle(work, out, make, writing, name=f"evaluations/{file_safe(title)}", machine=machine, force=force)


def _sources(request: EvaluateRequest, machine: Machine) -> tuple[list[Source], list[str]]:
    """The baseline, when there is one, and what is evaluated; and the name of the data."""
    if request.data is None:
        assert request.embeddings is not None
        paths = [request.embeddings] if request.baseline is None else [Path(request.baseline), request.embeddings]
        return [EmbeddingsFile(path.expanduser()) for path in paths], []
    from frbias.core.foundation.devices import choose_device

<<<<<<< HEAD
    table = resolve_data(data)
    backbone = load_backbone(weights, device=choose_device(device))
    if not _is_aligned(table, int(backbone.model.input_size)):
        from frbias.core.stages.align import AlignOptions, align

        progress.note(f"{data} is not aligned; aligning it into {work / 'aligned'}")
        align(table, work / "aligned", options=AlignOptions(), progress=progress)
        table = read_samples(work / "aligned")
    folder = work / f"embeddings-{_file_safe(backbone.name)}"
    embed(table, backbone, folder, device=device, batch_size=batch_size, progress=progress)
    return read_embeddings(folder), backbone.name


def _is_aligned(table: "SampleTable", size: int) -> bool:
    """Whether the first readable image has the recogniser's input size."""
    from frbias.core.data.images import read_image
    from frbias.core.foundation.errors import BadImageError

    for path in table.paths:
        try:
            return bool(read_image(path).shape[:2] == (size, size))
        except BadImageError:
            continue
    raise BadInputError(f"{table.root} has no image that can be read.")


def _file_safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def write_outcome(
    folder: Path,
    outcome: "Evaluation | Comparison",
    *,
    figures: bool = True,
    scores: bool = False,
    announce: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Write the documents, ``rates.csv`` and the figures of an outcome; returns the results for provenance."""
    folder, document = Path(folder), outcome.to_json()
    paired = document["schema"] == "frbias.comparison"
    write_json(folder / EVALUATION_NAME, document["other"] if paired else document)
    write_text(folder / RATES_NAME, rates_csv(outcome if isinstance(outcome, Evaluation) else outcome.other))
    if paired:
        write_json(folder / COMPARISON_NAME, document)
    if scores:
        announce("writing scores")
        write_scores(folder / SCORES_NAME, outcome)
    drawn: list[str] = []
    if figures:
        from frbias.core.reporting.figures.every import draw_all

        announce("drawing figures")
        sources = [document["other"], document] if paired else [document]
        drawn = [figure.name for source in sources for figure in draw_all(source, folder / "figures")]
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
=======
    choose_device(machine.resources.device)
    images = image_source(request.data, request)
    weights = [request.weights] if request.baseline is None else [request.baseline, request.weights]
    return [embedded_set(images, name) for name in weights], [Path(request.data).name]
>>>>>>> main
