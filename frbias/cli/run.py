"""``frbias run``: a whole experiment from one TOML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli.takes import Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.requests import Request, option

if TYPE_CHECKING:
    from frbias.experiment.plan import ExperimentPlan
    from frbias.experiment.stages import ExperimentResult

FOLDER = Part(Output, only=("out",))
MACHINE = Part(Resources, only=("device", "workers"))


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """What to run.

    Attributes:
        file: The experiment file.
    """

    title = "run"
    file: Path = option(help="Experiment file (TOML); see the folder experiments/.", positional=True)


@takes(Part(RunRequest), FOLDER.named("experiment"), MACHINE)
def command(request: RunRequest, output: Output, resources: Resources) -> None:
    """Run a whole experiment: generate, align, fine-tune, embed, evaluate, report.

    Finished stages are never done again: run the same command to go on after an interruption.

    [bold]Examples[/bold]

        frbias run experiments/thesis-cusp.toml --out thesis

        frbias run my.toml --workers 4
    """
    from frbias.experiment.plan import read_plan

    run_and_tell(read_plan(request.file), output.out, resources)


def run_and_tell(plan: "ExperimentPlan", out: Path, resources: Resources) -> None:
    """Run ``plan`` into ``out`` and print what came out and where it is.

    Raises:
        GateError: A condition of the plan is not met.
    """
    import time

    from frbias.core.foundation.errors import GateError
    from frbias.experiment.stages import run_experiment

    started = time.monotonic()

    def tell(message: str) -> None:
        seconds = int(time.monotonic() - started)
        console.note(f"[{seconds // 60:2d}:{seconds % 60:02d}] {message}")

    result = run_experiment(plan, out, Machine(resources, console.ConsoleProgress(), tell))
    console.result(_document(result), lambda: _show(result, plan))
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")


def _document(result: "ExperimentResult") -> dict[str, Any]:
    paths = result.paths
    return {
        "out": str(paths.out),
        "report": str(paths.report),
        "evaluation": str(paths.evaluation),
        "run": str(paths.run),
        "train_images": result.train_images,
        "test_images": result.test_images,
        "verdict": result.verdict.headline,
        "kept": result.training.final,
        "targets": result.document["targets"],
    }


def _show(result: "ExperimentResult", plan: "ExperimentPlan") -> None:
    from frbias.cli.comparison_view import show_comparison

    show_comparison(result.document)
    console.say("")
    console.say(f"[bold]{result.verdict.headline}[/bold]")
    console.say(result.verdict.meaning)
    for caution in result.verdict.cautions:
        console.say(f"  * {caution}")
    _say_what_is_known(result, plan)
    paths = result.paths
    places = [
        ("report (open it in a browser)", paths.report),
        ("every number in it", paths.evaluation),
        ("rates and figures", paths.comparison),
        ("fine-tuned recogniser", paths.run),
        ("faces to train with", paths.out / "train"),
        ("faces to test with", paths.out / "test"),
    ]
    console.say("")
    console.table("Where everything is", ("what", "where"), [(what, str(p)) for what, p in places if p.exists()])


def _say_what_is_known(result: "ExperimentResult", plan: "ExperimentPlan") -> None:
    """What the run shows, what is known of photographs, and what decides."""
    from frbias.core.training.recipes import read_recipe

    if plan.test.generated is None:
        return
    console.say("")
    console.say("What was measured here holds for generated faces.")
    if plan.finetune.recipe:
        console.say(f"Photographs ({plan.finetune.recipe}): {read_recipe(plan.finetune.recipe).measured}")
    console.say(
        f"Your own photographs decide: frbias evaluate --data PHOTOS --weights {result.paths.run} "
        f"--baseline {plan.finetune.weights}"
    )
