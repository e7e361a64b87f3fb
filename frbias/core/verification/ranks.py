"""Sums what the ranks of a torchrun launch counted; the only place of this package that imports torch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.scan import Found


def combine(found: Found) -> Found:
    """The whole result from every rank's share, on every rank.

    Histograms and sums are integers and add up exactly; every mated score was written by one rank and is 0 on the
    others; collected scores are gathered in rank order. Needs an initialised gloo process group.
    """
    entries = [_gather(part) for part in (found.score, found.kind, found.row, found.column)]
    return Found(_sum(found.histogram), _sum(found.sums), _sum(found.mated), *entries)


def _sum(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import torch
    import torch.distributed as dist

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    dist.all_reduce(tensor)
    return np.asarray(tensor.numpy())


def _gather(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import torch
    import torch.distributed as dist

    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(array)]))
    longest = max(1, max(int(size) for size in sizes))
    padded = torch.zeros(longest, dtype=torch.from_numpy(array[:0]).dtype)
    padded[: len(array)] = torch.from_numpy(array)
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return np.concatenate([part[: int(size)].numpy() for part, size in zip(parts, sizes, strict=True)])
