"""What each flag was looked for in, and what was found: 0 is not the same as never looked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.auditing.defects import Belonging, Copies, Sharpness
from frbias.core.auditing.wrong_ages import AgeFit

Mask = npt.NDArray[np.bool_]
FLAGS = {
    "unreadable": "the file cannot be decoded",
    "no_face": "no usable face was found",
    "duplicate": "a copy of an earlier image of the set",
    "leaked": "a copy of an image of the other set",
    "stranger": "shows another person of the set than it says",
    "wrong_age": "shows another age than it says",
    "blurred": "far less sharp than the rest of the set",
}
# What can be looked for in a file without a face, and in one that cannot be read.
_WITHOUT_FACE = ("unreadable", "no_face")
_WITHOUT_IMAGE = ("unreadable",)


@dataclass(frozen=True)
class Search:
    """The search for one flag in the images that show a face, or are said to.

    Attributes:
        found: True where an image has the flag, (n,).
        looked: True where it was looked for, (n,).
        why_not: Why it was looked for in none of them, a clause; empty when it was in some.
    """

    found: Mask
    looked: Mask
    why_not: str = ""


@dataclass(frozen=True)
class Flagged:
    """Images with each flag.

    Attributes:
        flagged: Images with each flag; None where it was looked for in none.
        looked_at: Images that each flag was looked for in.
        not_looked_for: Why a flag was looked for in no image, a clause; only of those.
    """

    flagged: dict[str, int | None]
    looked_at: dict[str, int]
    not_looked_for: dict[str, str]


def searches(
    faceless: Mask, inside: Copies, leaks: Copies | None, own: Belonging, fit: AgeFit, sharpness: Sharpness
) -> dict[str, Search]:
    """The search for every flag but ``unreadable``.

    Args:
        faceless: True where the detector finds no face, (n,).
        inside, leaks: Copies within the set and of another; None without another.
        own: How well images fit their people.
        fit: How well they fit their ages.
        sharpness: Which are blurred.
    """
    every, none = np.ones(len(faceless), dtype=bool), np.zeros(len(faceless), dtype=bool)
    judged = np.isfinite(own.own) & ~faceless
    stranger = own.stranger & judged
    aged = fit.judged & ~faceless & ~stranger
    several = bool(np.isfinite(own.own).any())
    alone = "no face was found in any picture of a person with two" if several else "nobody has two pictures"
    astray = fit.why_not or "every picture whose age is known lacks a face or shows somebody else"
    return {
        "no_face": Search(faceless, every),
        "duplicate": Search(inside.of >= 0, every),
        "leaked": Search(none, none, "no --against set") if leaks is None else Search(leaks.of >= 0, every),
        "stranger": Search(stranger, judged, "" if judged.any() else alone),
        "wrong_age": Search(fit.wrong & aged, aged, "" if aged.any() else astray),
        "blurred": Search(sharpness.blurred, none if sharpness.why_not else every, sharpness.why_not),
    }


def cells(made: Mapping[str, Search], *, found: bool) -> npt.NDArray[np.object_]:
    """Flags of every image, or those that were not looked for in it, separated by spaces, (n,)."""
    masks = [(flag, made[flag].found if found else ~made[flag].looked) for flag in FLAGS if flag in made]
    rows = zip(*(mask for _, mask in masks), strict=True)
    names = [flag for flag, _ in masks]
    return np.array(
        [" ".join(name for name, here in zip(names, row, strict=True) if here) for row in rows], dtype=object
    )


def not_looked_for_in(flag: str) -> str:
    """What is not looked for in a file that is ``unreadable`` or gave ``no_face``, separated by spaces."""
    looked = _WITHOUT_IMAGE if flag == "unreadable" else _WITHOUT_FACE
    return " ".join(name for name in FLAGS if name not in looked)


def count_flags(flags: Sequence[str], not_looked_for: Sequence[str], made: Mapping[str, Search]) -> Flagged:
    """Count the cells of a table.

    Args:
        flags: Flags of every image, separated by spaces.
        not_looked_for: What was not looked for in it, likewise.
        made: The searches, for the reasons.
    """
    found, missed = (Counter(flag for cell in column for flag in cell.split()) for column in (flags, not_looked_for))
    looked_at = {flag: len(flags) - missed[flag] for flag in FLAGS}
    return Flagged(
        {flag: found[flag] if looked_at[flag] else None for flag in FLAGS},
        looked_at,
        {flag: made[flag].why_not for flag in FLAGS if not looked_at[flag]},
    )
