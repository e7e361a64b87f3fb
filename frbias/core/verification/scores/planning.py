"""Prepares embeddings for a scan: unit vectors in sorted order, mated pairs by tile, which non-mated pairs count."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.verification.scores.binning import cosine_bins
from frbias.core.verification.scores.scan import TILE, Plan, TileProduct

MATED_LIMIT = 40_000_000
_ROWS = 4096

Int64 = npt.NDArray[np.int64]


def unit_vectors(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows scaled to length 1 in float64 and rounded to float32, shape (n, d).

    Raises:
        BadInputError: A row holds NaN or infinity, or is zero.
    """
    array = _checked_shape(matrix)
    unit = np.empty(array.shape, dtype=np.float32)
    _fill_with_unit_vectors(unit, array, np.arange(len(array)))
    return unit


def _checked_shape(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] < 2:
        raise BadInputError(f"Embeddings must have shape (n, d) with n >= 2, got {array.shape}.")
    return array


def _fill_with_unit_vectors(unit: npt.NDArray[np.float32], array: npt.NDArray[np.float32], order: Int64) -> None:
    """Write the rows of ``array`` in some order, scaled; a few thousand at a time, so that no second copy is there.

    Raises:
        BadInputError: A row holds NaN or infinity, or is zero.
    """
    for start in range(0, len(order), _ROWS):
        double = array[order[start : start + _ROWS]].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ij,ij->i", double, double))
        if not (np.isfinite(lengths).all() and lengths.all()):
            _refuse(array)
        unit[start : start + _ROWS] = double / lengths[:, None]


def _refuse(array: npt.NDArray[np.float32]) -> None:
    """Name the first row that has no direction.

    Raises:
        BadInputError: There is one.
    """
    for row, one in enumerate(array):
        if not np.isfinite(one).all():
            raise BadInputError(f"Embedding in row {row} is not finite; leave this image out.")
        if not np.square(one.astype(np.float64)).sum():
            raise BadInputError(f"Embedding in row {row} is zero; it has no direction.")


def near_duplicates(
    matrix: npt.NDArray[np.float32], subjects: Sequence[Any] | npt.NDArray[Any], limit: float
) -> npt.NDArray[np.int64]:
    """Rows that nearly repeat an earlier kept row of the same subject (two scans of one photograph).

    Args:
        matrix: Embeddings, shape (n, d).
        subjects: Identity per row.
        limit: Cosine from which two embeddings of a subject are near-duplicates.

    Returns:
        Ascending positions to leave out.
    """
    vectors = unit_vectors(matrix)
    _, codes = np.unique(np.asarray(subjects).astype(str), return_inverse=True)
    dropped: list[int] = []
    for members in np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]):
        close = vectors[members] @ vectors[members].T >= np.float32(limit)
        kept: list[int] = []
        for position in range(len(members)):
            if close[position, kept].any():
                dropped.append(int(members[position]))
            else:
                kept.append(position)
    return np.array(sorted(dropped), dtype=np.int64)


def matched_ages(
    codes: Int64, ages: npt.NDArray[np.float64], tolerance: float
) -> Callable[[slice, slice], npt.NDArray[np.bool_]]:
    """Which pairs of a tile are endpoint-age-matched negatives (whole years; unknown ages match nothing)."""
    known = np.isfinite(ages)
    years = np.where(known, np.floor(ages), 0).astype(np.int64)
    width = int(years.max()) + 1
    has = np.zeros((int(codes.max()) + 1, width), dtype=np.int32)
    np.add.at(has, (codes[known], years[known]), 1)
    near = np.abs(np.arange(width)[:, None] - np.arange(width)[None, :]) <= tolerance
    reach = has @ near.astype(np.int32)  # images of a subject within the tolerance of an age

    def allow(rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
        own = near[years[rows][:, None], years[columns][None, :]].astype(np.int32)
        forward = reach[codes[rows][:, None], years[columns][None, :]] - own
        backward = reach[codes[columns][None, :], years[rows][:, None]] - own
        both_known = known[rows][:, None] & known[columns][None, :]
        return both_known & ((forward > 0) | (backward > 0))

    return allow


def make_plan(
    matrix: npt.NDArray[np.float32],
    order: Int64,
    codes: Int64,
    groups: Int64,
    product: Callable[[npt.NDArray[np.float32]], TileProduct] | None,
) -> Plan:
    """The plan of a scan without its classes; ``order`` sorts the rows by group, then subject, as codes and groups are.

    Raises:
        BadInputError: A row is not finite or zero.
    """
    array = _checked_shape(matrix)
    count = len(array)
    padded = np.zeros((-(-count // TILE) * TILE, array.shape[1]), dtype=np.float32)
    _fill_with_unit_vectors(padded[:count], array, order)
    label = (groups + 1).astype(np.int32)
    run_end = np.searchsorted(label, label, side="right").astype(np.int32)
    row, column = _mated_pairs(codes)
    side = len(padded) // TILE
    number = (row // TILE) * side + column // TILE
    by_tile = np.argsort(number, kind="stable")
    start = np.searchsorted(number[by_tile], np.arange(side * side + 1))
    return Plan(
        vectors=padded,
        count=count,
        label=label,
        run_end=run_end,
        class_of=np.zeros((1, 1), dtype=np.int32),
        classes=1,
        bins=cosine_bins(),
        mated_row=row[by_tile],
        mated_column=column[by_tile],
        mated_start=start,
        product=None if product is None else product(padded),
    )


def _mated_pairs(codes: Int64) -> tuple[Int64, Int64]:
    sizes = np.bincount(codes)
    total = int((sizes * (sizes - 1) // 2).sum())
    if total > MATED_LIMIT:
        raise BadInputError(
            f"{total} mated comparisons are more than the {MATED_LIMIT} that are kept in memory; use fewer images per subject."
        )
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        first, second = np.triu_indices(size, k=1)
        members = order[starts[:-1][sizes == size][:, None] + np.arange(size)[None, :]]
        rows.append(members[:, first].ravel())
        columns.append(members[:, second].ravel())
    return np.concatenate(rows), np.concatenate(columns)
