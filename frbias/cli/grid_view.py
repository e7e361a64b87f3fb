"""What a grid would do and what came of it, on the terminal."""

from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.core.foundation.words import counted

if TYPE_CHECKING:
    from frbias.experiment.costs import Estimate
    from frbias.experiment.running import GridResult, Woven

_SHOWN = ("eer", "fnmr", "fnmr_worst", "fdr_range_fnmr", "garbe")


def plan_json(woven: "Woven", jobs: int) -> dict[str, Any]:
    """The answer to ``--dry-run --json``."""
    from frbias.experiment.costs import costs_of
    from frbias.experiment.doing import is_done

    costs, left = costs_of(woven.nodes.values()), woven.estimate(jobs)
    steps = [
        {
            "key": key,
            "stage": node.stage,
            "what": node.what,
            "where": str(node.place),
            "state": "finished" if is_done(node) else "new",
            "needs": list(node.needs),
            "seconds": costs[key].seconds,
            "bytes": costs[key].bytes,
        }
        for key, node in woven.nodes.items()
    ]
    cells = [{**cell, "steps": list(nodes.keys)} for cell, nodes in zip(woven.cells_json(), woven.cells, strict=True)]
    return {
        "dry_run": True,
        "name": woven.grid.name,
        "cells": cells,
        "steps": steps,
        "missing": list(dict.fromkeys(woven.contents.missing)),
        "wrong": list(dict.fromkeys(woven.contents.wrong)),
        "estimate": {
            "seconds": left.seconds,
            "bytes": left.bytes,
            "jobs": jobs,
            "unknown": list(left.unknown),
            "measured_on_this_machine": left.measured_here,
        },
    }


def show_plan(woven: "Woven", jobs: int) -> None:
    """The answer to ``--dry-run`` for people."""
    from rich.markup import escape

    from frbias.experiment.doing import is_done

    console.say(f"[bold]{woven.grid.name}[/bold]: {counted(len(woven.cells), 'cell')}.")
    if not woven.grid.single:
        for cell in woven.grid.cells:
            console.say(f"  {escape(cell.name)}")
    stages: dict[str, list[bool]] = {}
    for node in woven.nodes.values():
        stages.setdefault(node.stage, []).append(is_done(node))
    rows = [(stage, len(done), sum(done), len(done) - sum(done)) for stage, done in stages.items()]
    console.table("", ("stage", "pieces", "made before", "to do"), rows, numeric=(1, 2, 3))
    console.say(_sentence(woven.estimate(jobs), jobs))
    console.say("Nothing was done (--dry-run).")


def _sentence(left: "Estimate", jobs: int) -> str:
    where = "by what this machine took before" if left.measured_here else "by what was measured on another machine"
    known = f"about {_time(left.seconds)} with {counted(jobs, 'job')}, {_size(left.bytes)} ({where})"
    parts = [known] if left.seconds or not left.unknown else []
    parts += [f"{', '.join(left.unknown)}, of which nothing is known yet"] if left.unknown else []
    return f"Left: {'; and '.join(parts)}."


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size: float) -> str:
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def result_json(result: "GridResult") -> dict[str, Any]:
    """The result of a grid for machines."""
    table = result.table.astype(object).where(result.table.notna(), None)
    return {
        "out": str(result.out),
        "cells": len(result.woven.cells),
        "done": result.count("done"),
        "reused": result.count("reused"),
        "failed": [{"cell": cell.name, "problem": problem} for cell, problem in result.failed()],
        "broken_gates": list(result.broken_gates),
        "table": table.to_dict("records"),
    }


def show_result(result: "GridResult") -> None:
    """Print the table of a grid at the headline's target, and which cells failed."""
    from rich.markup import escape

    from frbias.core.verification.headline import nearest_target
    from frbias.experiment.running import CELLS, GRID_NAME, TABLE

    table = result.table
    if len(table):
        target = nearest_target([float(one) for one in table["target"].dropna().unique()])
        chosen = table[table["measure"].isin(_SHOWN) & (table["target"].isna() | (table["target"] == target))]
        rows = [_row(dict(row)) for _, row in chosen.iterrows()]
        heads = ("setting", "measure", "before", "after", "difference (95 %)", "runs", "p (Holm)", "verdict")
        console.table(f"At a false match rate of {100 * target:g} %", heads, rows, whole=True)
        over = "seeds and subjects" if (table["runs"] > 1).any() else "subjects alone (one seed)"
        console.say(
            f"Means over runs; intervals of a two-level bootstrap over {over}, paired with the baseline; p-values of "
            "each measure corrected over the settings by Holm's method."
        )
    made, reused = result.count("done"), result.count("reused")
    tables = f"tables: {result.out / TABLE}.csv, {result.out / CELLS}.csv; " if len(table) else ""
    console.say(f"{counted(made, 'piece')} of work done, {reused} found done; {tables}cells: {result.out / GRID_NAME}.")
    for cell, problem in result.failed():
        console.say(f"[bold]failed[/bold]: {escape(f'{cell.name}: {problem.splitlines()[0]}')}")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    from rich.markup import escape

    def number(value: Any) -> str:
        return "-" if value is None or value != value else f"{value:.4f}"

    interval = "" if row["low"] != row["low"] else f" [{row['low']:+.4f}, {row['high']:+.4f}]"
    change = "-" if row["difference"] != row["difference"] else f"{row['difference']:+.4f}{interval}"
    return (
        row["setting"],
        row["measure"],
        number(row["baseline"]),
        number(row["finetuned"]),
        escape(change),
        str(row["runs"]),
        number(row["p_holm"]),
        row["verdict"],
    )
