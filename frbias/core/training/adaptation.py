"""Maps of embeddings learned without training: directions that tell no people apart are taken out.

All of it is closed form on unit embeddings u = e/|e|. With Q an orthonormal basis of the directions,
u' = u - Q Q^T u: nuisance attribute projection (Solomonoff, Campbell and Boardman, ICASSP 2005; of word vectors
"all-but-the-top", Mu and Viswanath, ICLR 2018). Behind it, within-class covariance normalisation (Hatch, Kajarekar and
Stolcke, Interspeech 2006) or linear discriminant analysis, both with the covariance shrunk towards a multiple of the
identity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted
from frbias.core.recognisers.maps import EmbeddingMap, Matrix

Codes = npt.NDArray[np.int64]
GROWN_UP = 20.0  # pose is told apart from growth up to this age
_LEAST_PEOPLE = 5
_NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class LabelledUnits:
    """Embeddings of known people.

    Attributes:
        units: Unit embeddings (N, D).
        people: Number of each row's person, (N,).
        ages: Years, (N,), NaN unknown.
        yaw: Yaw of the head in degrees, (N,), NaN unknown.
        name: Of the set, for messages.
    """

    units: Matrix
    people: Codes
    ages: npt.NDArray[np.float64]
    yaw: npt.NDArray[np.float64]
    name: str = "the set"


def pooled(views: Sequence[LabelledUnits]) -> LabelledUnits:
    """Several embeddings of the same images, one below the other: people, ages and name are those of the first."""
    return LabelledUnits(
        np.concatenate([view.units for view in views]),
        np.concatenate([view.people for view in views]),
        np.concatenate([view.ages for view in views]),
        np.concatenate([view.yaw for view in views]),
        views[0].name,
    )


def common_direction(units: Matrix) -> Matrix:
    """Mean of unit embeddings (N, D), (D,): what all of a set have in common."""
    return np.asarray(units.mean(axis=0))


def growth_direction(found: LabelledUnits, child: float, adult: float) -> Matrix:
    """Mean over people of (mean from ``adult`` years on) - (mean up to ``child`` years), (D,).

    Raises:
        BadInputError: Fewer than five people are seen at both ages.
    """
    young, old = found.ages <= child, found.ages >= adult
    shifts = [
        found.units[mine & old].mean(axis=0) - found.units[mine & young].mean(axis=0)
        for mine in (found.people == person for person in np.unique(found.people))
        if (mine & young).any() and (mine & old).any()
    ]
    if len(shifts) < _LEAST_PEOPLE:
        raise BadInputError(
            f"{found.name} shows {counted(len(shifts), 'person', 'people')} both up to {child:g} and from {adult:g} years on; the direction "
            f"of growth needs {_LEAST_PEOPLE}. Leave growth out of --remove, or choose --child and --adult."
        )
    return np.asarray(np.mean(shifts, axis=0))


def pose_direction(found: LabelledUnits) -> Matrix:
    """How an embedding changes with a degree of yaw to either side, (D,).

    The coefficient of |yaw| in the least-squares regression of embeddings on |yaw| and min(age, 20), all three centred
    within each person.

    Raises:
        BadInputError: The set has no yaw that varies within a person.
    """
    known = np.isfinite(found.yaw)
    people, units = found.people[known], found.units[known]
    ages = np.minimum(np.nan_to_num(found.ages[known], nan=GROWN_UP), GROWN_UP)
    causes = within_person(np.column_stack([np.abs(found.yaw[known]), ages]), people)
    if not len(causes) or causes[:, 0].std() < _NOTHING:
        raise BadInputError(f"{found.name} has no column yaw that varies within a person; leave pose out of --remove.")
    used = causes if causes[:, 1].std() > _NOTHING else causes[:, :1]
    return np.asarray(np.linalg.lstsq(used, within_person(units, people), rcond=None)[0][0])


def within_directions(units: Matrix, people: Codes, count: int) -> Matrix:
    """The ``count`` directions along which a person's embeddings vary most, orthonormal rows (count, D).

    Raises:
        BadInputError: People vary in fewer directions.
    """
    centred = within_person(units, people)
    _, values, rows = np.linalg.svd(centred, full_matrices=False)
    if count > int((values > _NOTHING * max(float(values[0]), _NOTHING)).sum()):
        raise BadInputError(f"--within {count}: the people of the set do not vary in that many directions.")
    return np.asarray(rows[:count])


def within_person(values: Matrix, people: Codes) -> Matrix:
    """Values (N, D) minus the mean of their person."""
    _, codes = np.unique(people, return_inverse=True)
    sums = np.zeros((codes.max() + 1, values.shape[1])) if len(codes) else np.zeros((0, values.shape[1]))
    np.add.at(sums, codes, values)
    return np.asarray(values - (sums / np.bincount(codes)[:, None])[codes])


def projection(directions: Sequence[Matrix], length: int) -> Matrix:
    """I - Q Q^T, (D, D), with Q an orthonormal basis of what the directions (D,) span; I without any."""
    if not len(directions):
        return np.eye(length)
    stacked = np.stack([d / max(float(np.linalg.norm(d)), _NOTHING) for d in directions])
    _, values, rows = np.linalg.svd(stacked, full_matrices=False)
    basis = rows[values > 1e-6]
    return np.asarray(np.eye(length) - basis.T @ basis)


def within_covariance(units: Matrix, people: Codes) -> Matrix:
    """Pooled covariance within people, (D, D), with N - P degrees of freedom.

    Raises:
        BadInputError: Nobody has two images.
    """
    freedom = len(units) - len(np.unique(people))
    if freedom < 1:
        raise BadInputError("Nobody has two images, so nothing can be learned about what changes within a person.")
    centred = within_person(units, people)
    return np.asarray(centred.T @ centred / freedom)


def shrunk(covariance: Matrix, shrinkage: float) -> Matrix:
    """(1 - s) S + s tr(S)/D I, for s from 0 (S itself) to 1."""
    size = len(covariance)
    return np.asarray((1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / size * np.eye(size))


def whitening(covariance: Matrix) -> Matrix:
    """The symmetric inverse square root, (D, D); directions without any variance are mapped to 0."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NOTHING * values[-1]
    scales = np.zeros_like(values)
    scales[kept] = values[kept] ** -0.5
    return np.asarray((vectors * scales) @ vectors.T)


