"""How far two image sets are from each other, as a recogniser sees them, and what one set looks like by itself."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from frbias.core.auditing.vectors import Faces, Float, means_of_people, normalised
from frbias.core.foundation.errors import BadInputError

_PAIRS = 400_000
_MOST = 4000


@dataclass(frozen=True)
class Appearance:
    """One set in a recogniser's eyes; every number has a reference value for photographs in ``docs/audit.md``.

    Attributes:
        images, people: Counts.
        mean_length: Length of the mean of all unit embeddings, 0..1: how much all faces look alike.
        non_mated: Mean cosine of images of different people.
        non_mated_centred: The same after the mean vector is taken out.
        non_mated_std: Standard deviation of the centred ones; NaN of a single one.
        mated: Mean cosine of images of one person; NaN when nobody has two.
        dimensions: Effective dimensions that the people span: participation ratio (sum l)^2 / sum l^2 of the
            eigenvalues of the covariance of the people's normalised means.
        variance: Trace of that covariance, 0..1.
        within_dimensions: Effective dimensions in which the images of one person vary; NaN when nobody has two.
        within_variance: Trace of the covariance of unit embeddings around their person's mean, with images - people
            degrees of freedom, 0..1; NaN when nobody has two.
        mated_reason: Why the last two and ``mated`` are not known, a clause, or empty.
    """

    images: int
    people: int
    mean_length: float
    non_mated: float
    non_mated_centred: float
    non_mated_std: float
    mated: float
    dimensions: float
    variance: float
    within_dimensions: float
    within_variance: float
    mated_reason: str = ""


@dataclass(frozen=True)
class Distance:
    """How far two sets are from each other.

    Attributes:
        mean_cosine: Cosine between the mean vectors of the two sets.
        frechet: Frechet distance of Gaussians fitted to the unit embeddings (Dowson and Landau, 1982; the FID of
            Heusel et al., 2017, on a recogniser's own features): |m1-m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
        kernel: Unbiased squared maximum mean discrepancy with the kernel (x.y + 1)^3 (KID; Binkowski et al., 2018).
        probe: Share of held-out people's images that a linear probe assigns to the right set, 0.5 = cannot tell;
            balanced over the sets, people in five folds; NaN when no fold leaves people of both sets to learn from.
        probe_reason: Why it is not known, a clause, or empty.
    """

    mean_cosine: float
    frechet: float
    kernel: float
    probe: float
    probe_reason: str = ""


def appearance(faces: Faces, *, seed: int = 0) -> Appearance:
    """Describe one set.

    Args:
        faces: The set; non-mated cosines are those of all pairs, or of 400,000 drawn ones.
        seed: Of the draw.

    Raises:
        BadInputError: Fewer than two people.
    """
    if faces.people < 2:
        raise BadInputError("An audit of identities needs at least two people.")
    mean = faces.unit.mean(axis=0)
    first, second = _pairs(len(faces.unit), seed)
    other = faces.person[first] != faces.person[second]
    raw = _cosines(faces.unit, first[other], second[other])
    centred = _cosines(normalised(faces.unit - mean), first[other], second[other])
    people = normalised(means_of_people(faces))
    values = _eigenvalues(people - people.mean(axis=0), len(people))
    several = np.bincount(faces.person)[faces.person] > 1
    within = (faces.unit - means_of_people(faces)[faces.person])[several]
    freedom = int(several.sum()) - len(np.unique(faces.person[several]))
    spread = _eigenvalues(within, max(1, len(within))) if several.any() else np.zeros(0)
    return Appearance(
        images=len(faces.unit),
        people=faces.people,
        mean_length=float(np.linalg.norm(mean)),
        non_mated=float(raw.mean()),
        non_mated_centred=float(centred.mean()),
        non_mated_std=float(centred.std()) if len(centred) > 1 else float("nan"),
        mated=_mated_mean(faces),
        dimensions=_participation(values),
        variance=float(values.sum()),
        within_dimensions=_participation(spread),
        within_variance=float((within**2).sum() / freedom) if freedom else float("nan"),
        mated_reason="" if several.any() else "nobody has two pictures",
    )


def distance(one: Faces, other: Faces, *, seed: int = 0) -> Distance:
    """Distance between two sets embedded by one recogniser; of larger sets 4,000 images are drawn.

    Raises:
        BadInputError: The embeddings have different lengths, or a set has fewer than ten images.
    """
    if one.unit.shape[1] != other.unit.shape[1]:
        raise BadInputError("The two sets were embedded by different recognisers; they cannot be compared.")
    if min(len(one.unit), len(other.unit)) < 10:
        raise BadInputError("A distance between image sets needs at least ten images in each.")
    random = np.random.default_rng(seed)
    one, other = _drawn(one, random), _drawn(other, random)
    means = one.unit.mean(axis=0), other.unit.mean(axis=0)
    cosine = float(means[0] @ means[1] / max(float(np.linalg.norm(means[0]) * np.linalg.norm(means[1])), 1e-30))
    probe = _probe(one, other, random)
    reason = "" if np.isfinite(probe) else "one set has too few people to learn from some and ask about others"
    return Distance(cosine, _frechet(one.unit, other.unit), _kernel(one.unit, other.unit), probe, reason)


def _frechet(x: Float, y: Float) -> float:
    """The trace term by the singular values of S1 S2, where C = S S^T: exact, also for singular covariances."""
    difference = x.mean(axis=0) - y.mean(axis=0)
    a = (x - x.mean(axis=0)) / np.sqrt(max(1, len(x) - 1))
    b = (y - y.mean(axis=0)) / np.sqrt(max(1, len(y) - 1))
    cross = linalg.svdvals(a @ b.T if min(len(a), len(b)) <= a.shape[1] else _root(a) @ _root(b)).sum()
    return float(max(0.0, difference @ difference + (a**2).sum() + (b**2).sum() - 2 * cross))


def _root(a: Float) -> Float:
    values, vectors = np.linalg.eigh(a.T @ a)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)


def _kernel(x: Float, y: Float) -> float:
    n, m = len(x), len(y)
    xx, yy, xy = (x @ x.T + 1) ** 3, (y @ y.T + 1) ** 3, (x @ y.T + 1) ** 3
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2 * xy.mean())


def _probe(one: Faces, other: Faces, random: np.random.Generator, folds: int = 5, ridge: float = 1e-2) -> float:
    """Balanced accuracy of ridge regression to -1 / +1, cross-fitted over people."""
    x = np.concatenate([one.unit, other.unit])
    label = np.concatenate([-np.ones(len(one.unit)), np.ones(len(other.unit))])
    person = np.concatenate([one.person, one.people + other.person])
    fold = random.permutation(np.arange(one.people + other.people) % folds)[person]
    balance = np.where(label < 0, 0.5 / len(one.unit), 0.5 / len(other.unit))
    guess, asked = np.zeros(len(x)), np.zeros(len(x), dtype=bool)
    for k in range(folds):
        train, test = fold != k, fold == k
        if not test.any() or len(np.unique(label[train])) < 2:
            continue
        w = balance[train] / balance[train].sum()
        centre = w @ x[train]
        z = x[train] - centre
        gram = (z * w[:, None]).T @ z
        slope = np.linalg.solve(gram + ridge * np.trace(gram) / len(gram) * np.eye(len(gram)), z.T @ (w * label[train]))
        guess[test] = (x[test] - centre) @ slope + w @ label[train]
        asked |= test
    right, sides = np.sign(guess) == label, (asked & (label < 0), asked & (label > 0))
    if not all(side.any() for side in sides):
        return float("nan")
    return float((right[sides[0]].mean() + right[sides[1]].mean()) / 2)


def _pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if count * (count - 1) // 2 <= _PAIRS:
        first, second = np.triu_indices(count, 1)
        return first, second
    random = np.random.default_rng(seed)
    first = random.integers(0, count, _PAIRS)
    second = (first + random.integers(1, count, _PAIRS)) % count
    return first, second


def _cosines(unit: Float, first: np.ndarray, second: np.ndarray) -> Float:
    parts = [
        np.einsum("ij,ij->i", unit[first[s : s + 65_536]], unit[second[s : s + 65_536]])
        for s in range(0, len(first), 65_536)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _mated_mean(faces: Faces) -> float:
    """Mean over people of the mean cosine of two images: (|sum|^2 - sum of |x|^2) / (n (n - 1))."""
    count = np.bincount(faces.person).astype(np.float64)
    sums = np.zeros((faces.people, faces.unit.shape[1]))
    np.add.at(sums, faces.person, faces.unit)
    own = np.bincount(faces.person, weights=(faces.unit**2).sum(axis=1))
    several = count > 1
    if not several.any():
        return float("nan")
    return float((((sums**2).sum(axis=1) - own)[several] / (count * (count - 1))[several]).mean())


def _eigenvalues(centred: Float, count: int) -> Float:
    return np.asarray(linalg.svdvals(centred) ** 2 / count)


def _participation(values: Float) -> float:
    total = float((values**2).sum())
    return float(values.sum() ** 2 / total) if total > 0 else float("nan")


def _drawn(faces: Faces, random: np.random.Generator) -> Faces:
    if len(faces.unit) <= _MOST:
        return faces
    mask = np.zeros(len(faces.unit), dtype=bool)
    mask[random.choice(len(faces.unit), _MOST, replace=False)] = True
    return faces.only(mask)
