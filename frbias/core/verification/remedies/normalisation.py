"""Normalisation of scores by a cohort: z-norm, t-norm, zt-norm and adaptive symmetric norm.

A score s(e, t) of a reference e and a probe t is set against the scores that e and t have with samples of other people
(the cohort), which are high for faces that resemble everybody (children, renders):

========  ===========================================================================================================
z         (s - mean(e)) / std(e), over the scores of e with the cohort (Li and Porter, ICASSP 1988)
t         (s - mean(t)) / std(t), over the scores of t with the cohort (Auckenthaler et al., DSP 2000)
zt        t-norm of z-normalised scores: (z(s) - mean_z(t)) / std_z(t), where the scores of t with the cohort are
          z-normalised by the cohort samples' own scores with other people of the cohort
s         mean of z and t, so that neither side is special (Kenny, Odyssey 2010)
adaptive  s, with the means and deviations over the ``top`` highest scores of each side only: AS-norm1 (Karam et al.,
          ICASSP 2011; Matejka et al., Interspeech 2017)
========  ===========================================================================================================

Deviations are divided by the number of scores.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted
from frbias.core.verification.remedies.crossfit import Within, parts
from frbias.core.verification.scores.planning import unit_vectors

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

NORMS = ("z", "t", "zt", "s", "adaptive")
DEFAULT_TOP = 100
MINIMUM_COHORT = 10


@dataclass(frozen=True)
class Cohort:
    """Samples of other people.

    Attributes:
        unit: Embeddings scaled to length 1, float32, shape (m, d).
        subject: Subject code of every sample, shape (m,).
    """

    unit: npt.NDArray[np.float32]
    subject: Int64


def make_cohort(matrix: npt.NDArray[np.float32], subjects: npt.ArrayLike) -> Cohort:
    """A cohort from embeddings of any scale, shape (m, d), and the identity of each.

    Raises:
        BadInputError: An embedding cannot be used, or there are too few.
    """
    codes = np.unique(np.asarray(subjects).astype(str), return_inverse=True)[1].astype(np.int64)
    _check_size(len(codes))
    return Cohort(unit_vectors(np.asarray(matrix, dtype=np.float32)), codes)


def normalised(
    within: Within, fold: Int64, norm: str, *, top: int = DEFAULT_TOP, cohort: Cohort | None = None
) -> Float:
    """Normalised scores of every comparison, shape (c,).

    Args:
        within: Comparisons.
        fold: Fold of every sample; without a given cohort the samples of other folds are the cohort.
        norm: One of :data:`NORMS`.
        top: Highest scores that ``adaptive`` looks at (at most half of the cohort).
        cohort: Samples of people who are not in ``within``.

    Raises:
        BadInputError: The norm is unknown, the cohort is too small or of another length, or a deviation is zero.
    """
    if norm not in NORMS:
        raise BadInputError(f"The score normalisation {norm!r} is unknown; use {', '.join(NORMS)}.")
    if cohort is not None:
        if cohort.unit.shape[1] != within.unit.shape[1]:
            raise BadInputError(
                f"The cohort has embeddings of {cohort.unit.shape[1]} numbers, the evaluated images of {within.unit.shape[1]}; "
                "embed the cohort with the same recogniser."
            )
        return _normalised(within, np.arange(len(within.score)), cohort, norm, top)
    changed = np.empty_like(within.score)
    for part in parts(within, fold):
        _check_size(len(part.learn))
        others = Cohort(within.unit[part.learn], within.subject[part.learn])
        changed[part.chosen] = _normalised(within, part.chosen, others, norm, top)
    return changed


def _normalised(within: Within, chosen: Int64, cohort: Cohort, norm: str, top: int) -> Float:
    reference, probe, score = within.reference[chosen], within.probe[chosen], within.score[chosen]
    rows = np.union1d(reference, probe)
    against = (within.unit[rows] @ cohort.unit.T).astype(np.float64)
    e, t = np.searchsorted(rows, reference), np.searchsorted(rows, probe)
    if norm == "zt":
        mean, deviation = _moments(against)
        z = (score - mean[e]) / deviation[e]
        cohort_mean, cohort_deviation = _own(cohort)
        mean, deviation = _moments((against - cohort_mean) / cohort_deviation)
        return np.asarray((z - mean[t]) / deviation[t])
    if norm == "adaptive":
        width = max(2, min(top, against.shape[1] // 2))
        against = np.partition(against, against.shape[1] - width, axis=1)[:, -width:]
    mean, deviation = _moments(against)
    z, by_probe = (score - mean[e]) / deviation[e], (score - mean[t]) / deviation[t]
    return np.asarray({"z": z, "t": by_probe}.get(norm, (z + by_probe) / 2))


def _own(cohort: Cohort) -> tuple[Float, Float]:
    """Mean and deviation of every cohort sample's scores with other people of the cohort."""
    scores = (cohort.unit @ cohort.unit.T).astype(np.float64)
    other = cohort.subject[:, None] != cohort.subject
    count = other.sum(axis=1)
    if (count < 2).any():
        raise BadInputError("The cohort needs at least two people with several images; give more people.")
    mean = np.where(other, scores, 0).sum(axis=1) / count
    spread = np.sqrt(np.where(other, (scores - mean[:, None]) ** 2, 0).sum(axis=1) / count)
    return mean, _positive(spread)


def _moments(scores: Float) -> tuple[Float, Float]:
    return scores.mean(axis=1), _positive(scores.std(axis=1))


def _positive(deviation: Float) -> Float:
    if (deviation <= 0).any():
        raise BadInputError("A sample has the same score with the whole cohort; give a cohort of different images.")
    return deviation


def _check_size(count: int) -> None:
    if count < MINIMUM_COHORT:
        raise BadInputError(
            f"A cohort of {counted(count, 'image')} is too small to normalise by; give at least {MINIMUM_COHORT}."
        )
