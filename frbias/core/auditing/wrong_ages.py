"""Ages that cannot be: stated ages that neither the face nor the person's other pictures suggest."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from frbias.core.auditing.vectors import Codes, Faces, Float
from frbias.core.foundation.words import counted

# Share of right ages that the limit is set to accuse, and what an age must be off by in any case.
FALSE_ALARMS = 0.0015
LEAST_Z = 3.0
LEAST_YEARS = 8.0
_LEARN = 3000
_FEW, _FEW_DISTINCT = 50, 3
_NEIGHBOURS = 101
_TOGETHER = 64
_CLIP = 3.0
_QUANTILES = 0.8, 0.92
_LENGTHS = 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 1e9


@dataclass(frozen=True)
class AgeFit:
    """How well every image fits the age it is said to have.

    Attributes:
        expected: Years that the face suggests, learnt from the people of the other folds, and that the person's other
            pictures suggest where there are some; NaN when too little is known to learn from, (n,).
        wrong: True where the stated age cannot be, (n,).
        judged: True where the stated age was judged, (n,).
        why_not: Why no age was judged, a clause; empty when some were.
    """

    expected: Float
    wrong: npt.NDArray[np.bool_]
    judged: npt.NDArray[np.bool_]
    why_not: str = ""


@dataclass(frozen=True)
class Judged:
    """Stated ages beside guessed ones, on the scale that ages are learnt on.

    Attributes:
        expected: The guess, moved by what the other pictures of the person were off by, (n,).
        z: Distance of the stated age from the expected one, in spreads of such distances at about that age, >= 0, (n,).
        limit: Distance from which on an age is held to be wrong, at least 3.
    """

    expected: Float
    z: Float
    limit: float


@dataclass(frozen=True)
class _Kinship:
    """How alike two pictures of one person are in what they are off by: shared * exp(-distance in age / length)."""

    shared: float
    length: float
    own: float


def age_fit(faces: Faces, apparent: Float | None = None, *, folds: int = 5, seed: int = 0) -> AgeFit:
    """Whether every image shows the age it is said to show.

    An age is guessed within the set, people cross-fitted: kernel ridge regression of sqrt(age + 1) on the embedding
    and, when given, on the apparent age of an estimator, which the set thereby calibrates. :func:`judge` says which
    stated ages are too far from that; wrong are those of them that lie more than eight years off.

    Args:
        faces: The set; unknown ages are neither learnt from nor judged. With fewer than 50 known ages, or fewer than
            three different ones, no age is judged; nor is one of a fold for which other people's are fewer than 25, or
            all the same.
        apparent: Years by an estimator, (n,).
        folds: Parts the people are cut into.
        seed: Of the cut, and of the 3,000 images that are learnt from where there are more.
    """
    known = np.isfinite(faces.ages)
    wrong = np.zeros(len(faces.ages), dtype=bool)
    if why_not := _too_little(faces.ages[known]):
        return AgeFit(np.full(len(faces.ages), np.nan), wrong, wrong, why_not)
    expected = _guesses(faces, apparent, known, folds, seed)
    known &= np.isfinite(expected)
    if not known.any():
        why_not = "the known ages are of too few people; an age is judged by those of others"
        return AgeFit(np.full(len(faces.ages), np.nan), wrong, wrong, why_not)
    found = judge(np.sqrt(faces.ages[known] + 1), expected[known], faces.person[known])
    expected[known] = found.expected
    years = np.clip(expected, 1, 11) ** 2 - 1
    wrong[known] = (found.z > found.limit) & (np.abs(years - faces.ages)[known] > LEAST_YEARS)
    return AgeFit(years, wrong, known)


def judge(stated: Float, guess: Float, person: Codes, false_alarms: float = FALSE_ALARMS) -> Judged:
    """How far stated ages are from guessed ones, and from where on that is too far.

    What a guess is off by is measured against the pictures of about the same stated age: their median, and a spread
    whose square is half theirs and half the set's. A person who looks young in one picture does so in others, the more
    the nearer in age they are, so what the person's other pictures are off by is predicted and taken out; how much
    pictures of a person share is learnt from the set. The limit is where a normal tail through the 80 % and 92 %
    quantiles of the distances leaves ``false_alarms``, those of what is left without the excess beyond a first such
    limit: a few per cent of wrong ages hardly move it, and heavier tails do.

    Args:
        stated: Stated ages, on a scale on which guesses are off by about as much everywhere, (n,).
        guess: Guesses that were not learnt from the same people, (n,).
        person: Code of the person, (n,).
        false_alarms: Share of right ages that lie beyond the limit, when their distances have such a tail; up to twice
            as many do when the spread at some ages is three times that at others.
    """
    off = stated - guess
    typical, spread = _by_age(stated, off, 0.0)
    predicted, width = _from_others(person, stated, np.clip((off - typical) / spread, -_CLIP, _CLIP))
    expected = guess + predicted * spread
    off = (stated - expected) / np.sqrt(width / width.min())
    typical, spread = _by_age(stated, off, 0.5)
    z = np.abs(off - typical) / spread
    return Judged(expected, z, _limit(z, false_alarms))


def _too_little(ages: Float) -> str:
    """Why these known ages are too few to learn from, a clause; empty when they are not."""
    if len(ages) == 0:
        return f"no ages are known; {_FEW} are needed"
    if len(ages) == 1:
        return f"the age of only 1 picture is known; {_FEW} are needed"
    if len(ages) < _FEW:
        return f"ages of only {len(ages)} pictures are known; {_FEW} are needed"
    if (distinct := len(np.unique(ages))) < _FEW_DISTINCT:
        return f"only {counted(distinct, 'different age')} {'is' if distinct == 1 else 'are'} known; {_FEW_DISTINCT} are needed"
    return ""


def _guesses(faces: Faces, apparent: Float | None, known: npt.NDArray[np.bool_], folds: int, seed: int) -> Float:
    """Ages guessed from the people of the other folds, as sqrt(age + 1), NaN where those are too few, (n,)."""
    random = np.random.default_rng(seed)
    features, target = _age_features(faces.unit, apparent), np.sqrt(faces.ages + 1)
    fold = random.permutation(np.arange(faces.people) % folds)[faces.person]
    guess = np.full(len(target), np.nan)
    for k in range(folds):
        train = np.flatnonzero(known & (fold != k))
        if len(train) < _FEW / 2 or len(np.unique(faces.ages[train])) < 2:
            continue
        train = np.sort(random.choice(train, min(len(train), _LEARN), replace=False))
        for _ in range(2):  # once more without what the first fit finds impossible
            fit = _kernel_ridge(features[train], target[train], features)
            residual = target[train] - fit[train]
            typical, spread = _robust(residual)
            train = train[np.abs(residual - typical) < 4 * spread]
        guess[fold == k] = fit[fold == k]
    return guess


def _age_features(unit: Float, apparent: Float | None) -> Float:
    columns = [unit / max(float(unit.std(axis=0).mean()), 1e-9)]
    if apparent is not None:
        years = np.sqrt(np.maximum(apparent, 0) + 1)
        spread = max(float(years.std()), 1e-9)
        z = (years - years.mean()) / spread
        columns.append(np.stack([z, z**2, z**3], axis=1) * np.sqrt(unit.shape[1]) / 8)
    return np.concatenate(columns, axis=1)


def _kernel_ridge(x: Float, y: Float, at: Float, width: float = 0.25, strength: float = 0.05) -> Float:
    """Gaussian kernel ridge regression fitted to (x, y) and evaluated ``at``; distances in units of their median."""
    middle = x.mean(axis=0)
    x, at = x - middle, at - middle
    own, others = (x**2).sum(axis=1), (at**2).sum(axis=1)
    inner = own[:, None] + own[None] - 2 * x @ x.T
    unit = max(float(np.median(inner)), 1e-9) / width
    weights = np.linalg.solve(np.exp(-inner / unit) + strength * np.eye(len(x)), y - y.mean())
    outer = others[:, None] + own[None] - 2 * at @ x.T
    return np.asarray(np.exp(-outer / unit) @ weights + y.mean())


def _by_age(stated: Float, off: Float, whole: float) -> tuple[Float, Float]:
    """Median and robust spread among the 101 pictures (or more, of equal ages) nearest in the order of stated ages.

    Args:
        stated: Stated ages, (n,).
        off: What the guesses are off by, (n,).
        whole: Part that the whole set has in the squared spread, 0..1; no spread is under half of the whole set's.
    """
    order = np.argsort(stated, kind="stable")
    ages, values = stated[order], off[order]
    size = min(_NEIGHBOURS, len(ages))
    found = []
    distinct, first, which = np.unique(ages, return_index=True, return_inverse=True)
    last = np.append(first[1:], len(ages))
    for low, high in zip(first, last, strict=True):
        start = min(max(0, (low + high - size) // 2), len(ages) - size)
        low = first[which[min(low, start)]]
        high = last[which[max(high, start + size) - 1]]
        found.append(_robust(values[low:high]))
    typical, spread = np.array(found)[np.searchsorted(distinct, stated)].T
    overall = _robust(off - typical)[1]
    return typical, np.maximum(np.sqrt((1 - whole) * spread**2 + whole * overall**2), overall / 2)


def _from_others(person: Codes, stated: Float, z: Float) -> tuple[Float, Float]:
    """What a person's other pictures predict for each, (n,), and the variance that remains, (n,).

    Simple kriging with a covariance that is learnt from the pairs; pictures that fit badly the first time inform no
    others the second time.
    """
    blocks = list(_blocks(person))
    trusted = np.ones(len(z), dtype=bool)
    predicted, width = np.zeros(len(z)), np.ones(len(z))
    for _ in range(2):
        kinship = _kinship(blocks, stated, np.where(trusted, z, 0.0))
        predicted[:], width[:] = 0.0, kinship.shared + kinship.own
        for rows in (rows for rows in blocks if len(rows) > 1 and kinship.shared > 0):
            apart = np.abs(stated[rows][:, None] - stated[rows])
            noise = np.where(trusted[rows], kinship.own, 1e6)
            inverse = np.linalg.inv(kinship.shared * np.exp(-apart / kinship.length) + np.diag(noise))
            alone = 1 / np.diag(inverse)
            predicted[rows] = z[rows] - alone * (inverse @ z[rows])
            width[rows] = alone - noise + kinship.own
        left = (z - predicted) / np.sqrt(width)
        trusted = np.abs(left) < 3 * max(_robust(left)[1], 0.5)
    return predicted, width


def _blocks(person: Codes) -> Iterator[Codes]:
    """Rows of every person; of a person with more than 64 pictures, so many at a time."""
    order = np.argsort(person, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(person[order])) + 1):
        for start in range(0, len(rows), _TOGETHER):
            yield rows[start : start + _TOGETHER]


def _kinship(blocks: list[Codes], stated: Float, z: Float) -> _Kinship:
    """Least squares fit to the products of pairs of pictures of one person."""
    variance = max(float(np.mean(z**2)), 1e-9)
    pairs = [[rows[side] for side in np.triu_indices(len(rows), 1)] for rows in blocks if len(rows) > 1]
    if not pairs:
        return _Kinship(0.0, 1.0, variance)
    one, other = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    apart, product = np.abs(stated[one] - stated[other]), z[one] * z[other]
    fits = []
    for length in _LENGTHS:
        shape = np.exp(-apart / length)
        shared = max(float(shape @ product) / max(float(shape @ shape), 1e-9), 0.0)
        fits.append((float(((product - shared * shape) ** 2).sum()), shared, length))
    _, shared, length = min(fits)
    shared = min(shared, 0.95 * variance)
    return _Kinship(shared, length, variance - shared)


def _limit(z: Float, beyond: float) -> float:
    """Where a normal tail through two quantiles of ``z`` >= 0 leaves the share ``beyond``; at least ``LEAST_Z``.

    What lies beyond a first limit in excess of twice that share is wrong, and the quantiles are those of the rest.
    """
    wrong = max(float((z > _tail(z, beyond, 1.0)).mean()) - 2 * beyond, 0.0)
    return _tail(z, beyond, 1 - wrong)


def _tail(z: Float, beyond: float, right: float) -> float:
    place = [NormalDist().inv_cdf((1 + share) / 2) for share in (*_QUANTILES, 1 - beyond)]
    low, high = np.quantile(z, [share * right for share in _QUANTILES])
    return max(LEAST_Z, float(low + (high - low) * (place[2] - place[0]) / (place[1] - place[0])))


def _robust(values: Float) -> tuple[float, float]:
    """Median, and standard deviation estimated by the median absolute deviation."""
    middle = float(np.median(values))
    return middle, max(1.4826 * float(np.median(np.abs(values - middle))), 1e-9)
