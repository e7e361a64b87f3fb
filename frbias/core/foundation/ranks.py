"""NumPy arrays summed or gathered over the ranks of a torchrun launch; needs an initialised gloo process group."""

from typing import Any

import numpy as np
import numpy.typing as npt


def sum_over_ranks(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sum of every rank's array (equal shapes), on every rank; exact for integers."""
    import torch
    import torch.distributed as dist

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    dist.all_reduce(tensor)
    return np.asarray(tensor.numpy())


def gather_over_ranks(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Every rank's vector (any lengths, one dtype), one after the other in rank order, on every rank."""
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
