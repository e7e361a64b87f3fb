"""How alike the images of one person are over the years, and how well people can be told apart at each age."""

from dataclasses import dataclass

import numpy as np

from frbias.core.auditing.vectors import Codes, Faces, Float
from frbias.core.foundation.words import counted
from frbias.core.verification.measures.rates import equal_error_rate

GAPS = ((0.0, 1.0), (1.0, 5.0), (5.0, 10.0), (10.0, 20.0), (20.0, 40.0), (40.0, 121.0))
BANDS = ((0.0, 6.0), (6.0, 13.0), (13.0, 20.0), (20.0, 40.0), (40.0, 60.0), (60.0, 121.0))
_MOST = 4000
_FEW = 20


@dataclass(frozen=True)
class GapRow:
    """Mated comparisons of one class of age gaps.

    Attributes:
        low, high: Bounds of the gap in years, [low, high).
        mated, non_mated: Comparisons.
        mean, std: Of the scores (cosines) of the mated ones; NaN without any, and ``std`` of a single one.
        eer: Equal error rate against the non-mated comparisons of the same class of gaps, 0..1; NaN under 20 of a kind.
    """

    low: float
    high: float
    mated: int
    non_mated: int
    mean: float
    std: float
    eer: float


@dataclass(frozen=True)
class BandRow:
    """Comparisons within one band of ages.

    Attributes:
        low, high: Bounds in years, [low, high).
        images, people: Counts.
        mated, non_mated: Comparisons.
        non_mated_mean: Mean score of the non-mated ones; NaN without any.
        eer: Equal error rate, 0..1; NaN under 20 comparisons of a kind.
    """

    low: float
    high: float
    images: int
    people: int
    mated: int
    non_mated: int
    non_mated_mean: float
    eer: float


@dataclass(frozen=True)
class Similarity:
    """Scores of a set with itself.

    Attributes:
        images, aged: Images compared, and those of them whose age is known.
        mated, non_mated: Comparisons.
        eer: Equal error rate of all pairs, 0..1; NaN under 20 comparisons of a kind.
        eer_reason: Why it is not known, a clause, or empty.
        gaps: By age gap; none when no ages are known.
        bands: By age, both images in the band; none when no ages are known.
        ages_reason: Why there are none, a clause, or empty.
    """

    images: int
    aged: int
    mated: int
    non_mated: int
    eer: float
    eer_reason: str
    gaps: tuple[GapRow, ...]
    bands: tuple[BandRow, ...]
    ages_reason: str


def similarity(faces: Faces, *, seed: int = 0) -> Similarity:
    """Scores of all pairs of a set (of 4,000 drawn images of a larger one), by age gap and by age."""
    if len(faces.unit) > _MOST:
        mask = np.zeros(len(faces.unit), dtype=bool)
        mask[np.random.default_rng(seed).choice(len(mask), _MOST, replace=False)] = True
        faces = faces.only(mask)
    first, second = np.triu_indices(len(faces.unit), 1)
    score = (faces.unit @ faces.unit.T)[first, second]
    mated = faces.person[first] == faces.person[second]
    gap, aged = np.abs(faces.ages[first] - faces.ages[second]), int(np.isfinite(faces.ages).sum())
    gaps = [_gap_row(low, high, score, mated, (gap >= low) & (gap < high)) for low, high in GAPS if aged]
    bands = [_band_row(faces, low, high, score, mated, (first, second)) for low, high in BANDS if aged]
    own, eer = int(mated.sum()), _eer(score, mated)
    return Similarity(
        images=len(faces.unit),
        aged=aged,
        mated=own,
        non_mated=len(mated) - own,
        eer=eer,
        eer_reason=_too_few(own, len(mated) - own) if np.isnan(eer) else "",
        gaps=tuple(gaps),
        bands=tuple(bands),
        ages_reason="" if aged else "no ages are known",
    )


def _gap_row(low: float, high: float, score: Float, mated: np.ndarray, inside: np.ndarray) -> GapRow:
    own = score[inside & mated]
    mean, std = float(own.mean()) if len(own) else float("nan"), float(own.std()) if len(own) > 1 else float("nan")
    return GapRow(low, high, len(own), int(inside.sum()) - len(own), mean, std, _eer(score[inside], mated[inside]))


def _band_row(
    faces: Faces, low: float, high: float, score: Float, mated: np.ndarray, pairs: tuple[Codes, Codes]
) -> BandRow:
    member = (faces.ages >= low) & (faces.ages < high)
    inside = member[pairs[0]] & member[pairs[1]]
    other = score[inside & ~mated]
    return BandRow(
        low,
        high,
        int(member.sum()),
        len(np.unique(faces.person[member])),
        int((inside & mated).sum()),
        len(other),
        float(other.mean()) if len(other) else float("nan"),
        _eer(score[inside], mated[inside]),
    )


def _too_few(mated: int, non_mated: int) -> str:
    return (
        f"there {'is' if mated == 1 else 'are'} {counted(mated, 'mated comparison')} and "
        f"{non_mated:,} non-mated; {_FEW} of each are needed"
    )


def _eer(score: Float, mated: np.ndarray) -> float:
    if min(int(mated.sum()), int((~mated).sum())) < _FEW:
        return float("nan")
    return float(equal_error_rate(score[mated], score[~mated]).value)
