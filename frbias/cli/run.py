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
        "evaluation": str(paths.comparison / "evaluation.json"),
        "run": str(paths.run),
        "train_images": result.train_images,
        "test_images": result.test_images,
        "verdict": result.verdict,
        "targets": [target.to_json() for target in result.comparison.targets],
    }


def _show(result: "ExperimentResult") -> None:
    rows = []
    for target in result.comparison.targets:
        for name, label in (
            ("fnmr", "FNMR"),
            ("garbe", "GARBE"),
            ("gini_fmr", "  Gini of FMR"),
            ("gini_fnmr", "  Gini of FNMR"),
        ):
            difference = target.differences[name]
            low, high = difference.interval.low, difference.interval.high
            between = "" if low is None or high is None else f"{low:+.3f} .. {high:+.3f}"
            first = f"{target.target:g}" if name == "fnmr" else ""
            rows.append(
                (first, label, _number(difference.baseline), _number(difference.other), between, difference.verdict)
            )
    console.say("")
    console.table(
        "Before and after fine-tuning, people never trained on",
        ("FMR target", "measure", "before", "after", "change, 95 % interval", "verdict"),
        rows,
        numeric=(0, 2, 3),
    )
    console.say("")
    console.say(f"{result.verdict}")
    console.say("")
    paths = result.paths
    places = [
        ("report", paths.report),
        ("every number", paths.comparison / "evaluation.json"),
        ("figures", paths.comparison / "figures"),
        ("fine-tuned recogniser", paths.run),
        ("faces to train with", paths.out / "train"),
        ("faces to test with", paths.out / "test"),
    ]
    console.table(
        "Where everything is", ("what", "where"), [(what, str(where)) for what, where in places if where.exists()]
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
