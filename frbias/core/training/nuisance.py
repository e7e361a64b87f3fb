"""Which directions are taken out of embeddings: those that were asked for, or all that can be had."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn

from frbias.core.data.embeddings import Embeddings
from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.maps import Matrix, unit
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.training.adaptation import (
    LabelledUnits,
    common_direction,
    growth_direction,
    pose_direction,
    projection,
    within_directions,
)
from frbias.core.training.map_options import AUTO, DIRECTIONS, MapOptions


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction that tells no people apart.

    Attributes:
        name: What it is, in words.
        vector: (D,).
    """

    name: str
    vector: Matrix


@dataclass(frozen=True, eq=False)
class Found:
    """The directions of a map.

    Attributes:
        directions: In order.
        left_out: A sentence for each that could not be had, when all were asked for.
    """

    directions: tuple[Direction, ...]
    left_out: tuple[str, ...]

    @property
    def vectors(self) -> list[Matrix]:
        """The directions, each (D,)."""
        return [direction.vector for direction in self.directions]


def labelled_units(found: Embeddings, name: str) -> LabelledUnits:
    """The embeddings of people that are known, as :mod:`frbias.core.training.adaptation` takes them."""
    return units_of(found.frame, unit(found.matrix), name)


def units_of(frame: pd.DataFrame, units: Matrix, name: str) -> LabelledUnits:
    """Unit embeddings (N, D) of the rows of a sample table whose person is known."""
    known = frame["subject"].astype(str).str.strip().ne("").to_numpy()
    _, codes = np.unique(frame["subject"].astype(str).to_numpy()[known], return_inverse=True)
    yaw = np.full(len(frame), np.nan)
    if "yaw" in frame.columns:
        yaw = pd.to_numeric(frame["yaw"], errors="coerce").to_numpy(dtype=np.float64)
    ages = frame["age"].to_numpy(dtype=np.float64)
    return LabelledUnits(units[known], codes.astype(np.int64), ages[known], yaw[known], name)


def closing_offset(recogniser: Recogniser) -> Matrix | None:
    """Bias of the BatchNorm that ends a network, (D,): its mean embedding over what it was trained on; None without.

    Subtracting a mean and scaling leave what enters the bias at zero mean, so the bias is what is left of an average
    face.
    """
    if not isinstance(recogniser, Trainable):
        return None
    last = list(recogniser.stages()["head"][-1].modules())[-1]
    if not isinstance(last, nn.BatchNorm1d) or not bool(last.bias.detach().any()):
        return None
    bias: Matrix = last.bias.detach().cpu().double().numpy()
    return bias


def nuisance_directions(
    options: MapOptions, sets: Sequence[LabelledUnits], recogniser: Recogniser, photos: Matrix | None = None
) -> Found:
    """The directions that ``options`` take out.

    Args:
        options: Which.
        sets: Embeddings of labelled images; each has a direction of its own of every kind.
        recogniser: Whose embeddings they are.
        photos: Unit embeddings (n, D) of unlabelled photographs, whose mean stands for ``common``; None without.

    Raises:
        BadInputError: One that is asked for by name cannot be had.
    """
    wanted = DIRECTIONS if AUTO in options.remove else options.remove
    found: list[Direction] = []
    left_out: list[str] = []
    for name in wanted:
        ways = _ways(name, options, sets, recogniser, photos)
        made, problems = _tried(ways)
        if not made and AUTO not in options.remove:
            raise BadInputError(problems[0])
        found += made
        left_out += problems if AUTO in options.remove else []
    if options.within:
        out = projection([d.vector for d in found], recogniser.embedding_length)
        for one in sets:
            rows = within_directions(one.units @ out.T, one.people, options.within)
            found += [Direction(f"within people of {one.name}, {k + 1}", row) for k, row in enumerate(rows)]
    return Found(tuple(found), tuple(left_out))


def _ways(
    name: str, options: MapOptions, sets: Sequence[LabelledUnits], recogniser: Recogniser, photos: Matrix | None
) -> list[Callable[[], Direction]]:
    if name == "offset":
        return [lambda: Direction("offset of the network", _offset(recogniser))]
    if name == "common" and photos is not None:
        return [lambda: Direction("common to the photographs", common_direction(photos))]
    learn: dict[str, Callable[[LabelledUnits], Matrix]] = {
        "common": lambda one: common_direction(one.units),
        "growth": lambda one: growth_direction(one, options.child, options.adult),
        "pose": pose_direction,
    }
    return [lambda one=one: Direction(f"{name} of {one.name}", learn[name](one)) for one in sets]  # type: ignore[misc]


def _offset(recogniser: Recogniser) -> Matrix:
    found = closing_offset(recogniser)
    if found is None:
        raise BadInputError(
            f"{recogniser.name} does not end in a BatchNorm that frbias can read; leave offset out of --remove."
        )
    return found


def _tried(ways: Sequence[Callable[[], Direction]]) -> tuple[list[Direction], list[str]]:
    made, problems = [], []
    for way in ways:
        try:
            made.append(way())
        except BadInputError as error:
            problems.append(error.message)
    return made, problems
