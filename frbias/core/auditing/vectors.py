"""Unit embeddings and the means of people: the few operations that every audit starts from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Faces:
    """Embedded faces of known people.

    Attributes:
        unit: Embeddings of length 1, float64 (n, d).
        person: Code of the person of every face, 0..people-1, (n,).
        names: Label of every person.
        ages: Years of every face, NaN where unknown, (n,).
    """

    unit: Float
    person: Codes
    names: tuple[str, ...]
    ages: Float

    @property
    def people(self) -> int:
        """Number of people."""
        return len(self.names)

    def only(self, mask: npt.NDArray[np.bool_]) -> "Faces":
        """The faces where ``mask`` is true, and the people they show."""
        return faces_of(self.unit[mask], [self.names[code] for code in self.person[mask]], self.ages[mask])


def faces_of(matrix: npt.ArrayLike, subjects: Sequence[str], ages: npt.ArrayLike | None = None) -> Faces:
    """Faces from raw embeddings; an embedding of length 0 stays 0.

    Args:
        matrix: Embeddings (n, d).
        subjects: Label of the person of every face.
        ages: Years, NaN where unknown; default: all unknown.
    """
    raw = np.asarray(matrix, dtype=np.float64)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    unit = np.divide(raw, lengths, out=np.zeros_like(raw), where=lengths > 0)
    names, person = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    years = np.full(len(raw), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
    return Faces(unit, person.astype(np.intp), tuple(str(n) for n in names), years)


def means_of_people(faces: Faces, weights: Float | None = None) -> Float:
    """Mean of every person's unit embeddings, (people, d); NaN for people whose weights are all 0.

    Args:
        faces: The faces.
        weights: Of every face; default: 1.
    """
    weights = np.ones(len(faces.unit)) if weights is None else weights
    total = np.bincount(faces.person, weights=weights, minlength=faces.people)
    sums = np.zeros((faces.people, faces.unit.shape[1]))
    np.add.at(sums, faces.person, faces.unit * weights[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / total[:, None]


def normalised(rows: Float) -> Float:
    """Rows at length 1; rows of length 0 stay 0."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
