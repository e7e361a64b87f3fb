"""One pass over all pairs of embeddings in tiles of a fixed shape.

Why the scores never depend on block size, threads or ranks: the sorted embeddings are padded to a multiple of
``TILE`` rows and every product is exactly (TILE x d) @ (d x TILE) with one BLAS thread, whoever computes it and
whenever. A tile's scores therefore depend on the embeddings and their order alone; everything derived from them
is an integer sum (order does not matter) or stored at its own position.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World
from frbias.core.foundation.ranks import gather_over_ranks, sum_over_ranks
from frbias.core.verification.scores.binning import Bins
from frbias.core.verification.scores.tiles import SKIP, CountingRules, Held, TilePlace

TILE = 512
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class TileProduct(Protocol):
    """Computes the scores of one tile."""

    def __call__(self, row: int, column: int, out: Float32) -> Float32:
        """Scores of tile (row, column), shape (TILE, TILE); may use ``out``."""
        ...


@runtime_checkable
class TileCounter(Protocol):
    """Counts tiles by itself, as a product may do that has them elsewhere than in memory of the host."""

    def count(
        self,
        plan: "Plan",
        wanted: npt.NDArray[np.bool_],
        tiles: Sequence[tuple[int, int]],
        advance: Callable[[int], None],
    ) -> "Found":
        """What :func:`scan` finds in some tiles; ``plan.allow`` is None."""
        ...


@dataclass(frozen=True)
class Plan:
    """What a scan has to know about the samples, all in sorted order.

    Attributes:
        vectors: Unit vectors padded with zero rows to a multiple of TILE, shape (tiles * TILE, d), float32.
        count: Number of samples.
        label: Group code + 1 (0: none), ascending, shape (count,).
        run_end: Position after the last sample of the same label, shape (count,).
        class_of: Class of a pair of labels, -1: not counted, shape (labels, labels).
        classes: Number of classes.
        bins: Bins of the scores.
        mated_row, mated_column: Mated pairs, row < column, ordered by tile, shape (m,).
        mated_start: First mated pair of every tile number, shape (tiles^2 + 1,).
        allow: Which non-mated pairs of a tile count, given its corner and shape; None: all.
        product: Another way to compute tiles (an accelerator); None: BLAS.
    """

    vectors: Float32
    count: int
    label: Int32
    run_end: Int32
    class_of: Int32
    classes: int
    bins: Bins
    mated_row: Int64
    mated_column: Int64
    mated_start: Int64
    allow: Callable[[slice, slice], npt.NDArray[np.bool_]] | None = None
    product: TileProduct | None = None

    @property
    def side(self) -> int:
        """Tiles along one side."""
        return len(self.vectors) // TILE

    def tiles(self) -> list[tuple[int, int]]:
        """Tiles on and above the diagonal that hold a counted pair."""
        return [(i, j) for i in range(self.side) for j in range(i, self.side)]


@dataclass
class Found:
    """What a scan finds; sums of integers and entries, the same for any order of tiles."""

    histogram: Int64
    sums: Int64
    mated: Float32
    score: Float32
    kind: Int32
    row: Int32
    column: Int32


@dataclass
class _Worker:
    plan: Plan
    wanted: npt.NDArray[np.uint8]
    mated: Float32
    room: int = 1
    sums: Int64 = field(init=False)
    filled: int = 0

    def __post_init__(self) -> None:
        self._counts = np.zeros((self.plan.classes, self.plan.bins.count + 1), dtype=np.int64)
        self.sums = np.zeros((self.plan.classes, 2), dtype=np.int64)
        self._tile = np.empty((TILE, TILE), dtype=np.float32)
        self._collects = bool(self.wanted.any())
        self._held = Held.room(self.room * TILE * TILE if self._collects else 0)
        plan = self.plan
        self._rules = CountingRules(
            plan.label, plan.run_end, plan.class_of, plan.bins.low, plan.bins.scale, *_held_bins(self.wanted)
        )

    @property
    def histogram(self) -> Int64:
        """Counts, shape (classes, bins)."""
        return self._counts[:, :-1]

    def run(self, row: int, column: int) -> None:
        """Count one tile."""
        from frbias.core.verification.scores.kernels import count_tile

        plan = self.plan
        scores = self._scores(row, column)
        first, second = row * TILE, column * TILE
        rows, columns = min(TILE, plan.count - first), min(TILE, plan.count - second)
        number = row * plan.side + column
        mine = slice(plan.mated_start[number], plan.mated_start[number + 1])
        r, c = plan.mated_row[mine] - first, plan.mated_column[mine] - second
        self.mated[mine] = scores[r, c]
        scores[r, c] = SKIP
        if plan.allow is not None:
            scores[:rows, :columns][~plan.allow(slice(first, first + rows), slice(second, second + columns))] = SKIP
        if self._collects and self.filled + TILE * TILE > len(self._held.score):
            self._grow()
        place = TilePlace(first, second, rows, columns, row == column)
        self.filled = count_tile(scores, place, self._rules, self._held, self._counts, self.sums, self.filled)

    def leave(self) -> list[npt.NDArray[Any]]:
        """Collected scores, classes, rows and columns; the worker keeps none of them."""
        found, self._held, self.filled = self._held.first(self.filled), Held.room(0), 0
        return found

    def _scores(self, row: int, column: int) -> Float32:
        if self.plan.product is not None:
            return self.plan.product(row, column, self._tile)
        vectors = self.plan.vectors
        left, right = vectors[row * TILE : (row + 1) * TILE], vectors[column * TILE : (column + 1) * TILE]
        return np.matmul(left, right.T, out=self._tile)

    def _grow(self) -> None:
        size = max(self.filled + TILE * TILE, int(len(self._held.score) * 1.5))
        self._held = self._held.grown(self.filled, size)


def _held_bins(wanted: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Int32, Int32]:
    """Wanted bins with one more that is not, and the first and last wanted one of every class."""
    bins = wanted.shape[1]
    last = bins - 1 - wanted[:, ::-1].argmax(axis=1)
    first = np.where(wanted.any(axis=1), wanted.argmax(axis=1), bins + 1)
    return np.pad(wanted, ((0, 0), (0, 1))), first.astype(np.int32), last.astype(np.int32)


def scan(
    plan: Plan,
    wanted: npt.NDArray[np.bool_],
    *,
    tiles: Sequence[tuple[int, int]] | None = None,
    threads: int = 1,
    block: int = 2,
    world: World | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> Found:
    """Count every pair of some tiles (default: all) and collect those in wanted bins.

    Args:
        plan: The samples.
        wanted: Bins to collect, shape (classes, bins).
        tiles: Tiles to scan.
        threads: Threads of this process.
        block: Tiles a thread takes at a time; changes nothing in the result.
        world: Ranks that share the tiles; every rank returns the whole result.
        advance: Called with the number of finished tiles.
    """
    world = world or World()
    mine = (plan.tiles() if tiles is None else list(tiles))[world.rank :: world.size]
    if isinstance(plan.product, TileCounter) and plan.allow is None:
        found = plan.product.count(plan, wanted, mine, advance)
    else:
        found = _scan_here(plan, wanted, mine, threads, block, advance)
    if world.size > 1:
        return combine(found)
    return found


def _scan_here(
    plan: Plan,
    wanted: npt.NDArray[np.bool_],
    mine: Sequence[tuple[int, int]],
    threads: int,
    block: int,
    advance: Callable[[int], None],
) -> Found:
    mated = np.zeros(len(plan.mated_row), dtype=np.float32)
    queue = iter([list(mine[k : k + block]) for k in range(0, len(mine), block)])
    lock = threading.Lock()

    def work(worker: _Worker) -> _Worker:
        for chunk in _share(queue, lock):
            for row, column in chunk:
                worker.run(row, column)
            advance(len(chunk))
        return worker

    flags = wanted.astype(np.uint8)
    threads = max(1, min(threads, len(mine)))
    room = 1 + min(-(-len(mine) // threads), 16)  # tiles a worker can collect before its buffers have to grow
    workers = [_Worker(plan, flags, mated, room) for _ in range(threads)]
    with one_blas_thread():
        if threads == 1:
            work(workers[0])
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, workers))
    return _merge(workers, mated)


def one_blas_thread() -> Any:
    """Context in which every BLAS call uses one thread."""
    return _libraries().limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _share(queue: Iterator[list[tuple[int, int]]], lock: threading.Lock) -> Iterator[list[tuple[int, int]]]:
    while True:
        with lock:
            chunk = next(queue, None)
        if chunk is None:
            return
        yield chunk


def _merge(workers: list[_Worker], mated: Float32) -> Found:
    parts = [list(part) for part in zip(*(worker.leave() for worker in workers), strict=True)]
    score, kind, row, column = map(_joined, parts)
    histogram, sums = workers[0].histogram, workers[0].sums
    for worker in workers[1:]:
        histogram += worker.histogram
        sums += worker.sums
    return Found(histogram, sums, mated, score, kind, row, column)


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Arrays one after the other; the list is emptied, so that they are not there twice for longer than it takes."""
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    parts.clear()
    return whole


def combine(found: Found) -> Found:
    """The whole result from every rank's share, on every rank.

    Histograms and sums are integers and add up exactly; every mated score was written by one rank and is 0 on the
    others; collected scores are gathered in rank order. Needs an initialised gloo process group.
    """
    entries = [gather_over_ranks(part) for part in (found.score, found.kind, found.row, found.column)]
    return Found(sum_over_ranks(found.histogram), sum_over_ranks(found.sums), sum_over_ranks(found.mated), *entries)
