"""Apparent against stated ages: how far an estimator is off, by band of ages and by sex."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.auditing.similarity import BANDS
from frbias.core.auditing.vectors import Faces, Float


@dataclass(frozen=True)
class AgeRow:
    """Apparent ages in one band.

    Attributes:
        low, high: Bounds of the stated age in years, [low, high).
        sex: ``m``, ``f``, or empty for everybody.
        images: Images with a stated age in the band.
        bias: Median of apparent minus stated age, years.
        mae: Mean absolute difference, years.
        mae_low, mae_high: Its percentile interval, subjects drawn again; NaN with only one.
    """

    low: float
    high: float
    sex: str
    images: int
    bias: float
    mae: float
    mae_low: float
    mae_high: float


def age_rows(
    faces: Faces,
    apparent: Float,
    sexes: npt.NDArray[np.object_],
    *,
    replicates: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[AgeRow, ...]:
    """Bias and mean absolute error of the apparent ages, by band, for everybody and for each sex that is stated.

    Args:
        faces: The set; images of unknown age are left out.
        apparent: Years by the estimator, (n,).
        sexes: ``m``, ``f`` or empty, (n,).
        replicates: Bootstrap replicates over subjects.
        confidence: Coverage of the intervals.
        seed: Of the draws.
    """
    rows = []
    for low, high in BANDS:
        band = (faces.ages >= low) & (faces.ages < high)
        for sex in ("", "f", "m"):
            member = band if not sex else band & (sexes == sex)
            if member.any() and (not sex or member.sum() < band.sum()):
                rows.append(_row(faces, apparent, member, low, high, sex, replicates, confidence, seed))
    return tuple(rows)


def _row(
    faces: Faces,
    apparent: Float,
    member: npt.NDArray[np.bool_],
    low: float,
    high: float,
    sex: str,
    replicates: int,
    confidence: float,
    seed: int,
) -> AgeRow:
    difference = apparent[member] - faces.ages[member]
    bias, mae = float(np.median(difference)), float(np.abs(difference).mean())
    people, person = np.unique(faces.person[member], return_inverse=True)
    if len(people) < 2:
        return AgeRow(low, high, sex, int(member.sum()), bias, mae, float("nan"), float("nan"))
    total = np.bincount(person, weights=np.abs(difference))
    count = np.bincount(person).astype(np.float64)
    draws = np.random.default_rng(seed).integers(0, len(people), (replicates, len(people)))
    drawn = total[draws].sum(axis=1) / count[draws].sum(axis=1)
    tail = (1 - confidence) / 2
    found = np.quantile(drawn, [tail, 1 - tail])
    return AgeRow(low, high, sex, int(member.sum()), bias, mae, float(found[0]), float(found[1]))
