"""What a map of embeddings takes out; shared by adapting and by fine-tuning."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from frbias.core.foundation.requests import Request, option
from frbias.core.foundation.values import Unusable

DIRECTIONS, AUTO = ("offset", "common", "growth", "pose"), "auto"
_MAP = "Map of the embeddings"


def directions_named(value: object) -> tuple[str, ...]:
    """Directions meant by ``common,growth``, ``none``, an empty text or a list, in their usual order.

    Raises:
        Unusable: There is no such direction.
    """
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).split(",")
    names = [part.strip().lower() for part in parts if part.strip()]
    names = [] if names == ["none"] else names
    if names == [AUTO]:
        return (AUTO,)
    for name in names:
        if name not in DIRECTIONS:
            raise Unusable(f"{name!r} is no direction; directions are {', '.join(DIRECTIONS)} (or auto, or none).")
    return tuple(name for name in DIRECTIONS if name in names)


@dataclass(frozen=True, kw_only=True)
class MapOptions(Request):
    """Directions that are taken out of every unit embedding because they tell no people apart.

    Attributes:
        remove: ``offset`` (bias of the recogniser's closing BatchNorm: its own mean embedding), ``common`` (mean of
            the images), ``growth`` (from child to adult within people), ``pose`` (turning the head to either side);
            ``auto``: all of them that can be had.
        within: So many of the directions along which a person's embeddings vary most, after ``remove``.
        damage: ``both``: learn from the images and a strongly damaged copy of each; ``strong``: from the damaged copies
            alone; ``none``: from the images alone.
        child: Images up to this age, in years, are the young end of growth.
        adult: Images from this age on are its grown-up end.
    """

    title = "adapt"
    remove: tuple[str, ...] = option(
        (),
        help="Directions to take out of every embedding: offset, common, growth, pose; or auto, or none.",
        panel=_MAP,
        metavar="NAMES",
        parse=directions_named,
        show=lambda names: ",".join(names) or "none",
    )
    within: int = option(
        0, help="Take out so many of the directions in which a person varies most.", panel=_MAP, low=0, high=4096
    )
    damage: Literal["both", "strong", "none"] = option(
        "both", help="Learn them from the images and damaged copies, from the copies alone, or without.", panel=_MAP
    )
    child: float = option(11.0, help="Oldest age of a child, for growth.", panel=_MAP, low=0, high=150)
    adult: float = option(18.0, help="Youngest age of an adult, for growth.", panel=_MAP, low=0, high=150)

    def conflicts(self) -> Iterator[str]:
        """Directions that do not exist, and children that are grown up."""
        yield from super().conflicts()
        if unknown := sorted(set(self.remove) - {*DIRECTIONS, AUTO}):
            yield f"--remove {unknown[0]!r} is no direction; directions are {', '.join(DIRECTIONS)} (or auto, or none)."
        if self.child >= self.adult:
            yield f"--child {self.child:g} must be below --adult {self.adult:g}."
