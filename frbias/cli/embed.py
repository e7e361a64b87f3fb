"""``frbias embed``: turn aligned faces into embeddings."""

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.embed import EmbedRequest


@takes(Part(EmbedRequest), OUTPUT.named("embeddings"), Part(Resources, only=("device", "batch_size")))
def command(request: EmbedRequest, output: Output, resources: Resources) -> None:
    """Turn aligned faces into embeddings (one Parquet file).

    Images that are not as large as the recogniser takes them are skipped, counted and listed in rejected.csv.

    [bold]Examples[/bold]

        frbias embed aligned --out baseline

        frbias embed aligned --weights runs/first --out finetuned

        frbias embed fgnet-aligned --weights r50 --flip add --device cuda
    """
    from frbias.core.stages.embed import embed, plan_embed

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_embed(request, output.out, machine=machine))
        return
    result = embed(request, output.out, machine=machine, force=output.force)

    def human() -> None:
        where = f"[bold]{result.out / 'embeddings.parquet'}[/bold]"
        console.say(f"{counted(result.images, 'face')}, {result.dimension} numbers each, in {where}.")
        if result.rejected:
            console.say(f"{counted(result.rejected, 'image')} rejected; see {result.out / 'rejected.csv'}.")

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
