"""The ageing direction: where a recogniser's embedding of a person moves as the person grows older.

A person's shift is the mean of the older unit embeddings minus the mean of the younger ones; the direction of a set is
the mean of its people's shifts. Photographs of different sources agree on it, so the cosine between the direction of
renders and that of photographs says how truly a generator ages faces; the lengths say how strongly.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from frbias.core.auditing.vectors import Codes, Faces, Float, means_of_people
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted

MINIMUM = 5
_NEAR_ONE = 1 - 1e-12


@dataclass(frozen=True)
class Shifts:
    """Shifts of the people who are seen both younger and older.

    Attributes:
        rows: One shift a person, (people, d).
    """

    rows: Float

    @property
    def mean(self) -> Float:
        """The ageing direction, (d,), not normalised."""
        return np.asarray(self.rows.mean(axis=0))

    @property
    def length(self) -> float:
        """Length of the mean shift, in units of the length of an embedding."""
        return float(np.linalg.norm(self.mean))


@dataclass(frozen=True)
class Agreement:
    """How well the ageing of two sets agrees.

    Attributes:
        cosine: Between their mean shifts, -1..1.
        low, high: Normal interval with the bootstrap standard error of the cosine's Fisher transform atanh; the
            people of both sets are drawn again. (Percentiles would lie too low: a replicate's mean shifts are noisier
            than the sets' own, and noise lowers a cosine.)
        length, other_length: Lengths of the mean shifts.
        people, other_people: People who are seen both younger and older.
    """

    cosine: float
    low: float
    high: float
    length: float
    other_length: float
    people: int
    other_people: int


def shifts_of(faces: Faces, below: float, above: float) -> Shifts:
    """Shifts from ages under ``below`` to ages of ``above`` and more, of the people who have both.

    Raises:
        BadInputError: Fewer than five people have both.
    """
    young = (faces.ages < below).astype(np.float64)
    old = (faces.ages >= above).astype(np.float64)
    difference = means_of_people(faces, old) - means_of_people(faces, young)
    rows = difference[np.isfinite(difference).all(axis=1)]
    if len(rows) < MINIMUM:
        raise BadInputError(
            f"{counted(len(rows), 'person', 'people')} seen both under {below:g} and at {above:g} or more; the ageing direction "
            f"needs {MINIMUM}."
        )
    return Shifts(rows)


def agreement(
    one: Shifts, other: Shifts, *, replicates: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Agreement:
    """Cosine between the ageing directions of two sets, with a subject bootstrap interval.

    Args:
        one, other: Shifts by the same recogniser.
        replicates: Bootstrap replicates; the people of both sets are drawn again in each.
        confidence: Coverage of the interval.
        seed: Of the draws.

    Raises:
        BadInputError: The embeddings have different lengths.
    """
    if one.rows.shape[1] != other.rows.shape[1]:
        raise BadInputError("The two sets were embedded by different recognisers; their directions cannot be compared.")
    random = np.random.default_rng(seed)
    drawn = _cosines(_drawn_means(one.rows, replicates, random), _drawn_means(other.rows, replicates, random))
    cosine = float(_cosines(one.mean[None], other.mean[None])[0])
    spread = float(np.arctanh(np.clip(drawn, -_NEAR_ONE, _NEAR_ONE)).std(ddof=1))
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    middle = float(np.arctanh(np.clip(cosine, -_NEAR_ONE, _NEAR_ONE)))
    low, high = float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
    return Agreement(cosine, low, high, one.length, other.length, len(one.rows), len(other.rows))


def within_person_directions(faces: Faces, count: int) -> Float:
    """The ``count`` orthonormal directions in which the embeddings of a person vary most, (count, d).

    Eigenvectors of the pooled covariance of unit embeddings around their person's mean, largest first.

    Raises:
        BadInputError: The set has too few images beyond one a person.
    """
    centred = faces.unit - means_of_people(faces)[faces.person]
    if len(faces.unit) - faces.people < count or not 0 < count <= faces.unit.shape[1]:
        raise BadInputError(
            f"{counted(count, 'direction')} cannot be estimated from {counted(len(faces.unit), 'image')} of "
            f"{counted(faces.people, 'person', 'people')}."
        )
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(vectors[:, ::-1][:, :count].T)


def _drawn_means(rows: Float, replicates: int, random: np.random.Generator) -> Float:
    draws: Codes = random.integers(0, len(rows), (replicates, len(rows)))
    counts = np.zeros((replicates, len(rows)))
    np.add.at(counts, (np.arange(replicates)[:, None], draws), 1.0)
    return np.asarray(counts @ rows / len(rows))


def _cosines(one: Float, other: Float) -> Float:
    product = np.einsum("ij,ij->i", one, other)
    return np.asarray(product / np.maximum(np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1), 1e-30))
