"""``frbias embed``: turn aligned faces into embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from frbias.cli import console
from frbias.cli.options import BatchSize, Device, Force, Out, Weights


def command(
    data: Annotated[str, typer.Argument(help="Aligned image set: a folder, or the name of a registered data set.")],
    weights: Weights = "sface",
    out: Out = Path("embeddings"),
    flip: Annotated[
        str, typer.Option("--flip", help="none, or add / concat the embedding of the mirrored face.")
    ] = "none",
    device: Device = "auto",
    batch_size: BatchSize = 128,
    force: Force = False,
) -> None:
    """Turn aligned faces into embeddings (one Parquet file)."""
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.foundation.devices import choose_device
    from frbias.core.recognisers.loading import load_recogniser
    from frbias.core.stages.embed import embed

    choose_device(device)
    table = resolve_data(data)
    result = embed(
        table,
        load_recogniser(weights),
        out,
        flip=flip,
        device=device,
        batch_size=batch_size,
        force=force,
        progress=console.ConsoleProgress(),
    )

    def human() -> None:
        where = f"[bold]{result.out / 'embeddings.parquet'}[/bold]"
        console.say(f"{result.images} faces, {result.dimension} numbers each, in {where}.")
        if result.rejected:
            console.say(f"{result.rejected} images were rejected; see {result.out / 'rejected.csv'}.")

    console.result(
        {
            "out": str(result.out),
            "images": result.images,
            "rejected": result.rejected,
            "dimension": result.dimension,
            "reused": result.reused,
        },
        human,
    )
