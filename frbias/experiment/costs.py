"""How long nodes will take and how much disk: from what this machine has done before, else from a measured table.

Every node that was done adds a line to ``timings.jsonl`` in the data root: stage, what, units, seconds, bytes. A node of
the same stage and kind is estimated at their rate (results of finetune and compare at their size: it hardly depends on
the units). Where there is none, ``costs.csv`` says what was measured on the
machine named in it; other networks than those in it have no estimate until this machine has run one.
"""

import csv
import json
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from frbias.core.assets.paths import data_home
from frbias.experiment.doing import Outcome, is_done, size_of
from frbias.experiment.graph import Node

_RECENT, _LINES = 20, 5000
_ONE_SIZE = ("finetune", "compare")
_TABLE = Path(__file__).with_name("costs.csv")


@dataclass(frozen=True)
class Cost:
    """An estimate.

    Attributes:
        seconds: Of one worker; None when nothing like it has been measured.
        bytes: On disk; None likewise.
        measured_here: Whether it comes from this machine.
    """

    seconds: float | None
    bytes: float | None
    measured_here: bool = False


@dataclass(frozen=True)
class Estimate:
    """What is left of a graph.

    Attributes:
        seconds: With so many nodes at a time: the sum shared among them, or the longest chain if that is longer.
        bytes: On disk.
        unknown: Kinds of nodes without an estimate, ``stage of what``.
        measured_here: Whether every estimate comes from this machine.
    """

    seconds: float
    bytes: float
    unknown: tuple[str, ...]
    measured_here: bool


def note_cost(node: Node, outcome: Outcome) -> None:
    """Remember what a node took, for later estimates; what cannot be written is left out."""
    if outcome.status != "done" or not node.units:
        return
    line = {
        "stage": node.stage,
        "what": node.what,
        "units": node.units,
        "seconds": round(outcome.seconds, 2),
        "bytes": size_of(node.place),
    }
    try:
        place = _timings()
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError:
        return


def costs_of(nodes: Iterable[Node]) -> dict[str, Cost]:
    """An estimate for every node, by key."""
    here, table = _measured_here(), _measured_elsewhere()
    found = {}
    for node in nodes:
        kind = (node.stage, node.what)
        rate = here.get(kind)
        known = rate is not None
        rate = rate or table.get(kind) or table.get((node.stage, ""))
        if rate is None or not node.units:
            found[node.key] = Cost(None, None)
        else:
            size = rate[1] if node.stage in _ONE_SIZE else node.units * rate[1]
            found[node.key] = Cost(node.units * rate[0], size, known)
    return found


def estimate(nodes: Mapping[str, Node], jobs: int = 1) -> Estimate:
    """Time and disk for the nodes that have not been done."""
    left = {key: node for key, node in nodes.items() if not is_done(node)}
    costs = costs_of(left.values())
    longest: dict[str, float] = {}
    for key, node in left.items():
        before = max((longest[need] for need in node.needs if need in longest), default=0.0)
        longest[key] = before + (costs[key].seconds or 0.0)
    total = sum(cost.seconds or 0.0 for cost in costs.values())
    unknown = dict.fromkeys(f"{n.stage} of {n.what}" for k, n in left.items() if costs[k].seconds is None)
    return Estimate(
        max([total / max(jobs, 1), *longest.values()]),
        math.fsum(cost.bytes or 0.0 for cost in costs.values()),
        tuple(unknown),
        all(cost.measured_here for cost in costs.values()),
    )


def _timings() -> Path:
    return data_home() / "timings.jsonl"


def _measured_here() -> dict[tuple[str, str], tuple[float, float]]:
    """Seconds a unit, and bytes a unit (or a result), of the latest of each kind."""
    try:
        with _timings().open(encoding="utf-8") as stream:
            lines = deque(stream, maxlen=_LINES)
    except (OSError, ValueError):
        return {}
    seen: dict[tuple[str, str], deque[tuple[float, float, float]]] = defaultdict(lambda: deque(maxlen=_RECENT))
    for line in lines:
        try:
            record = json.loads(line)
            values = float(record["units"]), float(record["seconds"]), float(record["bytes"])
            seen[str(record["stage"]), str(record["what"])].append(values)
        except (ValueError, KeyError, TypeError):
            continue
    sums = {kind: [math.fsum(column) for column in zip(*rows, strict=True)] for kind, rows in seen.items()}
    return {
        kind: (seconds / units, size / (len(seen[kind]) if kind[0] in _ONE_SIZE else units))
        for kind, (units, seconds, size) in sums.items()
        if units > 0
    }


def _measured_elsewhere() -> dict[tuple[str, str], tuple[float, float]]:
    with _TABLE.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        return {(row["stage"], row["what"]): (float(row["seconds"]), float(row["bytes"])) for row in rows}
