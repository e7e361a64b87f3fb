"""``frbias run``: a whole experiment from one TOML file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from frbias.cli import console
from frbias.cli.takes import Output, Part, takes
from frbias.core.foundation.commands import command_of
from frbias.core.foundation.errors import ElsewhereError, FrbiasError, GateError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.words import counted

if TYPE_CHECKING:
    from frbias.experiment.grid import Grid
    from frbias.experiment.plan import ExperimentPlan
    from frbias.experiment.stages import ExperimentResult

FOLDER_OR_PLAN = Part(Output, only=("out", "dry_run"))
MACHINE = Part(Resources, only=("device", "workers"))


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """What to run.

    Attributes:
        file: The experiment file.
        jobs: Stages done at a time.
        cluster: Where: empty for this machine, ``slurm``, or ``local`` for submitit's own processes.
        cluster_option: Parameters of submitit.
    """

    title = "run"
    file: Path = option(help="Experiment file (TOML); see the folder experiments/.", positional=True)
    jobs: int = option(1, help="Stages of a grid done at a time.", low=1, high=10_000, decides=False)
    cluster: Literal["", "slurm", "local"] = option(
        "",
        help="Do the stages of a grid as jobs: slurm (needs submitit), or local to try it.",
        metavar="slurm|local",
        decides=False,
    )
    cluster_option: tuple[str, ...] = option(
        (),
        help="Parameter of the jobs, such as slurm_partition=gpu or timeout_min=600; may be repeated.",
        metavar="NAME=VALUE",
        many=True,
        decides=False,
    )

    def conflicts(self) -> Iterator[str]:
        """Options of a cluster without one."""
        if self.cluster_option and not self.cluster:
            yield "--cluster-option needs --cluster slurm."


@takes(Part(RunRequest), FOLDER_OR_PLAN.named("experiment"), MACHINE)
def command(request: RunRequest, output: Output, resources: Resources) -> None:
    """Run a whole experiment, or a grid of them: generate, align, fine-tune, embed, evaluate, report.

    Lists in the file ([bold]lr = \\[0.01, 0.003][/bold], [bold]seeds = \\[0, 1, 2][/bold]) make a grid. Finished
    stages are never done again: run the same command to go on after an interruption, or after changing the file.

    [bold]Examples[/bold]

        frbias run experiments/thesis-cusp.toml --out thesis

        frbias run grid.toml --dry-run

        frbias run grid.toml --jobs 4
    """
    from frbias.experiment.grid import read_grid

    grid = read_grid(request.file)
    if output.dry_run:
        tell_plan(grid, output.out, resources, request.jobs)
    elif grid.single:
        if request.jobs > 1 or request.cluster:
            raise UsageError("--jobs and --cluster are for grids; this file is one experiment.")
        run_and_tell(grid.cells[0].plan, output.out, resources, command_of(request, "run"))
    else:
        _run_grid(grid, output.out, resources, request)


def tell_plan(grid: "Grid", out: Path, resources: Resources, jobs: int = 1) -> None:
    """Print what would be done, how long it would take, and what is missing for it.

    Raises:
        AssetMissingError: Something is missing.
    """
    from frbias.cli.grid_view import plan_json, show_plan
    from frbias.experiment.running import weave

    woven = weave(grid, out, Machine(resources))
    console.result(plan_json(woven, jobs), lambda: show_plan(woven, jobs))
    woven.contents.refuse()


def _run_grid(grid: "Grid", out: Path, resources: Resources, request: RunRequest) -> None:
    from frbias.cli.grid_view import result_json, show_result
    from frbias.core.foundation.devices import world_from_environment
    from frbias.experiment.running import PROBLEMS, Manner, run_grid

    manner = Manner(request.jobs, request.cluster, request.cluster_option)
    result = run_grid(grid, out, Machine(resources, console.ConsoleProgress(), _teller()), manner=manner)
    console.result(result_json(result), lambda: show_result(result))
    if failed := result.failed():
        message = (
            f"{counted(len(failed), 'cell')} of {len(result.woven.cells)} failed; the reasons are in "
            f"{result.out / PROBLEMS}. Run the same command again to try them again."
        )
        raise FrbiasError(message) if world_from_environment().leader else ElsewhereError(message, 1)
    if result.broken_gates:
        raise GateError("; ".join(result.broken_gates) + ".")


def _teller() -> Callable[[str], None]:
    """Says a sentence with the time since now."""
    import time

    started = time.monotonic()

    def tell(message: str) -> None:
        seconds = int(time.monotonic() - started)
        console.note(f"[{seconds // 60:2d}:{seconds % 60:02d}] {message}")

    return tell


def run_and_tell(plan: "ExperimentPlan", out: Path, resources: Resources, asked: str) -> None:
    """Run ``plan`` into ``out``, as a command ``asked``, and print what came out and where it is.

    Raises:
        GateError: A condition of the plan is not met.
    """
    from frbias.experiment.stages import run_experiment

    result = run_experiment(plan, out, Machine(resources, console.ConsoleProgress(), _teller()), asked=asked)
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
        **{name: [one.document for one in found if one.documents] for name, found in result.protocols.items()},
    }


def _show(result: "ExperimentResult", plan: "ExperimentPlan") -> None:
    from frbias.cli.comparison_view import show_comparison
    from frbias.cli.protocol_view import show_protocol
    from frbias.core.reporting.html import FIGURES

    show_comparison(result.document)
    for document in (one.document for found in result.protocols.values() for one in found if one.documents):
        console.say("")
        show_protocol(document)
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
        ("rates and differences", paths.comparison),
        ("figures, and the points in them", paths.report.parent / FIGURES),
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
