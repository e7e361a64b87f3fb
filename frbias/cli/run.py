"""``frbias run``: a whole experiment from one TOML file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frbias.cli import console
from frbias.cli.options import Device, Out, Workers

if TYPE_CHECKING:
    from frbias.experiment.plan import ExperimentPlan
    from frbias.experiment.stages import ExperimentResult


def command(
    file: Annotated[Path, typer.Argument(help="Experiment file (TOML); see the folder experiments/.")],
    out: Out = Path("experiment"),
    device: Device = "auto",
    workers: Workers = 0,
) -> None:
    """Run a whole experiment: generate, align, fine-tune, embed, evaluate, report.

    Finished stages are never done again: run the same command to go on after an interruption.
    """
    from frbias.experiment.plan import read_plan

    run_and_tell(read_plan(file), out, device=device, workers=workers)


def run_and_tell(plan: "ExperimentPlan", out: Path, *, device: str, workers: int) -> None:
    """Run ``plan`` into ``out`` and print what came out and where it is."""
    import time

    from frbias.experiment.stages import Machine, run_experiment

    started = time.monotonic()

    def tell(message: str) -> None:
        seconds = int(time.monotonic() - started)
        console.note(f"[{seconds // 60:2d}:{seconds % 60:02d}] {message}")

    machine = Machine(device=device, workers=workers, progress=console.ConsoleProgress(), tell=tell)
    result = run_experiment(plan, out, machine)
    console.result(_document(result), lambda: _show(result))


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
        "targets": result.document["targets"],
    }


def _show(result: "ExperimentResult") -> None:
    from frbias.cli.evaluation_view import show_comparison

    show_comparison(result.document)
    console.say("")
    console.say(f"[bold]{result.verdict.headline}[/bold]")
    console.say(result.verdict.meaning)
    for caution in result.verdict.cautions:
        console.say(f"  * {caution}")
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
