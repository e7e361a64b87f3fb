"""Several sources of embeddings: found, planned, and compared, paired, with the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work
from frbias.core.stages.measuring import compare_embeddings
from frbias.core.stages.outcomes import Task, place_of
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.stages.sources import EmbeddedSet, EmbeddingsFile, Source, embedded_set, image_source

if TYPE_CHECKING:
    from frbias.core.recognisers.input_format import InputFormat
    from frbias.core.verification.paired import Comparison


def sources_of_files(paths: Sequence[str]) -> list[Source]:
    """Embeddings in files."""
    return [EmbeddingsFile(Path(path).expanduser()) for path in paths]


def sources_of_data(
    data: str, weights: Sequence[str], options: MeasureOptions, machine: Machine, *, given: "InputFormat | None" = None
) -> list[Source]:
    """An image set seen by recognisers; everything that is needed is there, or this raises.

    Args:
        data: Folder or registered name.
        weights: The recognisers.
        options: What will be measured.
        machine: What may be used.
        given: What is said about the input of the last recogniser.

    Raises:
        UsageError: The device is not there, or a column to group by.
        AssetMissingError: The data set or weights are not installed.
    """
    from frbias.core.foundation.devices import choose_device
    from frbias.core.recognisers.input_format import AS_THE_MODEL_SAYS

    choose_device(machine.resources.device)
    images = image_source(data, options)
    formats = [AS_THE_MODEL_SAYS] * (len(weights) - 1) + [given or AS_THE_MODEL_SAYS]
    return [embedded_set(images, name, said, machine) for name, said in zip(weights, formats, strict=True)]


def plan_measuring(task: Task, out: Path | None, machine: Machine) -> Plan:
    """The steps of an evaluation or a comparison."""
    return plan_of(task.sources, task.work, place_of(task, out), machine)


def plan_of(sources: Sequence[Source], work: Work, place: Path, machine: Machine) -> Plan:
    """The steps of some work on embeddings: aligning and embedding what is not there yet, then the work itself."""
    embedded = [source for source in sources if isinstance(source, EmbeddedSet)]
    steps = list(dict.fromkeys(step for source in embedded for step in source.steps()))
    device = ""
    if embedded:
        from frbias.core.foundation.devices import choose_device, describe_device

        device = describe_device(choose_device(machine.resources.device))
    return Plan((*steps, step_of(work.stage.capitalize(), work, place)), device)


def compare_sources(
    sources: Sequence[Source],
    options: MeasureOptions,
    *,
    titles: Sequence[str],
    machine: Machine,
    world: World,
) -> "list[Comparison]":
    """Compare every source with the first, paired.

    Raises:
        BadInputError, UsageError: A pair cannot be compared; with more than two sources the message names it.
    """
    loaded = [source.load(machine, world) for source in sources]
    found = []
    for other, title in zip(loaded[1:], titles[1:], strict=True):
        names = (titles[0], title)
        try:
            found.append(compare_embeddings(loaded[0], other, options, names=names, machine=machine, world=world))
        except (BadInputError, UsageError) as error:
            if len(sources) == 2:
                raise
            raise type(error)(f"{title} against {titles[0]}: {error.message}", hint=error.hint) from error
    return found