def discriminants(units: Matrix, people: Codes, shrinkage: float, dimensions: int) -> Matrix:
    """Rows (K, D) of linear discriminant analysis, largest ratio of variance between to within people first.

    Args:
        units: Embeddings (N, D).
        people: Person of each.
        shrinkage: Of the covariance within people.
        dimensions: K; 0 for as many as there are (people - 1, at most D).
    """
    white = whitening(shrunk(within_covariance(units, people), shrinkage))
    _, codes, counts = np.unique(people, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), units.shape[1]))
    np.add.at(means, codes, units)
    means = (means / counts[:, None] - units.mean(axis=0)) @ white.T
    _, values, rows = np.linalg.svd(means * np.sqrt(counts)[:, None], full_matrices=False)
    most = int((values > _NOTHING * values[0]).sum())
    if dimensions > most:
        raise BadInputError(f"--dimensions {dimensions}: these people differ in {most} directions.")
    return np.asarray(rows[: dimensions or most] @ white)


def fitted_map(
    directions: Sequence[Matrix], sets: Sequence[LabelledUnits], *, normalise: str, shrinkage: float, dimensions: int
) -> EmbeddingMap:
    """The map that takes ``directions`` out and then normalises.

    Args:
        directions: Each (D,).
        sets: Embeddings to learn the normalisation from; without ``normalise`` only their length is used.
        normalise: ``none``, ``wccn`` or ``lda``.
        shrinkage: Of the covariance within people, 0..1.
        dimensions: What LDA leaves; 0 for all.
    """
    out = projection(directions, sets[0].units.shape[1])
    if normalise == "none":
        return EmbeddingMap.of(out)
    units = np.concatenate([found.units for found in sets]) @ out.T
    people = _distinct([found.people for found in sets])
    if normalise == "wccn":
        return EmbeddingMap.of(whitening(shrunk(within_covariance(units, people), shrinkage)) @ out)
    rows = discriminants(units, people, shrinkage, dimensions) @ out
    return EmbeddingMap.of(rows, -rows @ np.concatenate([found.units for found in sets]).mean(axis=0))


def _distinct(parts: Sequence[Codes]) -> Codes:
    """Numbers of people such that nobody of one set is somebody of another."""
    numbered, first = [], 0
    for part in parts:
        _, codes = np.unique(part, return_inverse=True)
        numbered.append(codes + first)
        first += int(codes.max()) + 1 if len(codes) else 0
    return np.concatenate(numbered)
