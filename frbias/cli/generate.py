"""``frbias generate``: make synthetic faces of known identity and age."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli import generate_options as o
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


def command(
    backend: o.Backend = "mesh",
    out: Out = Path("generated"),
    ages: o.Ages = None,
    layout: o.Layout = None,
    subjects: o.Subjects = None,
    first_subject: o.FirstSubject = 0,
    variants: o.Variants = None,
    size: o.Size = 256,
    weights: o.Weights = None,
    noise: o.Noise = None,
    input_faces: o.InputFaces = None,
    variant: o.Variant = None,
    age_bins: o.AgeBins = None,
    global_blur: o.GlobalBlur = None,
    mask_blur: o.MaskBlur = None,
    mask_rule: o.MaskRule = None,
    template: o.Template = None,
    precision: o.Precision = None,
    compiled: o.Compiled = None,
    poses: o.Poses = None,
    psi: o.Psi = None,
    cutoff: o.Cutoff = None,
    jitter: o.Jitter = None,
    calibration: o.Calibration = None,
    calibrate_from: o.CalibrateFrom = None,
    age_estimator: o.AgeEstimator = None,
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
    from frbias.synth.backends import make_backend

    given = {key: options[key] for key in _OPTIONS.get(name, ()) if options[key] is not None}
    if options["ages"] is not None:
        words = name == "cusp" and ":" not in options["ages"]  # age bins have names such as 30-39
        given["ages"] = tuple(options["ages"].split(",") if words else numbers(options["ages"], "--ages"))
    return make_backend(name, given, options["device"])
