"""The evaluate stage: scores, embeddings or images in; one evaluation (or paired comparison) and its folder out."""

from pathlib import Path

from frbias.core.foundation.devices import World
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.provenance import Work
from frbias.core.stages.comparing import compare_sources, plan_measuring, sources_of_data, sources_of_files
from frbias.core.stages.measuring import measure_embeddings, measure_scores
from frbias.core.stages.outcomes import Measured, Outcomes, Task, Writing, settle
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.sources import Source, distinct, file_safe
from frbias.core.stages.telling import told_of
from frbias.core.verification.scores.scorefiles import read_scores

STAGE, VERSION = "evaluate", 4


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
    return settle(_task(request, machine), out, machine=machine, force=force)


def plan_evaluate(request: EvaluateRequest, out: Path | None = None, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`evaluate` would do; raises as it does."""
    return plan_measuring(_task(request, machine), out, machine)


def _task(request: EvaluateRequest, machine: Machine) -> Task:
    if request.scores is not None:
        return _of_scores(request, request.scores)
    sources = _sources(request, machine)
    names = [*(source.name for source in sources[:-1]), request.name or sources[-1].name]
    titles = distinct(names, baseline=0 if len(sources) == 2 else None)

    def make(world: World) -> Outcomes:
        if len(sources) == 2:
            return compare_sources(sources, request, titles=titles, machine=machine, world=world)
        found = sources[0].load(machine, world)
        return [measure_embeddings(found, request, name=titles[0], machine=machine, world=world)]

    what = [*([Path(request.data).name] if request.data else []), *(source.name for source in reversed(sources))]
    return Task(
        Work(
            STAGE,
            VERSION,
            request.identity(),
            {"models": [source.identity() for source in sources]},
            told_of(request, STAGE, request.data, [request.embeddings or ""]),
        ),
        f"evaluations/{file_safe('-'.join(what))}",
        make,
        Writing(len(sources) == 2, 1, request.figures, request.save_scores, request.fail_if),
        tuple(sources),
    )


def _of_scores(request: EvaluateRequest, path: Path) -> Task:
    source = read_scores(path)
    title = request.name or source.path.stem
    inputs = {"scores": sha256_file(source.path), "file": source.path.name}

    def make(world: World) -> Outcomes:
        del world
        return [measure_scores(source, request, name=title)]

    return Task(
        Work(STAGE, VERSION, request.identity(), inputs, told_of(request, STAGE)),
        f"evaluations/{file_safe(title)}",
        make,
        Writing(False, 1, request.figures, gates=request.fail_if),
    )


def _sources(request: EvaluateRequest, machine: Machine) -> list[Source]:
    """The baseline, when there is one, and what is evaluated."""
    if request.data is not None:
        weights = [request.weights] if request.baseline is None else [request.baseline, request.weights]
        return sources_of_data(request.data, weights, request, machine, given=request.input_format())
    assert request.embeddings is not None
    return sources_of_files([*([request.baseline] if request.baseline is not None else []), str(request.embeddings)])
