"""The evaluate stage: scores, embeddings or images in; one evaluation (or paired comparison) and its folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.core.foundation.devices import World
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.provenance import Work
from frbias.core.stages.comparing import compare_sources
from frbias.core.stages.measuring import measure_embeddings, measure_scores
from frbias.core.stages.outcomes import Measured, Writing, settle
from frbias.core.stages.requests.evaluate import EvaluateRequest
from frbias.core.stages.sources import EmbeddingsFile, Source, distinct, embedded_set, file_safe, image_source
from frbias.core.verification.scores.scorefiles import ScoreFile, read_scores

if TYPE_CHECKING:
    from frbias.core.verification.results import Evaluation

STAGE, VERSION = "evaluate", 2


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

    choose_device(machine.resources.device)
    images = image_source(request.data, request)
    weights = [request.weights] if request.baseline is None else [request.baseline, request.weights]
    return [embedded_set(images, name) for name in weights], [Path(request.data).name]
