"""``frbias align``: find faces and bring them to a template."""

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.requests.align import AlignRequest


@takes(Part(AlignRequest), OUTPUT.named("aligned"), Part(Resources, only=("workers",)))
def command(request: AlignRequest, output: Output, resources: Resources) -> None:
    """Find faces and bring them to a template.

    Images without a usable face are skipped, counted and listed in rejected.csv.

    [bold]Examples[/bold]

        frbias align people --out aligned

        frbias align fgnet --out fgnet-aligned --detector points

        frbias align photos --template ffhq --size 512
    """
    from frbias.core.stages.align import align

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    result = align(request, output.out, machine=machine, force=output.force)

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
