"""Choice of device, seeding, and the process group that torchrun sets up."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from frbias.core.foundation.errors import UsageError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """Place of this process among those of a torchrun launch (rank 0 of 1 without one)."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leader(self) -> bool:
        """True for the one process that writes shared files."""
        return self.rank == 0

    def shard(self, items: Sequence[T]) -> list[T]:
        """This rank's items: every ``size``-th, starting at ``rank``."""
        return list(items[self.rank :: self.size])


def world_from_environment() -> World:
    """Read RANK, WORLD_SIZE and LOCAL_RANK as torchrun sets them; imports no torch."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if _LED.get():
        return World(local_rank=local)
    return World(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), local)


_LED: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """What is called inside sees a launch of this process only; for work that one process does for all."""
    before = _LED.set(True)
    try:
        yield
    finally:
        _LED.reset(before)


def usable_cores() -> int:
    """Cores for this process: those it may run on, divided by the processes of the launch on this machine."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here // processes_here())


def processes_here() -> int:
    """Processes of the launch on this machine (LOCAL_WORLD_SIZE)."""
    return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"))))


ALONE = World()


def on_this_machine(world: World) -> World:
    """The processes of ``world`` that run on this machine, as a launch of their own."""
    return ALONE if world.size == 1 else World(world.local_rank, processes_here(), world.local_rank)


def choose_device(name: str) -> "torch.device":
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:i`` into a device.

    Under torchrun ``auto`` and ``cuda`` mean the device of this process' local rank.

    Raises:
        UsageError: The name is unknown, or CUDA is asked for and there is none (or not that many).
    """
    import torch

    wanted = name.strip().lower()
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cpu":
        return torch.device("cpu")
    kind, _, index = wanted.partition(":")
    if kind != "cuda" or (index and not index.isdigit()):
        raise UsageError(f"--device {name!r} is unknown; use auto, cpu, cuda or cuda:0, cuda:1, ...")
    if not torch.cuda.is_available():
        raise UsageError(
            f"--device {name} was asked for, but this machine has no usable CUDA device; use --device cpu."
        )
    world, count = world_from_environment(), torch.cuda.device_count()
    if index and world.size > 1:
        raise UsageError(
            f"--device {name} would put all {world.size} processes on one device; leave it out, and each takes its own."
        )
    if not index and world.local_rank >= count:
        raise UsageError(
            f"There are more processes on this machine (local rank {world.local_rank}) than CUDA devices ({count}); "
            f"start torchrun with --nproc-per-node {count}, or use --device cpu."
        )
    number = int(index) if index else world.local_rank
    if number >= count:
        raise UsageError(f"--device {name}: this machine has {count} CUDA device(s), numbered from 0.")
    exact_arithmetic()
    return torch.device("cuda", number)


def exact_arithmetic() -> None:
    """The one policy for CUDA: float32 means float32, so TF32, which keeps three digits, is off; 16 bits are asked for by name.

    Convolutions are tried out once for every shape (``cudnn.benchmark``).
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def describe_device(device: "torch.device") -> str:
    """A device in words: ``CPU (no CUDA device)``, ``CPU (as asked)``, or ``cuda:0 (NVIDIA A100, TF32 off)``."""
    import torch

    if device.type == "cuda":
        tf32 = "on" if torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32 else "off"
        return f"{device} ({torch.cuda.get_device_name(device)}, TF32 {tf32})"
    return "CPU (as asked)" if torch.cuda.is_available() else "CPU (no CUDA device)"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices) with one number."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
