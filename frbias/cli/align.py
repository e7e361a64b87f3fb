"""``frbias align``: find faces and bring them to a template."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frbias.cli import console
from frbias.cli.options import Force, Out, Workers

if TYPE_CHECKING:
    from frbias.core.data.samples import SampleTable


def command(
    data: Annotated[
        str, typer.Argument(help="Image set, folder of photographs, or the name of a registered data set.")
    ],
    out: Out = Path("aligned"),
    template: Annotated[
        str, typer.Option("--template", help="arcface (112x112, for recognisers) or ffhq (for generators).")
    ] = "arcface",
    size: Annotated[
        int, typer.Option("--size", min=0, help="Side of the crop in pixels; 0 means 112 (arcface) or 256 (ffhq).")
    ] = 0,
    detector: Annotated[
        str,
        typer.Option(
            "--detector", help="yunet (embedded), insightface:<pack>, or points (columns x1..y5 of the table)."
        ),
    ] = "yunet",
    faces: Annotated[
        str, typer.Option("--faces", help="Face to take of several: largest, central, or reject the image.")
    ] = "largest",
    max_residual: Annotated[
        float,
        typer.Option(
            "--max-residual",
            help="Reject points further than this fraction of the crop from the template; 0 accepts all.",
        ),
    ] = 0.2,
    workers: Workers = 0,
    force: Force = False,
) -> None:
    """Find faces and bring them to a template.

    Images without a usable face are skipped, counted and listed in rejected.csv.
    """
    from frbias.core.stages.align import AlignOptions, align

    options = AlignOptions(template=template, size=size, detector=detector, faces=faces, max_residual=max_residual)
    table, refused = _images(data)
    result = align(
        table,
        out,
        options=options,
        refused=refused,
        workers=workers,
        force=force,
        progress=console.ConsoleProgress(),
    )

    def human() -> None:
        console.say(f"{result.images} faces of {result.subjects} subjects in [bold]{result.out}[/bold].")
        if result.rejected:
            console.say(f"{result.rejected} images were rejected; see {result.out / 'rejected.csv'}.")

    console.result(
        {
            "out": str(result.out),
            "images": result.images,
            "subjects": result.subjects,
            "rejected": result.rejected,
            "reused": result.reused,
        },
        human,
    )


def _images(data: str) -> "tuple[SampleTable, list[tuple[str, str]]]":
    from frbias.core.data.datasets.loading import load_photographs
    from frbias.core.data.datasets.resolving import resolve_with_rejected
    from frbias.core.data.samples import METADATA_NAME
    from frbias.core.foundation.errors import BadInputError

    path = Path(data).expanduser()
    try:
        return resolve_with_rejected(data)
    except BadInputError:
        if not path.is_dir() or (path / METADATA_NAME).exists():
            raise
        table, refused = load_photographs(path)
        console.warn(f"{path} is in no layout that names people or ages; both stay unknown.")
        return table, refused
