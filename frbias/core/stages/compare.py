"""The compare stage: two or more recognisers on the same images, paired."""

from pathlib import Path
from typing import Any

from frbias.core.data.datasets.resolving import resolve_with_rejected
from frbias.core.foundation.devices import World
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan
from frbias.core.foundation.provenance import Work
from frbias.core.stages.comparing import compare_sources, plan_measuring, sources_of_data, sources_of_files
from frbias.core.stages.outcomes import Measured, Outcomes, Task, Writing, settle
from frbias.core.stages.remedying import compare_with_remedies
from frbias.core.stages.requests.compare import CompareRequest
from frbias.core.stages.sources import EmbeddingsFile, ImageSource, Source, distinct, embedded_set, file_safe
from frbias.core.stages.telling import told_of

STAGE, VERSION = "compare", 7


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
    return settle(_task(request, machine), out, machine=machine, force=force)


def plan_compare(request: CompareRequest, out: Path | None = None, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`compare` would do; raises as it does."""
    return plan_measuring(_task(request, machine), out, machine)


def _task(request: CompareRequest, machine: Machine) -> Task:
    if request.data is None:
        sources = sources_of_files(request.models)
    else:
        sources = sources_of_data(request.data, request.models, request, machine)
    titles = request.names or distinct([source.name for source in sources])

    cohort = None if request.cohort is None else _cohort(request, request.cohort, machine)

    def make(world: World) -> Outcomes:
        if request.remedy:
            return compare_with_remedies(sources, request, titles=titles, cohort=cohort, machine=machine, world=world)
        return compare_sources(sources, request, titles=titles, machine=machine, world=world)

    what = [*([Path(request.data).name] if request.data else []), *(source.name for source in sources[:3])]
    inputs: dict[str, Any] = {"models": [source.identity() for source in sources]}
    if cohort is not None:
        inputs["cohort"] = cohort.identity()
    return Task(
        Work(STAGE, VERSION, request.identity(), inputs, told_of(request, STAGE, request.data, request.models)),
        f"comparisons/{file_safe('-'.join(what))}",
        make,
        Writing(
            True, len(sources) - 1 + len(request.remedy), request.figures, False, request.fail_if, request.save_draws
        ),
        tuple(sources) if cohort is None else (*sources, cohort),
    )


def _cohort(request: CompareRequest, cohort: str, machine: Machine) -> Source:
    """Other people, as the baseline sees them."""
    if request.data is None:
        return EmbeddingsFile(Path(cohort).expanduser())
    from frbias.core.recognisers.input_format import AS_THE_MODEL_SAYS

    table, refused = resolve_with_rejected(cohort)
    return embedded_set(ImageSource(cohort, table, tuple(refused)), request.models[0], AS_THE_MODEL_SAYS, machine)
