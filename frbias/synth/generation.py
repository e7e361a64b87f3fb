"""``generate``: a backend's plan becomes an image set; resumable, sharded, atomic."""

from pathlib import Path

from frbias.core.data.imagesets import ImageSetResult, produce
from frbias.core.foundation.devices import World
from frbias.core.foundation.progress import SILENT, Progress
from frbias.synth.backend import AgeSynthesizer

GenerationResult = ImageSetResult


def generate(
    backend: AgeSynthesizer,
    out: Path,
    *,
    batch_size: int = 1,
    workers: int = 1,
    force: bool = False,
    world: World | None = None,
    progress: Progress = SILENT,
) -> GenerationResult:
    """Make the images a generator has planned.

    Args:
        backend: The generator.
        out: Output folder: new, empty, or holding the same work.
        batch_size: Units per call for backends that work in batches.
        workers: Worker processes for backends that work in processes; 0 means one per core.
        force: Replace an earlier image set in ``out``.
        world: Place among torchrun's processes; default: read from the environment.
        progress: Where to report.

    Raises:
        UsageError: ``out`` holds something else.
        BadInputError: The plan is empty, or not one image could be made.
    """
    return produce(
        backend,
        out,
        stage="generate",
        label=f"generating with {backend.name}",
        arguments={"backend": backend.name, **backend.describe()},
        batch_size=batch_size,
        workers=workers,
        force=force,
        world=world,
        progress=progress,
    )
