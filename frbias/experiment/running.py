"""Running a grid: every node once, all cells in one table.

::

    <out>/generate/<key>, align/<key>, ...   results of stages, shared by the cells that want the same
    <out>/cells.csv, cells.parquet           every number of every cell
    <out>/table.csv, table.parquet           pooled over seeds: mean, interval, p-values
    <out>/grid.json                          cells with their options, folders and what became of them

Folders are named after the work, so a changed option makes new ones beside the old and leaves the rest alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from frbias.core.foundation.devices import World, world_from_environment
from frbias.core.foundation.errors import FrbiasError, UsageError
from frbias.core.foundation.files import read_object, write_json, write_text
from frbias.core.foundation.group import decided_by_the_leader, process_group
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.stages.outcomes import COMPARISON_NAME
from frbias.core.verification.gates import failures, parse_gate
from frbias.experiment.contents import Contents
from frbias.experiment.costs import Estimate, estimate, note_cost
from frbias.experiment.doing import Outcome
from frbias.experiment.graph import CellNodes, Graph, Node, Stage
from frbias.experiment.grid import Cell, Grid
from frbias.experiment.gridtable import cells_table, read_run, remove_tables, settings_table, write_table
from frbias.experiment.scheduling import Told, cluster, do_elsewhere, do_here, processes

SCHEMA, SCHEMA_VERSION = "frbias.grid", 1
GRID_NAME, TABLE, CELLS, PROBLEMS = "grid.json", "table", "cells", "problems.txt"
_LETTERS = 16


@dataclass(frozen=True)
class Manner:
    """How the nodes of a grid are done.

    Attributes:
        jobs: How many at a time.
        cluster: ``slurm`` or ``local``: as jobs of submitit; empty: on this machine.
        options: Parameters of submitit, ``name=value``.
    """

    jobs: int = 1
    cluster: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Woven:
    """A grid and its graph.

    Attributes:
        grid: The cells.
        nodes: Every node once, in order.
        cells: Their nodes.
        contents: What is outside.
    """

    grid: Grid
    nodes: dict[str, Node]
    cells: tuple[CellNodes, ...]
    contents: Contents

    def estimate(self, jobs: int) -> Estimate:
        """Time and disk of what is left."""
        return estimate(self.nodes, jobs)

    def cells_json(self) -> list[dict[str, Any]]:
        """Every cell with its options."""
        return [_cell_json(cell, nodes) for cell, nodes in zip(self.grid.cells, self.cells, strict=True)]


@dataclass(frozen=True)
class GridResult:
    """What became of a grid.

    Attributes:
        out: Its folder.
        outcomes: By key of a node.
        woven: The grid.
        table: Pooled over seeds; see :mod:`frbias.experiment.gridtable`.
        broken_gates: One sentence for every condition of ``[evaluate] fail-if`` that a cell does not meet.
    """

    out: Path
    outcomes: dict[str, Outcome]
    woven: Woven
    table: pd.DataFrame
    broken_gates: tuple[str, ...] = ()

    def failed(self) -> list[tuple[Cell, str]]:
        """Cells without a result, and why."""
        found = []
        for cell, nodes in zip(self.woven.grid.cells, self.woven.cells, strict=True):
            bad = next((self.outcomes[key] for key in nodes.keys if not self.outcomes[key].good), None)
            if bad is not None:
                found.append((cell, bad.problem))
        return found

    def count(self, status: str) -> int:
        """How many nodes ended so."""
        return sum(outcome.status == status for outcome in self.outcomes.values())


def weave(grid: Grid, out: Path, machine: Machine = LOCAL) -> Woven:
    """The graph of a grid (or of one experiment) in ``out``; what is missing is noted in its ``contents``."""
    if grid.single:
        from frbias.experiment.stages import ExperimentPaths

        alone = Graph(Contents(machine, hashed=False), ExperimentPaths(Path(out)).of)
        return Woven(grid, alone.nodes, (alone.add(grid.cells[0].plan),), alone.contents)

    def place(stage: Stage, role: str, key: str) -> Path:
        del role
        return Path(out) / stage / key[:_LETTERS]

    graph = Graph(Contents(machine), place, draws=True)
    cells = tuple(graph.add(cell.plan) for cell in grid.cells)
    return Woven(grid, graph.nodes, cells, graph.contents)


def run_grid(grid: Grid, out: Path, machine: Machine = LOCAL, *, manner: Manner | None = None) -> GridResult:
    """Run a grid, or what is left of it, into ``out``; a failed cell does not stop the others.

    Raises:
        AssetMissingError: Weights or data sets are not installed; names all of them, before any work.
        BadInputError: Something that is installed cannot be used.
        UsageError: ``manner`` does not go with torchrun, or submitit is not installed.
    """
    chosen, world, out = manner or Manner(), world_from_environment(), Path(out)
    if world.size > 1 and (chosen.jobs > 1 or chosen.cluster):
        raise UsageError("torchrun does a grid's stages with all its processes; leave out --jobs and --cluster.")
    with process_group(world) as barrier:
        woven = decided_by_the_leader(lambda: _ready(grid, out, machine), world)
        outcomes = _do(woven, out, machine, chosen, world)
        table = pd.DataFrame()
        if world.leader:
            table = _write(woven, outcomes, out)
        barrier()
    return GridResult(out, outcomes, woven, table, _broken_gates(woven, outcomes))


def _broken_gates(woven: Woven, outcomes: dict[str, Outcome]) -> tuple[str, ...]:
    """One sentence for every condition of a finished cell that is not met."""
    found = []
    for cell, nodes in zip(woven.grid.cells, woven.cells, strict=True):
        if cell.plan.evaluate.fail_if and outcomes[nodes.keys[-1]].good:
            gates = [parse_gate(text) for text in cell.plan.evaluate.fail_if]
            document = read_object(nodes.comparison / COMPARISON_NAME)
            found += [f"{cell.name}: {text}" for text in failures(gates, document)]
    return tuple(found)


def _ready(grid: Grid, out: Path, machine: Machine) -> Woven:
    """The graph, when everything it needs is there."""
    woven = weave(grid, out, machine)
    woven.contents.refuse()
    return Woven(woven.grid, woven.nodes, woven.cells, Contents())


def _do(woven: Woven, out: Path, machine: Machine, manner: Manner, world: World) -> dict[str, Outcome]:
    told = _teller(len(woven.nodes), machine)
    if manner.cluster:
        workers = cluster(manner.cluster, manner.options, out / ".cluster", machine.resources)
        return do_elsewhere(woven.nodes, workers, max(manner.jobs, 1), told)
    if manner.jobs > 1:
        with processes(machine.resources, manner.jobs) as pool:
            return do_elsewhere(woven.nodes, pool, manner.jobs, told)
    return do_here(woven.nodes, Machine(machine.resources, machine.progress), world, told)


def _teller(count: int, machine: Machine) -> Told:
    seen = 0

    def told(node: Node, outcome: Outcome) -> None:
        nonlocal seen
        seen += 1
        note_cost(node, outcome)
        if outcome.status != "reused":
            why = f": {outcome.problem.splitlines()[0]}" if outcome.status == "failed" else ""
            machine.tell(f"{seen}/{count} {node.stage} {node.what} {outcome.status} ({outcome.seconds:.0f} s){why}")

    return told


def _write(woven: Woven, outcomes: dict[str, Outcome], out: Path) -> pd.DataFrame:
    """The tables of the cells that are done, and what became of the others."""
    runs, states = [], []
    for cell, nodes in zip(woven.grid.cells, woven.cells, strict=True):
        bad = next((outcomes[key] for key in nodes.keys if not outcomes[key].good), None)
        problem = "" if bad is None else bad.problem
        if bad is None:
            try:
                runs.append(read_run(cell, nodes.comparison))
            except (FrbiasError, OSError, ValueError) as error:
                problem = f"{nodes.comparison} cannot be read: {error}"
        states.append(
            {**_cell_json(cell, nodes), "status": "failed" if problem else "done", "problem": problem or None}
        )
    evaluate = woven.grid.cells[0].plan.evaluate
    table = settings_table(runs, confidence=evaluate.confidence, seed=evaluate.seed)
    if runs:
        write_table(cells_table(runs), out / CELLS)
        write_table(table, out / TABLE)
    else:
        remove_tables(out / CELLS, out / TABLE)  # of an earlier grid
    document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "name": woven.grid.name, "cells": states}
    write_json(out / GRID_NAME, document)
    traces = [
        f"{woven.nodes[key].place}\n{o.trace or o.problem}\n" for key, o in outcomes.items() if o.status == "failed"
    ]
    if traces:
        write_text(out / PROBLEMS, "\n".join(traces))
    else:
        (out / PROBLEMS).unlink(missing_ok=True)
    return table


def _cell_json(cell: Cell, nodes: CellNodes) -> dict[str, Any]:
    plan = cell.plan
    return {
        "name": cell.name,
        "setting": cell.setting,
        "choices": cell.choices,
        "seed": cell.seed,
        "options": {
            "train": _set_json(plan.train),
            "test": _set_json(plan.test),
            "align": plan.align.to_json(),
            "finetune": plan.finetune.to_json(),
            "evaluate": plan.evaluate.to_json(),
        },
        "folders": {
            "train": nodes.train.data,
            "test": nodes.test.data,
            "run": str(nodes.run),
            "baseline": str(nodes.baseline),
            "finetuned": str(nodes.finetuned),
            "comparison": str(nodes.comparison),
        },
    }


def _set_json(part: Any) -> dict[str, Any]:
    if part.generated is None:
        return {"data": part.data}
    return {"backend": part.generated.backend, **part.generated.to_json()}
