"""Tiles of comparisons computed and counted on a CUDA device; torch is imported when one is made.

TF32 is off, so products are true float32. Scores of a device differ from the CPU's in the last bits; counts are
exact for the scores of the device that made them, by the same whole-number arithmetic as the CPU's. What comes back is
counts, the scores of mated pairs, and those around thresholds, never a tile.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import exact_arithmetic
from frbias.core.verification.scores.scan import TILE, Found, Plan, TileProduct
from frbias.core.verification.scores.tiles import SKIP, SKIP_BELOW, SUM_BITS, SUM_SCALE

TILES = 8  # counted at a time
_ROOM = 1 << 24  # scores held on the device before they are fetched
Float32 = npt.NDArray[np.float32]
Tiles = Sequence[tuple[int, int]]


def device_product(device: str) -> Callable[[Float32], TileProduct]:
    """Maker of tiles on ``device`` (``cuda``, ``cuda:1``, or ``cpu`` for tests).

    The result goes to ``compare_all(product=...)``.
    """
    return lambda vectors: DeviceTiles(vectors, device)


class DeviceTiles:
    """Sorted unit vectors on a device, which multiplies and counts them.

    Args:
        vectors: Padded to a multiple of ``TILE`` rows, float32.
        device: Its name.
    """

    def __init__(self, vectors: Float32, device: str) -> None:
        import torch

        exact_arithmetic()
        self.device = torch.device(device)
        self.held = torch.from_numpy(vectors).to(self.device)

    def __call__(self, row: int, column: int, out: Float32) -> Float32:
        """Scores of one tile, in memory of the host."""
        import torch

        torch.from_numpy(out).copy_(self._left(row) @ self._left(column).T)
        return out

    def count(self, plan: Plan, wanted: npt.NDArray[np.bool_], tiles: Tiles, advance: Callable[[int], None]) -> Found:
        """Count some tiles where they are, see :func:`frbias.core.verification.scores.scan.scan`."""
        import torch

        with torch.inference_mode():
            counting = _Counting(plan, wanted, self.device, min(TILES, len(tiles)))
            for start in range(0, len(tiles), TILES):
                some = tiles[start : start + TILES]
                for number, (row, column) in enumerate(some):
                    torch.mm(self._left(row), self._left(column).T, out=counting.scores[number])
                counting.add(some)
                advance(len(some))
            return counting.found()

    def _left(self, tile: int) -> Any:
        return self.held[tile * TILE : (tile + 1) * TILE]


class _Counting:
    """What is counted so far, on the device. One class beyond those of the plan takes what does not count.

    Args:
        plan: The samples.
        wanted: Bins whose scores are collected, shape (classes, bins).
        device: Where.
        tiles: At most so many at a time.
    """

    def __init__(self, plan: Plan, wanted: npt.NDArray[np.bool_], device: Any, tiles: int) -> None:
        import torch

        self.torch, self.plan, self.device = torch, plan, device
        self.labels = len(plan.class_of) + 1  # the last: of rows that only fill a tile up
        label = np.full((plan.side, TILE), self.labels - 1, np.int64)
        label.reshape(-1)[: plan.count] = plan.label
        class_of = np.full((self.labels, self.labels), plan.classes, np.int64)
        class_of[:-1, :-1] = np.where(plan.class_of < 0, plan.classes, plan.class_of)
        ends = np.stack([np.searchsorted(one, np.arange(self.labels + 1)) for one in label])
        cells = plan.mated_row % TILE * TILE + plan.mated_column % TILE
        self.cells = cells  # of mated pairs in their tiles
        self.label, self.class_of, self.ends = map(self._there, (label, class_of.ravel(), ends))
        self.wanted = self._there(np.concatenate([wanted, np.zeros((1, plan.bins.count), np.bool_)]).ravel())
        self.not_above = torch.ones(TILE, TILE, dtype=torch.bool, device=device).tril()
        self.step, self.one = torch.arange(TILE, device=device), self._zeros(1) + 1
        self.scores = torch.empty(tiles, TILE, TILE, device=device)
        self.histogram = self._zeros(self.wanted.numel())
        self.sums = self._zeros(2, plan.classes + 1)
        self.mated = torch.zeros(len(cells), device=device)
        self.collected = _Collected(device, tiles * TILE * TILE) if wanted.any() else None

    def add(self, tiles: Tiles) -> None:
        """Count the first scores."""
        torch, plan, count = self.torch, self.plan, len(tiles)
        scores = self.scores[:count]
        row, column, cells, places = self._places(tiles)
        flat = scores.view(-1)
        self.mated.index_copy_(0, places, flat.index_select(0, cells))
        flat.index_fill_(0, cells, float(SKIP))
        labels = self.label[row][:, :, None] * self.labels
        kind = self.class_of.take(labels + self.label[column][:, None, :])
        out = (scores < float(SKIP_BELOW)) | ((row == column)[:, None, None] & self.not_above)
        kind.masked_fill_(out, plan.classes)
        bin_of = ((scores - float(plan.bins.low)) * float(plan.bins.scale)).long().clamp_(0, plan.bins.count - 1)
        index = (kind * plan.bins.count + bin_of).view(-1)
        self.histogram.scatter_add_(0, index, self.one.expand(len(index)))
        whole = (scores * SUM_SCALE).long().masked_fill_(kind == plan.classes, 0)
        runs = self.class_of.take(labels + torch.arange(self.labels, device=self.device)).view(-1)
        for number, values in enumerate((whole, whole * whole >> SUM_BITS)):
            self.sums[number].index_add_(0, runs, self._by_label(values, column))
        if self.collected is not None:
            rows = (row[:, None, None] * TILE + self.step[:, None]).expand_as(scores).reshape(-1)
            columns = (column[:, None, None] * TILE + self.step).expand_as(scores).reshape(-1)
            self.collected.add(self.wanted.take(index), flat, kind.view(-1), rows, columns)

    def found(self) -> Found:
        """Everything, in memory of the host."""
        held = self.collected.fetched() if self.collected is not None else _nothing_held()
        histogram = self.histogram.view(-1, self.plan.bins.count)[:-1].cpu().numpy()
        return Found(histogram, self.sums[:, :-1].T.contiguous().cpu().numpy(), self.mated.cpu().numpy(), *held)

    def _places(self, tiles: Tiles) -> Any:
        """Rows and columns of tiles, cells of their mated pairs, and the numbers of these: in one copy to the device."""
        starts, pieces = self.plan.mated_start, []
        for row, column in tiles:
            number = row * self.plan.side + column
            pieces.append(np.arange(starts[number], starts[number + 1]))
        places = np.concatenate(pieces)
        shift = np.repeat(np.arange(len(tiles)) * TILE * TILE, [len(piece) for piece in pieces])
        corners = np.asarray(tiles, np.int64).T.ravel()
        sent = self._there(np.concatenate([corners, self.cells[places] + shift, places]))
        return sent.split([len(tiles), len(tiles), len(places), len(places)])

    def _by_label(self, values: Any, column: Any) -> Any:
        """Sums over the columns of each label, (tiles * TILE * labels,): whole numbers, so the order does not matter."""
        ends = self.ends[column]
        sums = self.torch.nn.functional.pad(values.cumsum(dim=2), (1, 0))
        at = sums.gather(2, ends[:, None, :].expand(-1, TILE, -1))
        return at.diff(dim=2).reshape(-1)

    def _there(self, values: npt.NDArray[Any]) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _zeros(self, *shape: int) -> Any:
        return self.torch.zeros(*shape, dtype=self.torch.int64, device=self.device)


class _Collected:
    """Scores in wanted bins with their class and place, as many as there is room for; fetched when it might run out.

    Args:
        device: Where.
        most: That may come at a time.
    """

    def __init__(self, device: Any, most: int) -> None:
        import torch

        self.torch, self.most, self.size = torch, most, max(_ROOM, 2 * most)
        self.held = [
            torch.empty(self.size + 1, dtype=kind, device=device)  # one beyond for what is not wanted
            for kind in (torch.float32, torch.int32, torch.int32, torch.int32)
        ]
        self.filled = torch.zeros(1, dtype=torch.int64, device=device)
        self.at_most = 0  # what the host knows of it without asking
        self.there: list[list[npt.NDArray[Any]]] = []

    def add(self, flags: Any, *parts: Any) -> None:
        """Keep what is flagged, in its order."""
        if self.at_most + self.most > self.size:
            self._ask()
        places = flags.long().cumsum(0).add_(self.filled - 1).masked_fill_(~flags, self.size)
        for held, part in zip(self.held, parts, strict=True):
            held.scatter_(0, places, part.to(held.dtype))
        self.filled += flags.sum()
        self.at_most += self.most

    def fetched(self) -> list[npt.NDArray[Any]]:
        """All of it, in memory of the host."""
        self._fetch(int(self.filled.cpu()[0]))
        return [np.concatenate(parts) for parts in zip(*self.there, strict=True)]

    def _ask(self) -> None:
        self.at_most = int(self.filled.cpu()[0])
        if self.at_most + self.most > self.size // 2:
            self._fetch(self.at_most)
            self.filled.zero_()
            self.at_most = 0

    def _fetch(self, filled: int) -> None:
        self.there.append([part[:filled].clone().cpu().numpy() for part in self.held])  # the room is used again


def _nothing_held() -> list[npt.NDArray[Any]]:
    return [np.empty(0, np.float32), *(np.empty(0, np.int32) for _ in range(3))]
