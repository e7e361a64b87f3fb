"""How a stage that makes images says what it will make: tasks, work units, and what came of them.

A producer is a small picklable object. It loads weights, meshes or detectors on the first call of
:meth:`Producer.render`, not before, so that planning is cheap and worker processes load their own copy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

Column = str | float | int | None


@dataclass(frozen=True)
class Task:
    """One image to make.

    Attributes:
        file_name: Path below the output folder, with ``/``; the suffix (``.png``, ``.jpg``) chooses the format.
        subject: Identity label.
        age: Age in years; NaN when unknown.
        columns: Further columns of ``metadata.csv`` known before rendering.
    """

    file_name: str
    subject: str
    age: float
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkUnit:
    """Tasks that share work (one subject, one source photograph) and are rendered together.

    Attributes:
        key: Unique and stable name; units are resumed and sharded whole.
        tasks: The images, in the order of the table.
        payload: Whatever the backend needs (picklable).
        source_file: What ``rejected.csv`` names for tasks without a ``source_file`` column of their own.
    """

    key: str
    tasks: tuple[Task, ...]
    payload: Any = None
    source_file: str = ""


@dataclass(frozen=True)
class Made:
    """What came of one task.

    Attributes:
        image: uint8 RGB (height, width, 3) or grey (height, width); None when there is none.
        columns: Further columns known after rendering.
        reason: Why there is no image, one clause.
        extra_files: Files to write beside the image: name relative to the output folder -> content.
        file_name: That of the task; where it is given, it is compared, so that no picture gets another's name.
    """

    image: npt.NDArray[np.uint8] | None
    columns: Mapping[str, Column] = field(default_factory=dict)
    reason: str = ""
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    file_name: str = ""


@dataclass(frozen=True)
class LazyUnits(Sequence[WorkUnit]):
    """Units that are made when they are asked for, so that a plan of a million images takes no memory.

    Attributes:
        keys: Of all units.
        tasks: How many images each has.
        make: Makes the unit of a position.
    """

    keys: Sequence[str]
    tasks: Sequence[int]
    make: Callable[[int], WorkUnit]

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> WorkUnit: ...

    @overload
    def __getitem__(self, index: slice) -> "Sequence[WorkUnit]": ...

    def __getitem__(self, index: int | slice) -> "WorkUnit | Sequence[WorkUnit]":
        if isinstance(index, slice):
            return [self.make(k) for k in range(len(self))[index]]
        return self.make(range(len(self))[index])


@dataclass(frozen=True)
class Chosen(Sequence[WorkUnit]):
    """Some units of a plan, in order.

    Attributes:
        units: The plan.
        positions: Which.
    """

    units: Sequence[WorkUnit]
    positions: list[int]

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> WorkUnit: ...

    @overload
    def __getitem__(self, index: slice) -> "Sequence[WorkUnit]": ...

    def __getitem__(self, index: int | slice) -> "WorkUnit | Sequence[WorkUnit]":
        if isinstance(index, slice):
            return [self.units[k] for k in self.positions[index]]
        return self.units[self.positions[index]]

    def tasks(self) -> int:
        """Images in them."""
        if isinstance(self.units, LazyUnits):
            return sum(self.units.tasks[k] for k in self.positions)
        return sum(len(self.units[k].tasks) for k in self.positions)


def keys_of(units: Sequence[WorkUnit]) -> Sequence[str]:
    """The keys of a plan; units that are made when asked for are not made."""
    return units.keys if isinstance(units, LazyUnits) else [unit.key for unit in units]


class Producer(Protocol):
    """Makes the images of one stage (generation, alignment)."""

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """``processes``: one unit at a time per worker process; ``batches``: several units per call, in this process."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything the images depend on, as JSON values: options, seed, hashes of weights and sources."""
        ...

    def plan(self) -> Sequence[WorkUnit]:
        """All units, in the order of the table; cheap, needs no weights."""
        ...

    def prepare(self) -> None:
        """Fetch what worker processes all need; called once, before they start."""
        ...

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render ``units``; one list per unit, one :class:`Made` per task, in order.

        The images of a unit must not depend on the other units in the call. They are encoded and written by threads
        while the next ones are made: what was given is not changed afterwards.
        """
        ...
