"""The process group of a torchrun launch: opened once in a process, when the first stage needs it, closed at its end.

Opening one group after another in the same launch reads stale addresses and hangs, so stages share one. It speaks gloo
for tensors of the CPU and NCCL for those of CUDA; barriers and small objects go over gloo.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import ElsewhereError, FrbiasError, UsageError

T = TypeVar("T")
TIMEOUT_VARIABLE = "FRBIAS_TIMEOUT"
_SECONDS = 1800.0


@contextmanager
def process_group(world: World) -> Iterator[Callable[[], None]]:
    """Join the process group of the launch and yield a barrier; alone, yield a function that does nothing.

    Raises:
        UsageError: ``FRBIAS_TIMEOUT`` is no number of seconds.
    """
    if world.size > 1:
        _open(world)
    yield barrier if world.size > 1 else _nothing


def barrier() -> None:
    """Wait for all processes."""
    import torch
    import torch.distributed as dist

    dist.all_reduce(torch.zeros(1))


def of_the_leader(value: T, world: World) -> T:
    """The leader's ``value`` (of any type that pickles) in every process, so that all decide alike."""
    if world.size == 1:
        return value
    import torch
    import torch.distributed as dist

    box: list[Any] = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    found: T = box[0]
    return found


def agreed_on(value: T, bad: Callable[[T], bool], world: World) -> T:
    """The first bad value of any process, in every process; each its own when none is bad."""
    if world.size == 1:
        return value
    import torch.distributed as dist

    _open(world)
    box: list[Any] = [None] * world.size
    dist.all_gather_object(box, value if bad(value) else None)
    found: list[T] = [one for one in box if one is not None]
    return found[0] if found else value


def decided_by_the_leader(decide: Callable[[], T], world: World) -> T:
    """Call ``decide`` in the leader and give every process what came of it: its result, or its refusal.

    Raises:
        FrbiasError: The leader's, in the leader.
        ElsewhereError: The same sentence and exit code, in the others.
    """
    if world.size == 1:
        return decide()
    refusal: FrbiasError | None = None
    outcome: tuple[Any, str, int] = (None, "", 0)
    if world.leader:
        try:
            outcome = (decide(), "", 0)
        except FrbiasError as error:
            refusal, outcome = error, (None, str(error), error.exit_code)
    shared = of_the_leader(outcome, world)
    if refusal is not None:
        raise refusal
    result, message, code = shared
    if message:
        raise ElsewhereError(message, code)
    found: T = result
    return found


def _nothing() -> None:
    pass


def _open(world: World) -> None:
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        return
    settings: dict[str, Any] = {"backend": "gloo", "timeout": timedelta(seconds=_timeout())}
    if torch.cuda.is_available() and world.local_rank < torch.cuda.device_count():
        device = torch.device("cuda", world.local_rank)
        torch.cuda.set_device(device)
        settings |= {"backend": "cpu:gloo,cuda:nccl", "device_id": device}
    dist.init_process_group(**settings)
    atexit.register(_close)


def _close() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def _timeout() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE, str(_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 1e7:
        raise UsageError(f"{TIMEOUT_VARIABLE}={text!r} is no number of seconds from 1 to 10,000,000.")
    return seconds
