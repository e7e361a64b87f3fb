"""``frbias finetune``: fine-tune a recogniser with chosen stages frozen."""

from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli.takes import OUTPUT, Output, Part, takes
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.words import counted
from frbias.core.stages.requests.finetune import FinetuneRequest

if TYPE_CHECKING:
    from frbias.core.stages.finetune import FinetuneResult

_COLUMNS = (
    ("epoch", 5), ("lr", 8), ("loss", 8), ("images/s", 8), ("EER %", 7), ("d'", 6), ("FNMR %", 7), ("GARBE", 6),
)  # fmt: skip
_SHOWN = {"eer": ("EER", "%"), "d_prime": ("d'", ""), "fnmr": ("FNMR", "%"), "garbe": ("GARBE", "")}


@takes(Part(FinetuneRequest), OUTPUT.named("runs/finetune"), Part(Resources, only=("device",)))
def command(request: FinetuneRequest, output: Output, resources: Resources) -> None:
    """Fine-tune a recogniser: by a recipe, or with chosen stages frozen.

    Frozen stages change by not one bit, and their output is computed once and kept. Subjects, not images, are held
    out for validation. Run the same command to go on after an interruption; the result is the same.

    [bold]Examples[/bold]

        frbias finetune --data aligned --guard photos

        frbias finetune --data aligned --recipe thesis

        frbias finetune --data aligned --frozen 1,2,3 --epochs 10 --out runs/head-and-4

        frbias finetune --data aligned --weights r50 --eval-data fgnet-aligned
    """
    from frbias.core.stages.finetune import finetune, plan_finetune

    machine = Machine(resources, console.ConsoleProgress(), console.note)
    if output.dry_run:
        console.plan(plan_finetune(request, output.out, machine=machine))
        return
    if request.recipe and not console.json_wanted():
        _say_recipe(request.recipe)
    result = finetune(request, output.out, machine=machine, force=output.force, announce=_announce, observe=_observe)
    console.result(_summary(result), lambda: _tell(result))


def _say_recipe(name: str) -> None:
    from frbias.core.training.recipes import read_recipe

    recipe = read_recipe(name)
    console.note(f"Recipe {recipe.name}: {recipe.about}")
    console.note(f"On photographs: {recipe.measured}")


def _announce(summary: dict[str, Any]) -> None:
    """Say what will be done before it is done."""
    if console.json_wanted():
        return
    rows = [(s["stage"], f"{s['trained']:,}", f"{s['fixed']:,}") for s in summary["stages"]]
    console.table(
        f"{summary['weights']} ({summary['architecture']})", ("stage", "trained", "fixed"), rows, numeric=(1, 2)
    )
    train, held, ages = summary["train"], summary["validation"], summary["ages"]
    span = "" if ages["lowest"] is None else f", ages {ages['lowest']:g} to {ages['highest']:g}"
    console.say(
        f"{counted(train['images'], 'image')} of {counted(train['subjects'], 'subject')}{span}; "
        f"{counted(held['images'], 'image')} of {counted(held['subjects'], 'held-out subject')}; "
        f"{summary['rejected']} rejected, {summary['left_out']} left out."
    )
    if summary["kept_photographs"]:
        console.say(f"{summary['kept_photographs']} photographs on which embeddings are held near the start model's.")
    cache = summary["cache"]
    kept = f"kept on disk ({cache['bytes'] / 1e6:,.0f} MB)" if cache["used"] else f"not kept ({cache['reason']})"
    console.say(f"Output of the frozen stages: {kept}.")
    console.say(
        f"{counted(summary['steps'], 'step')} in {counted(summary['epochs'], 'epoch')} on {summary['device']}, "
        f"about {_duration(summary['estimated_seconds'])}."
    )


def _duration(seconds: float) -> str:
    """Rounded to what an estimate is worth: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _observe(record: dict[str, Any]) -> None:
    """One row per epoch on stderr, below a head; epoch 0 is the start model."""
    if record["epoch"] == 0:
        console.note(" ".join(name.rjust(width) for name, width in _COLUMNS))
    held = record.get("validation") or {}
    cells = [str(record["epoch"])]
    cells += [
        "" if record.get(name) is None else format(record[name], form)
        for name, form in (("lr", ".2g"), ("loss", ".3f"), ("images_per_second", ".0f"))
    ]
    cells += [_cell(name, held.get(name)) for name in _SHOWN]
    row = " ".join(cell.rjust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=False))
    console.note(row + ("  best" if record.get("best") else ""))
    found = record.get("evaluation")
    if found:
        shown = ", ".join(
            f"{label} {_cell(name, found[name])}{unit and ' ' + unit}"
            for name, (label, unit) in _SHOWN.items()
            if found[name] is not None
        )
        console.note(f"      evaluation set: {shown}")


def _cell(name: str, value: float | None) -> str:
    """A measure as the other commands print it: rates in percent."""
    if value is None:
        return ""
    return f"{100 * value:.2f}" if _SHOWN[name][1] else f"{value:.3f}"


def _summary(result: "FinetuneResult") -> dict[str, Any]:
    return {
        "out": str(result.out),
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "start": result.start,
        "best": result.best,
        "final": result.final,
        "weights_sha256": result.weights_sha256,
        "reused": result.reused,
        **({"verdict": result.comparison["verdict"]} if result.comparison else {}),
        **({"no_verdict": result.not_compared} if result.not_compared else {}),
    }


def _tell(result: "FinetuneResult") -> None:
    if result.comparison is not None:
        from frbias.cli.comparison_view import show_comparison
        from frbias.core.stages.before_after import FOLDER

        show_comparison(result.comparison, brief=True)
        console.say(f"All of it on the evaluation set: {result.out / FOLDER} (frbias report {result.out / FOLDER}).")
        console.say("")
    if result.not_compared:
        console.say(f"No verdict on the evaluation set: {result.not_compared}")
    if result.reused:
        console.say(f"[bold]{result.out}[/bold] had been finished before; --force trains again.")
    kept = result.final["validation"]
    if result.start and result.best and kept:
        rows = [
            (f"{label} {unit}".rstrip(), *(_cell(name, found[name]) for found in (result.start, result.best, kept)))
            for name, (label, unit) in _SHOWN.items()
        ]
        columns = ("held-out subjects", "start", f"epoch {result.best_epoch}", "kept")
        console.table("", columns, rows, numeric=(1, 2, 3))
    for sentence in _kept(result.final):
        console.say(sentence)
    console.say(f"Fine-tuned recogniser: [bold]{result.out}[/bold] (--weights {result.out}).")


def _kept(final: dict[str, Any]) -> list[str]:
    """What was kept in the end, and what was looked at for it."""
    said = []
    if final["share"] != 1:
        said.append(f"Kept: {final['share']:.0%} of the trained weights, the rest from the start model.")
    if final["made_of"]:
        strength = "" if final["strength"] == 1 else f" (at {final['strength']:.0%})"
        said.append(f"Taken out of every embedding{strength}: {'; '.join(final['made_of'])}.")
    said += [f"Not taken out: {sentence}" for sentence in final["left_out"]]
    return said + list(final["guarded"])
