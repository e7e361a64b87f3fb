"""``frbias demo``: the whole experiment, small, on what frbias embeds."""

from dataclasses import dataclass

from frbias.cli.run import FOLDER_OR_PLAN, MACHINE, run_and_tell, tell_plan
from frbias.cli.takes import Output, Part, takes
from frbias.core.foundation.commands import command_of
from frbias.core.foundation.machine import Resources
from frbias.core.foundation.requests import Request, option
from frbias.core.training.recipes import USUAL


@dataclass(frozen=True, kw_only=True)
class DemoRequest(Request):
    """How large the demo is.

    Attributes:
        train_subjects: People to fine-tune on.
        test_subjects: Other people to measure on.
        recipe: How the recogniser is fine-tuned.
        bootstrap: Subject bootstrap replicates.
        seed: Of everything random.
    """

    title = "demo"
    train_subjects: int = option(80, help="People to fine-tune on.", low=8)
    test_subjects: int = option(64, help="Other people to measure on.", low=8, high=10_000)
    recipe: str = option(
        USUAL, help="How the recogniser is fine-tuned (see 'frbias recipes').", metavar="NAME", completes="recipe"
    )
    bootstrap: int = option(1000, help="Subject bootstrap replicates.", low=0)
    seed: int = option(0, help="Seed of everything random; the same seed gives the same result.", low=0)


@takes(Part(DemoRequest), FOLDER_OR_PLAN.named("demo-out"), MACHINE)
def command(request: DemoRequest, output: Output, resources: Resources) -> None:
    """Run the whole experiment, small, with nothing to download by hand.

    Faces of known identity and age are made, aligned, and used to fine-tune SFace by the usual recipe; then age bias is
    measured before and after on other people. Everything ends in one report.
    """
    from frbias.experiment.demo import demo_document, demo_plan

    size = {
        "train_subjects": request.train_subjects,
        "test_subjects": request.test_subjects,
        "bootstrap": request.bootstrap,
        "seed": request.seed,
    }
    if output.dry_run:
        from frbias.experiment.grid import make_grid

        tell_plan(make_grid(demo_document(**size, recipe=request.recipe), "the demo"), output.out, resources)
        return
    run_and_tell(demo_plan(**size, recipe=request.recipe), output.out, resources, command_of(request, "demo"))
