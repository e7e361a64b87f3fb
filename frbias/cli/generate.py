"""``frbias generate``: make synthetic faces of known identity and age."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frbias.cli import console
from frbias.cli.options import BatchSize, Device, Force, Out, Seed, Workers, numbers

if TYPE_CHECKING:
    from frbias.synth.backend import AgeSynthesizer

# Options of each backend that are handed to it as they are; --ages is parsed for all.
_OPTIONS = {
    "mesh": ("subjects", "first_subject", "variants", "size", "seed", "layout"),
}
_MESH = "Mesh backend"


def command(
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="mesh (embedded), cusp (age editing) or eg3d (3-D aware).")
    ] = "mesh",
    out: Out = Path("generated"),
    ages: Annotated[
        str | None, typer.Option("--ages", help="Target ages in years: 5,20,40 or start:stop:step.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            help="fgnet: a stand-in for FG-NET (82 subjects, 1002 images, its ages, file names and 68 points).",
            rich_help_panel=_MESH,
        ),
    ] = None,
    subjects: Annotated[
        int | None,
        typer.Option(
            "--subjects", min=1, help="Number of identities; 20, or all 82 of a layout.", rich_help_panel=_MESH
        ),
    ] = None,
    first_subject: Annotated[
        int, typer.Option("--first-subject", min=0, help="Number of the first identity.", rich_help_panel=_MESH)
    ] = 0,
    variants: Annotated[
        int | None,
        typer.Option(
            "--variants",
            min=1,
            help="Images per identity and age, each with its own pose and light; 2 when left out.",
            rich_help_panel=_MESH,
        ),
    ] = None,
    size: Annotated[
        int, typer.Option("--size", min=64, max=1024, help="Width and height in pixels.", rich_help_panel=_MESH)
    ] = 256,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: BatchSize = 4,
    workers: Workers = 0,
    force: Force = False,
) -> None:
    """Make synthetic faces of known identity and age.

    The [bold]mesh[/bold] backend needs no downloaded weights. Finished images are never made again:
    run the same command to go on after an interruption.
    """
    options = dict(locals())
    generator = _build(backend, options)
    from frbias.synth.generation import generate

    result = generate(
        generator, out, batch_size=batch_size, workers=workers, force=force, progress=console.ConsoleProgress()
    )
    summary = {
        "out": str(result.out),
        "images": result.images,
        "subjects": result.subjects,
        "rejected": result.rejected,
        "reused": result.reused,
    }

    def human() -> None:
        again = f", {result.reused} of them from an earlier run" if result.reused else ""
        console.say(f"{result.images} images of {result.subjects} subjects in [bold]{result.out}[/bold]{again}.")
        if result.rejected:
            console.say(f"{result.rejected} could not be made; see {result.out / 'rejected.csv'}.")

    console.result(summary, human)


def _build(name: str, options: dict[str, Any]) -> "AgeSynthesizer":
    from frbias.synth.registry import make_backend

    given = {key: options[key] for key in _OPTIONS.get(name, ()) if options[key] is not None}
    if options["ages"] is not None:
        given["ages"] = tuple(numbers(options["ages"], "--ages"))
    return make_backend(name, given, options["device"])
