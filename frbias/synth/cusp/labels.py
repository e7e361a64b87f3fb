"""Age labels: years of FFHQ-RR networks, age bins of FFHQ-LS networks, and the bins of the thesis.

A network with 101 labels (RR) takes whole years and was trained on targets from 20 to 69. A network with ten labels
(LS) takes **age bins**, not ages: its labels are the numbers 0..9 of :data:`LS_BINS`. The thesis this project descends
from gave it the numbers 0 to 70 as if they were ages; labels above 9 do not exist, and label 7 means 40 to 49 years.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frbias.core.foundation.errors import UsageError

RR_LABELS = 101
RR_TRAINED = (20, 69)
# First and last year of every label of an LS network.
LS_BINS = ((0, 2), (3, 6), (7, 9), (10, 14), (15, 19), (20, 29), (30, 39), (40, 49), (50, 69), (70, 120))
LABELS = {"rr": RR_LABELS, "ls": len(LS_BINS)}
# From each of these ranges (years, last one not included) the thesis drew one age per person.
THESIS_BINS = ((0, 5), (5, 10), (10, 15), (15, 20), (20, 30), (30, 40), (40, 50), (50, 65))
_OLDEST = 80  # stands for the open bin 70-120 when a single age is wanted


@dataclass(frozen=True)
class Target:
    """An age to show.

    Attributes:
        age: Years, for the table: the age asked for, or the middle of the bin asked for.
        label: The network's label.
        name: How files and the table name it: ``35``, or ``30-39`` for a bin asked for by name.
    """

    age: float
    label: int
    name: str


def is_binned(labels: int) -> bool:
    """Whether a network with this number of labels takes bins.

    Raises:
        UsageError: It is neither of the released kinds.
    """
    if labels not in (RR_LABELS, len(LS_BINS)):
        raise UsageError(f"A CUSP network with {labels} labels is neither FFHQ-RR (101 years) nor FFHQ-LS (10 bins).")
    return labels == len(LS_BINS)


def target_of(text: str, labels: int) -> Target:
    """The target meant by ``35``, or, with a binned network, by a bin's name ``30-39``.

    Raises:
        UsageError: It is no age or bin of this kind of network.
    """
    text = text.strip()
    binned = is_binned(labels)
    names = [f"{low}-{high}" for low, high in LS_BINS]
    if binned and text in names:
        label = names.index(text)
        low, high = LS_BINS[label]
        return Target((low + high + 1) / 2 if high < 120 else float(_OLDEST), label, text)
    try:
        age = float(text)
    except ValueError:
        bins = f" or one of the bins {', '.join(names)}" if binned else ""
        raise UsageError(f"--ages: {text!r} is not an age in years{bins}.") from None
    if not 0 <= age <= (120 if binned else RR_LABELS - 1):
        raise UsageError(f"--ages: {text} years is out of range; use 0 to {120 if binned else RR_LABELS - 1}.")
    if not binned and not age.is_integer():
        raise UsageError(f"--ages: {text} is not a whole number of years, which FFHQ-RR networks take.")
    return Target(age, bin_of(age) if binned else int(age), f"{age:g}")


def bin_of(age: float) -> int:
    """Label of the LS bin an age in years falls into."""
    return max(i for i, (low, _) in enumerate(LS_BINS) if int(age) >= low)


def thesis_targets(labels: int, seed: Sequence[int]) -> list[Target]:
    """One age from each of the thesis' eight ranges, drawn from ``seed``; whole years."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(seed))))
    ages = [int(rng.integers(low, high)) for low, high in THESIS_BINS]
    return [target_of(str(age), labels) for age in ages]


def refuse_twins(targets: Sequence[Target]) -> None:
    """Refuse targets that would give the same picture under two names.

    Raises:
        UsageError: Two targets have one label.
    """
    first: dict[int, str] = {}
    for target in targets:
        if target.label in first:
            twin = first[target.label]
            raise UsageError(f"--ages: {twin} and {target.name} are the same picture (label {target.label}); drop one.")
        first[target.label] = target.name


def untrained(targets: Sequence[Target], labels: int) -> list[str]:
    """Names of targets outside the ages an RR network was trained to show; none for bins."""
    if is_binned(labels):
        return []
    return [t.name for t in targets if not RR_TRAINED[0] <= t.label <= RR_TRAINED[1]]
