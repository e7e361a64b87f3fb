"""Identification: searches of a gallery, closed set (rank, CMC) and open set (FNIR at FPIR).

Every probe is compared with the gallery, and an identity's score is the best of its images. The **rank** of a mated
search is 1 + the number of other identities that score at least as high as the mate (ties count against the
recogniser). Terms of ISO/IEC 19795-1 and NIST's FRVT 1:N (NISTIR 8271):

==================  ==================================================================================================
CMC(r)              share of mated searches whose mate is among the first r identities
FPIR(N, T)          share of non-mated searches that return any identity with a score >= T
FNIR(N, R, T)       share of mated searches whose mate is not among the first R identities with a score >= T; here R = 1
==================  ==================================================================================================

A non-mated search of a probe is the same search with all images of its own subject taken out of the gallery. T is the
smallest best non-mated score whose FPIR does not exceed the target (``at_most``).

Leave-one-out (FG-NET as published, e.g. Gong et al., ICCV 2013): every image is a probe once and all other images are the
gallery; subjects with one image have no mated search, but stay in the gallery of the others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.words import counted
from frbias.core.verification.scores.planning import unit_vectors

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]

GALLERIES = ("others", "youngest", "oldest")
_CELLS = 4_000_000
_NOBODY = np.float32(-np.inf)


@dataclass(frozen=True)
class Searches:
    """What the searches of a gallery found.

    Attributes:
        probe: Row of each probe, shape (p,).
        subject: Subject code of each probe, shape (p,).
        mated: True where the probe's subject is in the gallery, shape (p,).
        rank: Rank of the mate, 0 where there is none, shape (p,).
        mate_score: Best score of the probe's own subject, -inf where there is none, shape (p,).
        best_other: Best score of any other subject, -inf where there is none, shape (p,).
        mates: Every (position in ``probe``, row in the gallery) of one subject and its score: three vectors.
        subjects: Number of subjects.
        gallery_images, gallery_subjects: Size of the whole gallery.
        gallery: How it was chosen.
    """

    probe: Int64
    subject: Int64
    mated: Bool
    rank: Int64
    mate_score: Scores
    best_other: Scores
    mates: tuple[Int64, Int64, Scores]
    subjects: int
    gallery_images: int
    gallery_subjects: int
    gallery: str


def search(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    *,
    gallery: str | Bool = "others",
    ages: npt.ArrayLike | None = None,
    progress: Progress = SILENT,
) -> Searches:
    """Search a gallery by the cosine of embeddings (float32).

    Args:
        matrix: Embeddings, shape (n, d), any scale.
        subjects: Identity per row.
        gallery: ``others`` (leave one out), ``youngest`` or ``oldest`` (one image of every subject is enrolled, its first
            at that age; the others are probes), or a mask of the enrolled rows.
        ages: Years per row; needed by ``youngest`` and ``oldest``.
        progress: Where to report.

    Raises:
        BadInputError: The embeddings cannot be used, ages are needed and unknown, or no probe has a mate.

    Example:
        >>> found = search(np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]], list("aabbc"))
        >>> found.rank.tolist(), found.mated.tolist()
        ([1, 1, 1, 1, 0], [True, True, True, True, False])
    """
    vectors = unit_vectors(np.asarray(matrix, dtype=np.float32))
    codes = np.unique(np.asarray(subjects).astype(str), return_inverse=True)[1].astype(np.int64)
    if len(codes) != len(vectors):
        raise BadInputError(
            f"{counted(len(vectors), 'embedding')} cannot have {counted(len(codes), 'subject')}; give one for each."
        )
    enrolled = _enrolled(codes, gallery, ages)
    name = gallery if isinstance(gallery, str) else "chosen rows"
    with progress.task("searching", len(vectors)) as advance:

        def scores(rows: Int64, columns: Int64) -> Scores:
            advance(len(rows))
            return np.asarray(vectors[rows] @ vectors[columns].T)

        return search_scores(scores, codes, enrolled, name=name)


def search_scores(
    scores: Callable[[Int64, Int64], Scores], subjects: Int64, enrolled: Bool | None, *, name: str = "others"
) -> Searches:
    """:func:`search` for any scores.

    Args:
        scores: (rows of probes, rows of the gallery) -> scores of that shape; larger is more similar.
        subjects: Subject code of every row, 0..s-1, shape (n,).
        enrolled: Rows of the gallery, the others are probes; None: leave one out.
        name: How the gallery was chosen.

    Raises:
        BadInputError: No probe has a mate in the gallery.
    """
    everyone = np.arange(len(subjects))
    columns = everyone if enrolled is None else np.flatnonzero(enrolled)
    columns = columns[np.argsort(subjects[columns], kind="stable")]
    probes = everyone if enrolled is None else np.flatnonzero(~enrolled)
    if not len(columns) or not len(probes):
        raise BadInputError("Identification needs images to search with and images to search among.")
    starts = np.flatnonzero(np.r_[True, np.diff(subjects[columns]) > 0])
    owners = subjects[columns][starts]
    if len(owners) < 2:
        raise BadInputError("The gallery holds one person only; identification needs at least two.")
    parts = [
        _search_part(scores(rows, columns), rows, columns, subjects, starts, owners, enrolled is None)
        for rows in _blocks(probes, len(columns))
    ]
    rank, mate, other, place, gallery_row, mate_scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    offsets = np.repeat(np.cumsum([0, *(len(p[0]) for p in parts[:-1])]), [len(p[3]) for p in parts])
    if not (rank > 0).any():
        raise BadInputError(
            "No subject has both an image to search with and one in the gallery, so nobody can be found."
        )
    return Searches(
        probes, subjects[probes], rank > 0, rank, mate, other, (place + offsets, gallery_row, mate_scores),
        int(subjects.max()) + 1, len(columns), len(owners), name,
    )  # fmt: skip


def _search_part(
    block: Scores, rows: Int64, columns: Int64, subjects: Int64, starts: Int64, owners: Int64, one_out: bool
) -> tuple[Int64, Scores, Scores, Int64, Int64, Scores]:
    own = subjects[rows][:, None] == subjects[columns]
    if one_out:
        itself = rows[:, None] == columns
        own &= ~itself
        block = np.where(itself, _NOBODY, block)
    best = np.maximum.reduceat(block, starts, axis=1)
    mine = subjects[rows][:, None] == owners
    mate = np.where(mine, best, _NOBODY).max(axis=1)
    others = np.where(mine, _NOBODY, best)
    ahead = (others >= mate[:, None]).sum(axis=1)
    present = own.any(axis=1)
    place, column = np.nonzero(own)
    return np.where(present, ahead + 1, 0), mate, others.max(axis=1), place, columns[column], block[place, column]


def _blocks(probes: Int64, width: int) -> Iterator[Int64]:
    size = max(1, _CELLS // max(1, width))
    for start in range(0, len(probes), size):
        yield probes[start : start + size]


def _enrolled(codes: Int64, gallery: str | Bool, ages: npt.ArrayLike | None) -> Bool | None:
    if not isinstance(gallery, str):
        return np.asarray(gallery, dtype=np.bool_)
    if gallery == "others":
        return None
    if gallery not in GALLERIES:
        raise BadInputError(f"The gallery {gallery!r} is unknown; use {', '.join(GALLERIES)}.")
    years = np.full(len(codes), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
    if np.isnan(years).all():
        raise BadInputError(f"A gallery of the {gallery} image of every subject needs ages, and no image has one.")
    order = np.lexsort((np.arange(len(codes)), years if gallery == "youngest" else -years, codes))
    order = order[np.isfinite(years[order])]
    first = order[np.r_[True, np.diff(codes[order]) > 0]]
    enrolled = np.zeros(len(codes), dtype=np.bool_)
    enrolled[first] = True
    return enrolled


def cumulative_match(ranks: Int64, length: int) -> tuple[float, ...]:
    """Share of searches whose mate is among the first 1, 2, .. ``length`` identities; ``ranks`` (n,) counts from 1.

    Example:
        >>> cumulative_match(np.array([1, 3, 1, 9]), 3)
        (0.5, 0.5, 0.75)
    """
    return tuple(float((ranks <= r).mean()) for r in range(1, length + 1))
