"""Doing one node of an experiment's graph, in this process or in another."""

import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.failures import failure_of_the_machine
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.provenance import read_provenance
from frbias.core.stages.align import align
from frbias.core.stages.compare import compare
from frbias.core.stages.embed import embed
from frbias.core.stages.finetune import finetune
from frbias.experiment.graph import Node
from frbias.synth.generate import generate

Status = Literal["done", "reused", "failed", "skipped"]
_STAGES: dict[str, Callable[..., Any]] = {
    "generate": generate,
    "align": align,
    "finetune": finetune,
    "embed": embed,
    "compare": compare,
}


@dataclass(frozen=True)
class Outcome:
    """What became of a node.

    Attributes:
        status: ``done``, ``reused`` (it had been done before), ``failed``, or ``skipped`` (what it needs failed).
        seconds: How long it took.
        problem: Why it failed, in one sentence or more; empty when it did not.
        trace: Where, unless frbias itself refused; empty otherwise.
    """

    status: Status
    seconds: float = 0.0
    problem: str = ""
    trace: str = ""

    @property
    def good(self) -> bool:
        """Whether its result is there."""
        return self.status in ("done", "reused")


def is_done(node: Node) -> bool:
    """Whether the result of a node is there, as far as its folder says."""
    record = read_provenance(node.place)
    return bool(record and record.get("complete"))


def do(node: Node, machine: Machine) -> Any:
    """Do a node, or find it done; what its stage returns.

    Raises:
        FrbiasError: As the stage.
    """
    return _STAGES[node.stage](node.request, node.place, machine=machine)


def attempt_node(node: Node, machine: Machine) -> Outcome:
    """Do a node and say what became of it, whatever that is; only an interrupt gets through."""
    before, started = is_done(node), time.monotonic()
    try:
        do(node, machine)
    except FrbiasError as error:
        return Outcome("failed", time.monotonic() - started, str(error))
    except Exception as error:
        unforeseen = f"Unexpected {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        problem = failure_of_the_machine(error) or unforeseen
        return Outcome("failed", time.monotonic() - started, problem, traceback.format_exc())
    return Outcome("reused" if before else "done", time.monotonic() - started)


def attempt_elsewhere(node: Node, resources: Resources) -> Outcome:
    """:func:`attempt_node` in a process of its own or on another machine."""
    return attempt_node(node, Machine(resources))


def end_with_parent(parent: int) -> None:
    """Let this worker process end as soon as the process that started it has ended, however that did."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def size_of(folder: Path) -> int:
    """Bytes below a folder."""
    return sum(path.lstat().st_size for path in Path(folder).rglob("*") if path.is_file())
