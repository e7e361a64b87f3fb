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
    "cusp": (
        "input",
        "variant",
        "weights",
        "age_bins",
        "global_blur",
        "mask_blur",
        "mask_rule",
        "noise",
        "template",
        "precision",
        "compiled",
        "seed",
    ),
    "eg3d": (
        "subjects",
        "first_subject",
        "weights",
        "age_bins",
        "poses",
        "psi",
        "cutoff",
        "noise",
        "jitter",
        "calibration",
        "calibrate_from",
        "age_estimator",
        "precision",
        "compiled",
        "seed",
    ),
}
_MESH, _CUSP, _EG3D = "Mesh backend", "CUSP backend", "EG3D-Age"


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
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Network of cusp or eg3d: a name or file; 'tiny' is a random one for tests."),
    ] = None,
    noise: Annotated[
        str | None, typer.Option("--noise", help="Noise in the layers of cusp or eg3d: const, random (seeded) or none.")
    ] = None,
    input_faces: Annotated[
        str | None,
        typer.Option(
            "--input", help="Faces to age: a folder of photographs, an image set, or mesh:20.", rich_help_panel=_CUSP
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="rr (ages in years) or ls (age bins such as 30-39).", rich_help_panel=_CUSP),
    ] = None,
    age_bins: Annotated[
        str | None,
        typer.Option(
            "--age-bins",
            help="Instead of --ages, a random age per face from each range: thesis (its eight ranges; cusp), or "
            "3-6,20-30 (eg3d).",
        ),
    ] = None,
    global_blur: Annotated[
        float | None,
        typer.Option("--global-blur", help="Blur of the structure kept, 0..1; 0.2.", rich_help_panel=_CUSP),
    ] = None,
    mask_blur: Annotated[
        float | None,
        typer.Option("--mask-blur", help="Further blur where the age shows, 0..1; 0.8.", rich_help_panel=_CUSP),
    ] = None,
    mask_rule: Annotated[
        str | None,
        typer.Option(
            "--mask-rule",
            help="auto (as the checkpoint's own text shows), as_released_head, intended or off.",
            rich_help_panel=_CUSP,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="ffhq: cut the FFHQ square around the largest face (default); none: the inputs are such crops.",
            rich_help_panel=_CUSP,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="fp32, fp16 or bf16 in the finest layers of cusp or eg3d, for CUDA."),
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Compile the decoder of cusp or eg3d (CUDA).")
    ] = None,
    poses: Annotated[
        str | None,
        typer.Option(
            "--poses",
            help="Head poses in degrees, yaws x pitches: -30,0,30x0 or -40:40:20x-10,10; or drawn for each person: "
            "normal:17x9:4 or uniform:30x10:4. Default 0x0.",
            rich_help_panel=_EG3D,
        ),
    ] = None,
    psi: Annotated[
        float | None, typer.Option("--psi", help="Truncation; 0.75 when left out.", rich_help_panel=_EG3D)
    ] = None,
    cutoff: Annotated[
        int | None, typer.Option("--cutoff", help="Truncate only the first so many styles.", rich_help_panel=_EG3D)
    ] = None,
    jitter: Annotated[
        str | None,
        typer.Option("--jitter", help="Depth jitter: random from the seed (default), or even.", rich_help_panel=_EG3D),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            help="Age calibration: auto (stored with the weights, if any; default), none, or a file.",
            rich_help_panel=_EG3D,
        ),
    ] = None,
    calibrate_from: Annotated[
        str | None,
        typer.Option(
            "--calibrate-from",
            metavar="SET",
            help="First fit a calibration on a set generated before, with estimated_age in its metadata.csv, and "
            "store it with the weights.",
            rich_help_panel=_EG3D,
        ),
    ] = None,
    age_estimator: Annotated[
        str | None,
        typer.Option("--age-estimator", help="dex: it estimates the ages of that set.", rich_help_panel=_EG3D),
    ] = None,
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
    options["input"] = options.pop("input_faces")
    generator = _build(backend, options)
    for note in getattr(generator, "notes", ()):
        console.warn(note)
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
        words = name == "cusp" and ":" not in options["ages"]  # age bins have names such as 30-39
        given["ages"] = tuple(options["ages"].split(",") if words else numbers(options["ages"], "--ages"))
    return make_backend(name, given, options["device"])
