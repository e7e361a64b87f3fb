"""Campaign: SIGKILL before every file operation of every command that writes, then the command again."""

import random
from collections.abc import Sequence

from faults.place import Ready
from faults.table import Outcome


def kill_everywhere(ready: Ready, seed: int, count: int = 0) -> Outcome:
    """Kill a command at chosen file operations; each time run it again and compare with a run that was left alone.

    Args:
        ready: The command.
        seed: Of the choice.
        count: Operations to kill at, the first and last among them; 0: at every one.
    """
    points = spread(seed, min(filter(None, (count, ready.case.at_most)), default=0), ready.operations)
    which = "" if len(points) == ready.operations else f" (at {len(points)} of {ready.operations} operations)"
    outcome = Outcome(f"kill: {ready.case.name}{which}")
    for point in points:
        loss = kill_at(ready, point)
        if loss is not None:
            outcome = outcome.plus(f"before operation {point} of {ready.operations}", loss)
        if outcome.lost:
            break
    return outcome


def kill_at(ready: Ready, point: int) -> str | None:
    """What was lost by a kill; empty when nothing was, None when the command was done before the kill came."""
    ready.place.fresh()
    killed = ready.run(kill_at=point)
    if killed.code == 0 and not ready.difference():
        return None
    if killed.code != -9 or killed.late:
        return f"was not killed, but ended with {killed.code}: {killed.text[-300:]}"
    return ready.again()


def spread(seed: int, count: int, operations: int) -> Sequence[int]:
    """Choose ``count`` of the operations 1, 2, ... by chance, the first and last always; 0: every one."""
    every = range(1, operations + 1)
    if not count or count >= operations:
        return every
    return sorted({1, operations, *random.Random(seed).sample(range(2, operations), max(count - 2, 0))})
