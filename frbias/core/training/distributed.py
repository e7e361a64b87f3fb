"""Sharing a training between the processes of a torchrun launch."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from frbias.core.foundation.devices import World
from frbias.core.foundation.ranks import gather_over_ranks
from frbias.core.training.options import FinetuneOptions


def share(module: nn.Module, world: World) -> nn.Module:
    """Wrap a module so that its gradients are averaged over all processes; alone, the module itself."""
    if world.size == 1:
        return module
    from torch.nn.parallel import DistributedDataParallel

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*broadcast_buffers", category=Warning)  # of a change to come
        return DistributedDataParallel(module, broadcast_buffers=False)


def share_statistics(module: nn.Module, options: FinetuneOptions, world: World) -> None:
    """Make BatchNorms estimate over all processes where any of them, trained or frozen, estimates its statistics anew."""
    if world.size > 1 and "train" in (options.trained_bn, options.frozen_bn):
        nn.SyncBatchNorm.convert_sync_batchnorm(module)


def without_sync(module: nn.Module, world: World, *, last: bool) -> AbstractContextManager[Any]:
    """Context in which gradients are gathered locally, unless this is the ``last`` part of a batch."""
    return nullcontext() if world.size == 1 or last else module.no_sync()  # type: ignore[operator]


def my_part(batch: npt.NDArray[np.int64], world: World) -> npt.NDArray[np.int64]:
    """This process' consecutive share of a batch; shares differ by one image where it cannot be divided evenly."""
    return np.array_split(batch, world.size)[world.rank]


def whole_of_shards(
    parts: list[npt.NDArray[np.float32]], lengths: list[int], width: int, world: World
) -> npt.NDArray[np.float32]:
    """Rows that the processes made in turn, put back in order, in every process.

    Args:
        parts: This process' chunks: every ``world.size``-th, starting at its rank; float32 (length, width).
        lengths: Rows of every chunk, those of the others included.
        width: Columns.
        world: The processes.
    """
    mine = np.concatenate(parts) if parts else np.zeros((0, width), np.float32)
    if world.size == 1:
        return mine
    gathered = gather_over_ranks(np.ascontiguousarray(mine).ravel()).reshape(-1, width)
    found = np.empty_like(gathered)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    order = [chunk for rank in range(world.size) for chunk in range(rank, len(lengths), world.size)]
    place = 0
    for chunk in order:
        found[starts[chunk] : starts[chunk + 1]] = gathered[place : place + lengths[chunk]]
        place += lengths[chunk]
    return found


def mean_over_processes(values: torch.Tensor, world: World) -> torch.Tensor:
    """Mean of ``values`` over all processes."""
    if world.size == 1:
        return values
    import torch.distributed as dist

    total = values.clone()
    dist.all_reduce(total)
    return total / world.size
