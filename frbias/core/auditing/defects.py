"""What is wrong with single images of a set: copies, leaks, faces of somebody else, blur."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.auditing.vectors import Codes, Faces, Float, means_of_people, normalised
from frbias.core.foundation.words import counted

# An image is a copy of another when the recogniser hardly tells them apart and their small grey pictures correlate, one of
# them moved a little: the face of a copy is cut out by points that were found anew.
COPY_COSINE = 0.94
COPY_CORRELATION = 0.9
# Pictures that correlate with less than this are no copies however they are moved; it keeps sets of look-alikes cheap.
_DOUBTFUL_CORRELATION = 0.6
_THUMBNAIL = 24
_MOVES = (-0.6, -0.3, 0.0, 0.3, 0.6)
_PAIRS = 4096
_BLOCK = 1024
_NEAREST = 3
_BLUR_Z = 6.0
_BLUR_IMAGES = 3


@dataclass(frozen=True)
class Copies:
    """For every image, the earlier (or other set's) image that it is a copy of.

    Attributes:
        of: Row of the other image, -1 where there is none, (n,).
        cosine: Cosine with the nearest candidate, NaN where there is none, (n,).
    """

    of: Codes
    cosine: Float


@dataclass(frozen=True)
class Belonging:
    """How well every image fits the person it is said to show.

    Attributes:
        own: Likeness to the person's other images, ages evened out; NaN without others, (n,).
        best_other: Largest likeness to another person, (n,).
        other: Code of that person, (n,).
        stranger: True where the image shows somebody else, (n,).
    """

    own: Float
    best_other: Float
    other: Codes
    stranger: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sharpness:
    """Which images are far less sharp than the rest.

    Attributes:
        blurred: True where an image is, (n,).
        why_not: Why nothing was compared, a clause; empty when it was.
    """

    blurred: npt.NDArray[np.bool_]
    why_not: str = ""


def thumbnails(crops: npt.NDArray[np.uint8]) -> Float:
    """Small grey pictures of aligned crops at mean 0 and length 1, (n, 576)."""
    import cv2

    small = [
        cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
        for crop in crops
    ]
    flat = np.array(small, np.float64).reshape(len(small), -1)
    return normalised(flat - flat.mean(axis=1, keepdims=True))


def copies_within(unit: Float, small: Float) -> Copies:
    """Images that are copies (also mirrored, re-encoded, slightly re-cropped) of an earlier image of the set."""
    return _copies(unit, small, unit, small, earlier=True)


def copies_of(unit: Float, small: Float, other_unit: Float, other_small: Float) -> Copies:
    """Images that are copies of an image of another set: leaks between what is trained on and what is measured."""
    return _copies(unit, small, other_unit, other_small, earlier=False)


def belonging(faces: Faces) -> Belonging:
    """Whether every image shows the person it is said to show.

    The set's mean, its ageing and what varies within its people are evened out first (shrunk within-person
    covariance). The likeness of an image to a person is the mean cosine with the three most alike of the person's
    (other) images; an image is a stranger when another person is more like it than its own.
    """
    z = _evened(faces)
    likeness = _likeness(z, faces)
    rows = np.arange(len(z))
    own = likeness[rows, faces.person].copy()
    own[np.bincount(faces.person, minlength=faces.people)[faces.person] < 2] = np.nan
    likeness[rows, faces.person] = -np.inf
    other = likeness.argmax(axis=1)
    best = likeness[rows, other]
    return Belonging(own, best, other, np.nan_to_num(own, nan=np.inf) < best)


def blur(sharpness: Float) -> Sharpness:
    """Images more than six robust standard deviations below the median, on a log scale.

    Args:
        sharpness: Variance of the Laplacian of every image, (n,); under three there is no rest to be compared with.
    """
    if len(sharpness) < _BLUR_IMAGES:
        why_not = f"only {counted(len(sharpness), 'picture')} can be compared; {_BLUR_IMAGES} are needed"
        return Sharpness(np.zeros(len(sharpness), dtype=bool), why_not)
    values = np.log(np.maximum(sharpness, 1e-3))
    middle = np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 0.05)
    return Sharpness(np.asarray(values < middle - _BLUR_Z * spread))


def _likeness(z: Float, faces: Faces) -> Float:
    """Mean cosine of every image with the three most alike other images of every person, (n, people)."""
    order = np.argsort(faces.person, kind="stable")
    count = np.bincount(faces.person, minlength=faces.people)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    place = np.empty(len(z), dtype=np.intp)
    place[order] = np.arange(len(z))
    sorted_z, found = z[order], np.zeros((len(z), faces.people))
    for start in range(0, len(z), _BLOCK):
        near = z[start : start + _BLOCK] @ sorted_z.T
        near[np.arange(len(near)), place[start : start + _BLOCK]] = -np.inf
        total, terms = np.zeros((len(near), faces.people)), np.zeros((len(near), faces.people))
        for _ in range(_NEAREST):
            top = np.maximum.reduceat(near, starts, axis=1)
            there = np.isfinite(top)
            total += np.where(there, top, 0.0)
            terms += there
            near[near == np.repeat(top, count, axis=1)] = -np.inf
        found[start : start + _BLOCK] = total / np.maximum(terms, 1)
    return found


def _copies(unit: Float, small: Float, other_unit: Float, other_small: Float, *, earlier: bool) -> Copies:
    of = np.full(len(unit), -1, dtype=np.intp)
    cosine = np.full(len(unit), np.nan)
    side = _THUMBNAIL
    mirrored = small.reshape(-1, side, side)[:, :, ::-1].reshape(len(small), -1)
    for start in range(0, len(unit), _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = unit[rows] @ other_unit.T
        alike = np.maximum(small[rows] @ other_small.T, mirrored[rows] @ other_small.T)
        if earlier:
            after = np.arange(len(other_unit))[None] >= np.arange(start, start + len(near))[:, None]
            near[after] = -np.inf
        possible = (near >= COPY_COSINE) & (alike >= _DOUBTFUL_CORRELATION)
        certain = (possible & (alike >= COPY_CORRELATION)).any(axis=1, keepdims=True)
        doubtful = np.nonzero(possible & ~certain)
        alike[doubtful] = _moved_correlation(small[rows], other_small, *doubtful)
        candidate = np.where((near >= COPY_COSINE) & (alike >= COPY_CORRELATION), alike, -np.inf)
        best = candidate.argmax(axis=1) if candidate.shape[1] else np.zeros(len(near), np.intp)
        found = np.isfinite(candidate[np.arange(len(near)), best]) if candidate.shape[1] else np.zeros(len(near), bool)
        of[rows] = np.where(found, best, -1)
        cosine[rows] = np.where(found, near[np.arange(len(near)), best], np.nan) if candidate.shape[1] else np.nan
    return Copies(of, cosine)


def _moved_correlation(small: Float, other: Float, rows: Codes, columns: Codes) -> Float:
    """Largest correlation of small picture ``rows[k]`` with ``columns[k]`` of the others, moved by up to 0.6 cells or mirrored."""
    found = np.full(len(rows), -1.0)
    for start in range(0, len(rows), _PAIRS):
        some = slice(start, start + _PAIRS)
        one = small[rows[some]]
        two = other[columns[some]].reshape(-1, _THUMBNAIL, _THUMBNAIL)
        for picture in (two, two[:, :, ::-1]):
            for down in _MOVES:
                for right in _MOVES:
                    moved = _moved(_moved(picture, down, 1), right, 2).reshape(len(one), -1)
                    moved = normalised(moved - moved.mean(axis=1, keepdims=True))
                    found[some] = np.maximum(found[some], (one * moved).sum(axis=1))
    return found


def _moved(pictures: Float, cells: float, axis: int) -> Float:
    """Pictures (n, h, w) moved along an axis by up to one cell, linear between cells, the border repeated."""
    step = 1 if cells > 0 else -1
    place = np.clip(np.arange(pictures.shape[axis]) - step, 0, pictures.shape[axis] - 1)
    return (1 - abs(cells)) * pictures + abs(cells) * np.take(pictures, place, axis=axis)


def _evened(faces: Faces, shrinkage: float = 0.6) -> Float:
    """Unit embeddings with the common mean and ageing removed, whitened by the shrunk within-person covariance."""
    x = faces.unit - faces.unit.mean(axis=0)
    known = np.isfinite(faces.ages)
    if known.sum() > 50 and len(np.unique(faces.ages[known])) > 2:
        years = np.where(known, faces.ages, np.nanmedian(faces.ages))
        basis = np.stack([np.ones_like(years), np.log(years + 2), np.exp(-years / 8)], axis=1)
        basis[:, 1:] = (basis[:, 1:] - basis[:, 1:].mean(axis=0)) / np.maximum(basis[:, 1:].std(axis=0), 1e-9)
        x = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    centred = Faces(x, faces.person, faces.names, faces.ages)
    within = x - means_of_people(centred)[faces.person]
    covariance = within.T @ within / max(1, len(x) - faces.people)
    width = np.trace(covariance) / len(covariance)
    if width <= 0:
        return normalised(x)
    values, vectors = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * width * np.eye(len(covariance)))
    return normalised(x @ (vectors / np.sqrt(values)))
