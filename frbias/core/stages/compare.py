"""The compare stage: two or more recognisers on the same images, paired."""

from pathlib import Path
from typing import TYPE_CHECKING

from frbias.core.foundation.devices import World
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.provenance import Work
from frbias.core.stages.comparing import compare_sources
from frbias.core.stages.outcomes import Measured, Writing, settle
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.sources import EmbeddingsFile, Source, distinct, embedded_set, file_safe, image_source

if TYPE_CHECKING:
    from frbias.core.verification.paired import Comparison

STAGE, VERSION = "compare", 2


def compare(
    request: CompareRequest, out: Path | None = None, *, machine: Machine = LOCAL, force: bool = False
) -> Measured:
    """Compare recognisers with the first of them, paired; the call behind ``frbias compare``.

    Args:
        request: What to compare, and what to measure.
        out: Folder to write; default: ``comparisons/<what>-<key>``, of which there is one for every work. With more
            than two models each pair has a numbered folder in it.
        machine: What may be used.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else, a group or target makes no sense for the data, or the device is
            not there.
        BadInputError: A file cannot be used, or two models share no image.
        AssetMissingError: The data set or the weights are not installed.
    """
    sources = _sources(request, machine)
    shown = request.names or distinct([source.name for source in sources])
    work = Work(STAGE, VERSION, request.identity(), {"models": [source.identity() for source in sources]})

    def make(world: World) -> "list[Comparison]":
        return compare_sources(sources, request, titles=shown, machine=machine, world=world)

    writing = Writing(True, len(sources) - 1, request.figures, gates=request.fail_if)
    parts = [*([Path(request.data).name] if request.data else []), *(source.name for source in sources[:3])]
    name = f"comparisons/{file_safe('-'.join(parts))}"
    return settle(work, out, make, writing, name=name, machine=machine, force=force)


def _sources(request: CompareRequest, machine: Machine) -> list[Source]:
    if request.data is None:
        return [EmbeddingsFile(Path(model).expanduser()) for model in request.models]
    from frbias.core.foundation.devices import choose_device

    choose_device(machine.resources.device)
    images = image_source(request.data, request)
    return [embedded_set(images, model) for model in request.models]
