"""``frbias adapt``: take out of a recogniser's embeddings what tells no people apart, without training."""

from typing import TYPE_CHECKING

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.adapt import AdaptRequest

if TYPE_CHECKING:
    from frbias.core.stages.adapt import Adapted


@takes(Part(AdaptRequest), OUTPUT.named("adapted"), Part(Resources, only=("device", "workers")))
def command(request: AdaptRequest, output: Output, resources: Resources) -> None:
    """Take out of a recogniser's embeddings what tells no people apart: no training, seconds on a CPU.

    A few directions (what all images share, growing up, turning the head) are learned from renders, from your own
    photographs, or from both, and projected out. The result is a recogniser like any other (--weights adapted); any
    recogniser can be adapted, one that can only be run too.

    [bold]Examples[/bold]

        frbias adapt renders

        frbias adapt renders --photos my-photos --guard albums --weights deployed.onnx --out adapted

        frbias adapt renders family-albums --remove growth,pose --normalise wccn
    """
    from frbias.core.stages.adapt import adapt, plan_adapt

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_adapt(request, output.out, machine=machine))
        return
    done = adapt(request, output.out, machine=machine, force=output.force)
    summary = {
        "out": str(done.out),
        "made_of": list(done.made_of),
        "left_out": list(done.left_out),
        "strength": done.strength,
        "guarded": list(done.guarded),
        "images": done.images,
        "people": done.people,
        "dimension": done.dimension,
        "reused": done.reused,
    }
    console.result(summary, lambda: _tell(done))


def _tell(done: "Adapted") -> None:
    again = ", made before" if done.reused else ""
    people = counted(done.people, "person", "people")
    console.say(
        f"Adapted recogniser: [bold]{done.out}[/bold] (--weights {done.out}), learned from "
        f"{counted(done.images, 'image')} of {people}{again}."
    )
    console.say(f"Taken out of every embedding: {'; '.join(done.made_of)}.")
    for sentence in done.left_out:
        console.say(f"Not taken out: {sentence}")
    for sentence in done.guarded:
        console.say(sentence)
