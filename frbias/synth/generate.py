"""The generate stage: a request becomes an image set; resumable, sharded, atomic."""

from pathlib import Path

from frbias.core.data.imagesets import ImageSetResult, produce
from frbias.core.foundation.devices import World, choose_device, describe_device
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work
from frbias.core.foundation.words import counted
from frbias.synth.age_synthesizer import AgeSynthesizer
from frbias.synth.backends import make_backend
from frbias.synth.requests import GenerateRequest, NetworkOptions

STAGE, VERSION = "generate", 1


def generate(request: GenerateRequest, out: Path, *, machine: Machine = LOCAL, force: bool = False) -> ImageSetResult:
    """Make faces of known identity and age into the image set ``out``; the call behind ``frbias generate``.

    Args:
        request: What to make: a :class:`~frbias.synth.mesh.request.MeshRequest`,
            :class:`~frbias.synth.cusp.request.CuspRequest` or :class:`~frbias.synth.eg3d.request.Eg3dRequest`.
        out: Output folder: new, empty, or holding the same work, finished or not.
        machine: What may be used.
        force: Replace an earlier image set in ``out``.

    Raises:
        UsageError: ``out`` holds something else, or the request does not fit the weights.
        BadInputError: The input holds no pictures, or not one image could be made.
        AssetMissingError: The generator's weights are not installed.
    """
    backend = make_backend(request, machine.resources.device)
    for note in backend.notes:
        machine.progress.note(f"warning: {note}")
    if backend.parallel == "batches":
        machine.tell(f"generating with {backend.name} on {describe_device(choose_device(machine.resources.device))}")
    in_flight = request.batch_size if isinstance(request, NetworkOptions) else 1
    return generate_with(backend, out, in_flight=in_flight, machine=machine, force=force)


def generate_work(backend: AgeSynthesizer) -> Work:
    """What the images of a generator depend on."""
    return Work(STAGE, VERSION, {"backend": backend.name, **backend.describe()}, {})


def plan_generate(request: GenerateRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`generate` would do; raises as it does."""
    backend = make_backend(request, machine.resources.device)
    tasks = [task for unit in backend.plan() for task in unit.tasks]
    people = counted(len({task.subject for task in tasks}), "subject")
    what = f"Generate {counted(len(tasks), 'image')} of {people} with {backend.name}"
    device = "" if backend.parallel == "processes" else describe_device(choose_device(machine.resources.device))
    return Plan((step_of(what, generate_work(backend), out),), device)


def generate_with(
    backend: AgeSynthesizer,
    out: Path,
    *,
    in_flight: int = 1,
    machine: Machine = LOCAL,
    force: bool = False,
    world: World | None = None,
) -> ImageSetResult:
    """Make the images that a generator, perhaps one of your own, has planned.

    Args:
        backend: The generator.
        out: Output folder: new, empty, or holding the same work.
        in_flight: Units per call for generators that work in batches.
        machine: What may be used.
        force: Replace an earlier image set in ``out``.
        world: Place among torchrun's processes; default: read from the environment.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The plan is empty, or not one image could be made.
    """
    work = generate_work(backend)
    return produce(
        backend,
        out,
        stage=work.stage,
        version=work.version,
        label=f"generating with {backend.name}",
        arguments=work.arguments,
        inputs=work.inputs,
        batch_size=in_flight,
        workers=machine.resources.workers,
        force=force,
        world=world,
        progress=machine.progress,
    )
