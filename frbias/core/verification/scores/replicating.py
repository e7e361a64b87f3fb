"""What bootstrap replicates walk along, by name, and the threads that share them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class NonMatedTail(NamedTuple):
    """Non-mated comparisons that set the threshold, from the largest score down.

    Attributes:
        score: Descending, shape (n,).
        kind: Class of each, int32.
        first, second: Subject codes of each, int32.
        complete: Whether these are all such comparisons, not the upper tail alone.
    """

    score: npt.NDArray[np.floating[Any]]
    kind: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    complete: bool


class MatedScores(NamedTuple):
    """Mated comparisons within groups, from the smallest score up.

    Attributes:
        score: Ascending, shape (m,).
        group: Group code of each, >= 0.
        subject: Subject code of each.
    """

    score: npt.NDArray[np.floating[Any]]
    group: npt.NDArray[np.int64]
    subject: npt.NDArray[np.int64]


def in_threads(work: Callable[[slice], None], count: int, threads: int) -> None:
    """Call ``work`` with slices that cover ``count`` replicates, shared by threads."""
    size = max(1, -(-count // max(1, threads * 4)))
    parts = [slice(k, min(k + size, count)) for k in range(0, count, size)]
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))
