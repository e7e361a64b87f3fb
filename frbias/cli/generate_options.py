"""Options of ``frbias generate``, by backend."""

from typing import Annotated

import typer

_MESH, _CUSP, _EG3D = "Mesh backend", "CUSP backend", "EG3D-Age"

Backend = Annotated[
    str, typer.Option("--backend", "-b", help="mesh (embedded), cusp (age editing) or eg3d (3-D aware).")
]
Ages = Annotated[str | None, typer.Option("--ages", help="Target ages in years: 5,20,40 or start:stop:step.")]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        help="fgnet: a stand-in for FG-NET (82 subjects, 1002 images, its ages, file names and 68 points).",
        rich_help_panel=_MESH,
    ),
]
Subjects = Annotated[
    int | None,
    typer.Option("--subjects", min=1, help="Number of identities; 20, or all 82 of a layout.", rich_help_panel=_MESH),
]
FirstSubject = Annotated[
    int, typer.Option("--first-subject", min=0, help="Number of the first identity.", rich_help_panel=_MESH)
]
Variants = Annotated[
    int | None,
    typer.Option(
        "--variants",
        min=1,
        help="Images per identity and age, each with its own pose and light; 2 when left out.",
        rich_help_panel=_MESH,
    ),
]
Size = Annotated[
    int, typer.Option("--size", min=64, max=1024, help="Width and height in pixels.", rich_help_panel=_MESH)
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="Network of cusp or eg3d: a name or file; 'tiny' is a random one for tests."),
]
Noise = Annotated[
    str | None, typer.Option("--noise", help="Noise in the layers of cusp or eg3d: const, random (seeded) or none.")
]
InputFaces = Annotated[
    str | None,
    typer.Option(
        "--input", help="Faces to age: a folder of photographs, an image set, or mesh:20.", rich_help_panel=_CUSP
    ),
]
Variant = Annotated[
    str | None,
    typer.Option("--variant", help="rr (ages in years) or ls (age bins such as 30-39).", rich_help_panel=_CUSP),
]
AgeBins = Annotated[
    str | None,
    typer.Option(
        "--age-bins",
        help="Instead of --ages, a random age per face from each range: thesis (its eight ranges; cusp), or "
        "3-6,20-30 (eg3d).",
    ),
]
GlobalBlur = Annotated[
    float | None,
    typer.Option("--global-blur", help="Blur of the structure kept, 0..1; 0.2.", rich_help_panel=_CUSP),
]
MaskBlur = Annotated[
    float | None,
    typer.Option("--mask-blur", help="Further blur where the age shows, 0..1; 0.8.", rich_help_panel=_CUSP),
]
MaskRule = Annotated[
    str | None,
    typer.Option(
        "--mask-rule",
        help="auto (as the checkpoint's own text shows), as_released_head, intended or off.",
        rich_help_panel=_CUSP,
    ),
]
Template = Annotated[
    str | None,
    typer.Option(
        "--template",
        help="ffhq: cut the FFHQ square around the largest face (default); none: the inputs are such crops.",
        rich_help_panel=_CUSP,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option("--precision", help="fp32, fp16 or bf16 in the finest layers of cusp or eg3d, for CUDA."),
]
Compiled = Annotated[
    bool | None, typer.Option("--compile/--no-compile", help="Compile the decoder of cusp or eg3d (CUDA).")
]
Poses = Annotated[
    str | None,
    typer.Option(
        "--poses",
        help="Head poses in degrees, yaws x pitches: -30,0,30x0 or -40:40:20x-10,10; or drawn for each person: "
        "normal:17x9:4 or uniform:30x10:4. Default 0x0.",
        rich_help_panel=_EG3D,
    ),
]
Psi = Annotated[float | None, typer.Option("--psi", help="Truncation; 0.75 when left out.", rich_help_panel=_EG3D)]
Cutoff = Annotated[
    int | None, typer.Option("--cutoff", help="Truncate only the first so many styles.", rich_help_panel=_EG3D)
]
Jitter = Annotated[
    str | None,
    typer.Option("--jitter", help="Depth jitter: random from the seed (default), or even.", rich_help_panel=_EG3D),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        help="Age calibration: auto (stored with the weights, if any; default), none, or a file.",
        rich_help_panel=_EG3D,
    ),
]
CalibrateFrom = Annotated[
    str | None,
    typer.Option(
        "--calibrate-from",
        metavar="SET",
        help="First fit a calibration on a set generated before, with estimated_age in its metadata.csv, and "
        "store it with the weights.",
        rich_help_panel=_EG3D,
    ),
]
AgeEstimator = Annotated[
    str | None,
    typer.Option("--age-estimator", help="dex: it estimates the ages of that set.", rich_help_panel=_EG3D),
]
