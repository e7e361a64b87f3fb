"""The process group of a torchrun launch: opened once in a process, when the first stage needs it, closed at its end.

Opening one group after another in the same launch reads stale addresses and hangs, so stages share one. It speaks gloo
for tensors of the CPU and NCCL for those of CUDA; barriers and small objects go over gloo.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from frbias.core.foundation.devices import World, alone, world_from_environment
from frbias.core.foundation.errors import ElsewhereError, FrbiasError, UsageError
from frbias.core.foundation.meeting import may_be_restarted, name_of_attempt

P = ParamSpec("P")
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


def of_everyone(value: T, world: World) -> list[T]:
    """Every process' ``value`` (of any type that pickles), in the order of their ranks, in every process."""
    if world.size == 1:
        return [value]
    import torch.distributed as dist

    _open(world)
    found: list[Any] = [None] * world.size
    dist.all_gather_object(found, value)
    return found


def agreed_on(value: T, bad: Callable[[T], bool], world: World) -> T:
    """The first bad value of any process, in every process; each its own when none is bad."""
    found = [one for one in of_everyone(value if bad(value) else None, world) if one is not None]
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
            with alone():  # the others wait: nothing in it can be shared with them
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


def led(stage: Callable[P, T]) -> Callable[P, T]:
    """A stage that cannot be shared: the leader of a launch does it, the others wait and get its result or refusal.

    The result has to be of a type that pickles.
    """

    @wraps(stage)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        world = world_from_environment()

        with process_group(world):
            return decided_by_the_leader(lambda: stage(*arguments, **options), world)

    return run


def what_was_lost(error: BaseException) -> str:
    """One sentence when ``error`` says that another process of the launch is gone or silent, else nothing."""
    text = str(error)
    if not isinstance(error, RuntimeError) or not any(word in text for word in ("gloo", "NCCL", "c10d", "TCPStore")):
        return ""
    if "imed out" in text:
        return (
            f"Another process of the launch did not answer for {_timeout():g} seconds ({TIMEOUT_VARIABLE} sets how long "
            "to wait); run the same command again to go on."
        )
    return "Another process of the launch has ended; run the same command again to go on."


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
    if may_be_restarted():
        settings |= {"store": _store_of_attempt(world), "rank": world.rank, "world_size": world.size}
    dist.init_process_group(**settings)
    atexit.register(_close)


def _store_of_attempt(world: World) -> Any:
    """The launch's store, as far as it is of those processes that are here now."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=_timeout())))
    return PrefixStore(name_of_attempt(store, world.rank, world.size, _timeout()), store)


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
