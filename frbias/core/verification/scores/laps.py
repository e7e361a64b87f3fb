"""A long scan in laps: what each found is kept when it is done, and a scan that was cut off goes on behind them.

The leader of a launch alone keeps and finds laps, so no disk has to be shared, and the number of ranks may be another
than before. What is kept is found by everything that a scan depends on.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World
from frbias.core.foundation.files import atomic_path
from frbias.core.foundation.ranks import sum_over_ranks
from frbias.core.verification.scores.scan import TILE, Found, Plan, combine

_KEPT = 14 * 24 * 3600.0  # seconds that laps of a scan nobody goes on with are kept
LAP = 16_384  # tiles, 4 billion comparisons: half a minute to two minutes of two cores
Lap = list[tuple[int, int]]
_RULES = 2  # of what is summed; counted up when laps of another version must not be added to those of this one
_EACH = ("histogram", "sums", "places", "mated", "score", "kind", "row", "column")


@dataclass(frozen=True)
class Laps:
    """Where laps are kept.

    Attributes:
        root: Folder for all scans.
        used: Those of the scans of this process.
    """

    root: Path
    used: set[Path] = field(default_factory=set)

    def clear(self) -> None:
        """Remove what was kept of the scans that were asked for: what came of them is safe elsewhere."""
        for folder in self.used:
            shutil.rmtree(folder, ignore_errors=True)
        self.used.clear()

    def scan(
        self,
        plan: Plan,
        wanted: npt.NDArray[np.bool_],
        world: World,
        share: Callable[[Lap], Found],
        advance: Callable[[int], None],
    ) -> Found:
        """What all tiles of a plan hold.

        Args:
            plan: The samples; ``allow`` is None.
            wanted: Bins to collect.
            world: Ranks that share every lap.
            share: Counts some tiles together with the other ranks.
            advance: Called with the number of tiles that need not be counted again.
        """
        tiles = plan.tiles()
        laps = [tiles[start : start + LAP] for start in range(0, len(tiles), LAP)]
        folder = self.root / _name(plan, wanted)
        whole, done = _Sum(), 0
        if world.leader:
            _remove_forgotten(self.root, folder)
            self.used.add(folder)
            done = whole.add_all(_read_all(folder, len(laps), plan))
        if world.size > 1:
            done = int(sum_over_ranks(np.array([done]))[0])
            whole = _Sum([combine(whole.found(plan))])
        advance(sum(map(len, laps[:done])))
        for number, lap in enumerate(laps[done:], start=done):
            found = share(lap)
            whole.add_all([found])
            if world.leader:
                _write(folder / f"{number:06d}.npz", found)
        return whole.found(plan)


def _remove_forgotten(root: Path, mine: Path) -> None:
    """Remove scans that were cut off long ago: nobody else would."""
    for folder in root.glob("*/"):
        with suppress(OSError):
            if folder != mine and folder.stat().st_mtime < time.time() - _KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def _name(plan: Plan, wanted: npt.NDArray[np.bool_]) -> str:
    digest = hashlib.sha256(f"{_RULES} {TILE} {LAP} {plan.count} {_place_of(plan.product)}".encode())
    for array in (np.packbits(wanted), plan.label, plan.class_of, plan.mated_row, plan.mated_column):
        digest.update(array.tobytes())
    digest.update(plan.vectors.data)
    return digest.hexdigest()[:32]


def _place_of(product: Any) -> str:
    """Where scores are computed, since other places give other last bits."""
    return "" if product is None else f"{type(product).__name__} {getattr(product, 'device', '')}"


class _Sum:
    """Several laps as one.

    Args:
        parts: The first of them.
    """

    def __init__(self, parts: Iterable[Found] = ()) -> None:
        self.whole: Found | None = None
        self.held: list[list[npt.NDArray[Any]]] = []
        self.add_all(parts)

    def add_all(self, parts: Iterable[Found]) -> int:
        """Add some; how many they were."""
        count = 0
        for part in parts:
            count += 1
            self.held.append([part.score, part.kind, part.row, part.column])
            if self.whole is None:
                self.whole = replace(
                    part, histogram=part.histogram.copy(), sums=part.sums.copy(), mated=part.mated.copy()
                )
            else:
                self.whole.histogram += part.histogram
                self.whole.sums += part.sums
                self.whole.mated += part.mated  # each was written in one lap, and is 0 in the others
        return count

    def found(self, plan: Plan) -> Found:
        """Everything, nothing when there was none; only once."""
        if self.whole is None:
            counts = np.zeros((plan.classes, plan.bins.count), np.int64), np.zeros((plan.classes, 2), np.int64)
            numbers = (np.empty(0, np.int32) for _ in range(3))
            return Found(*counts, np.zeros(len(plan.mated_row), np.float32), np.empty(0, np.float32), *numbers)
        columns = [np.concatenate(column) for column in zip(*self.held, strict=True)]
        self.held.clear()
        return Found(self.whole.histogram, self.whole.sums, self.whole.mated, *columns)


def _write(path: Path, found: Found) -> None:
    places = np.flatnonzero(found.mated)
    values = {**vars(found), "places": places, "mated": found.mated[places]}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **{name: values[name] for name in _EACH})


def _read_all(folder: Path, count: int, plan: Plan) -> Iterator[Found]:
    """The laps that are kept, from the first on without a gap; a damaged one ends them."""
    for number in range(count):
        try:
            with np.load(folder / f"{number:06d}.npz", allow_pickle=False) as saved:
                values = {name: saved[name] for name in _EACH}
            mated = np.zeros(len(plan.mated_row), np.float32)
            mated[values.pop("places")] = values.pop("mated")
            found = Found(mated=mated, **values)
            if found.histogram.shape != (plan.classes, plan.bins.count):
                return
        except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile):
            return
        yield found
