"""``frbias generate``: make synthetic faces of known identity and age."""

from dataclasses import dataclass

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.cli.takes_one import OneOf
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.words import counted
from frbias.synth.backends import BACKENDS
from frbias.synth.requests import GenerateRequest

USUAL = "mesh"


@dataclass(frozen=True, kw_only=True)
class Choice(Request):
    """Which generator.

    Attributes:
        backend: Its name.
    """

    title = "generate"
    backend: str = option(
        USUAL,
        short="-b",
        help=f"Generator: {', '.join(f'{b.name} ({b.about})' for b in BACKENDS.values())}.",
        metavar="|".join(BACKENDS),
        completes="backend",
    )


@takes(
    OneOf(Choice, choices={name: backend.request for name, backend in BACKENDS.items()}, usual=USUAL),
    OUTPUT.named("generated"),
    Part(Resources, only=("device", "workers")),
)
def command(request: GenerateRequest, output: Output, resources: Resources) -> None:
    """Make synthetic faces of known identity and age.

    The [bold]mesh[/bold] backend needs no downloaded weights. Finished images are never made again:
    run the same command to go on after an interruption.

    [bold]Examples[/bold]

        frbias generate --subjects 50 --ages 5,20,40,60 --out people

        frbias generate --backend cusp --input photos --ages 20,35,50,65

        frbias generate --backend eg3d --subjects 100 --poses -30,0,30x0
    """
    from frbias.synth.generate import generate, plan_generate

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_generate(request, output.out, machine=machine))
        return
    result = generate(request, output.out, machine=machine, force=output.force)
    summary = {
        "out": str(result.out),
        "images": result.images,
        "subjects": result.subjects,
        "rejected": result.rejected,
        "reused": result.reused,
    }

    def human() -> None:
        again = f", {result.reused} of them from an earlier run" if result.reused else ""
        console.say(
            f"{counted(result.images, 'image')} of {counted(result.subjects, 'subject')} in [bold]{result.out}[/bold]{again}."
        )
        if result.rejected:
            console.say(f"{result.rejected} could not be made; see {result.out / 'rejected.csv'}.")

    console.result(summary, human)
