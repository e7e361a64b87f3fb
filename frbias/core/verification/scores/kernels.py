"""The compiled inner loops: binning the scores of a tile, and one bootstrap replicate.

Compiled by numba on first use and cached on disk. Every loop releases the GIL, so plain threads share the work.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from frbias.core.verification.scores.replicating import MatedScores, NonMatedTail
from frbias.core.verification.scores.tiles import SKIP_BELOW, SUM_BITS, SUM_SCALE, CountingRules, Held, TilePlace

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Scores = npt.NDArray[np.floating[Any]]


@numba.njit(nogil=True, cache=True)
def count_tile(
    tile: Float32, place: TilePlace, rules: CountingRules, held: Held, histogram: Int64, sums: Int64, filled: int
) -> int:
    """Bin every comparison of one tile and copy those in wanted bins; returns how many are held then.

    Args:
        tile: Scores, at least (rows, columns); cells below -1.5 are skipped.
        place: Which pairs the tile holds.
        rules: How they are counted.
        held: Copies of comparisons in wanted bins, with room for all of the tile's.
        histogram: Counts, shape (classes, bins + 1), the last of what is skipped; added to.
        sums: Scaled integer sums of scores and of squares, shape (classes, 2); added to.
        filled: How many are held so far.
    """
    first_row, first_column, rows, columns, diagonal = place
    label, run_end, class_of, low, scale, wanted, held_from, held_to = rules
    out_score, out_class, out_row, out_column = held
    skipped = np.int32(histogram.shape[1] - 1)
    unit = np.float32(SUM_SCALE)
    position = np.empty(columns, np.uint32)  # no sign, so that it is not looked at for every access
    for r in range(rows):
        c = r + 1 if diagonal else 0
        own = label[first_row + r]
        while c < columns:
            end = min(columns, run_end[first_column + c] - first_column)
            kind = class_of[own, label[first_column + c]]
            if kind < 0:
                c = end
                continue
            scores = tile[r, c:end]
            first, last, some = held_from[kind], held_to[kind], False
            total, squares = np.int64(0), np.int64(0)
            for k in range(len(scores)):  # without branches, so that several scores are worked on at a time
                compared = scores[k] >= SKIP_BELOW
                whole = np.int64(np.int32(scores[k] * unit) if compared else np.int32(0))
                total += whole
                squares += np.int64(np.uint64(whole * whole) >> np.uint64(SUM_BITS))
                place_of = min(max(np.int32((scores[k] - low) * scale), np.int32(0)), skipped - np.int32(1))
                place_of = place_of if compared else skipped
                position[k] = place_of
                some |= (place_of >= first) & (place_of <= last)
            sums[kind, 0] += total
            sums[kind, 1] += squares
            counts, flags = histogram[kind], wanted[kind]
            for k in range(len(scores)):
                counts[position[k]] += 1
            if some:
                for k in range(len(scores)):
                    if flags[position[k]]:
                        out_score[filled] = scores[k]
                        out_class[filled] = kind
                        out_row[filled] = first_row + r
                        out_column[filled] = first_column + c + k
                        filled += 1
            c = end
    return filled


@numba.njit(nogil=True, cache=True)
def radix_order(bits: npt.NDArray[np.uint32]) -> Int32:
    """Positions that sort 32-bit keys ascending, equal keys in their order: three stable passes of 11 bits."""
    count = len(bits)
    order, spare = np.arange(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    starts = np.empty(2049, dtype=np.int64)
    for shift in (0, 11, 22):
        starts[:] = 0
        for position in range(count):
            starts[((bits[position] >> shift) & 2047) + 1] += 1
        for digit in range(2048):
            starts[digit + 1] += starts[digit]
        for k in range(count):
            position = order[k]
            digit = (bits[position] >> shift) & 2047
            spare[starts[digit]] = position
            starts[digit] += 1
        order, spare = spare, order
    return order


@numba.njit(nogil=True, cache=True)
def replicate_non_mated(weights: Int64, tail: NonMatedTail, allowed: Int64, at: Int64, matches: Int64) -> None:
    """Threshold positions and weighted false matches of bootstrap replicates.

    A comparison of subjects a and b counts weights[a] * weights[b] times. One walk down the sorted scores serves
    all targets of a replicate.

    Args:
        weights: Times each subject was drawn, shape (replicates, subjects), int64.
        tail: Non-mated comparisons that set the threshold.
        allowed: Weighted false matches allowed per replicate and target, ascending over targets, (replicates, k).
        at: Output, shape (replicates, k). p >= 0: the threshold is score[p]; -(p + 1): it is just above score[p];
            n: unresolved, the tail did not reach far enough or the replicate holds no comparison.
        matches: Output, weighted comparisons at or above the threshold, shape (replicates, k, classes).
    """
    score, kind, first, second = tail.score, tail.kind, tail.first, tail.second
    total, targets = len(score), allowed.shape[1]
    for r in range(weights.shape[0]):
        weight = weights[r]
        accepted = np.zeros(matches.shape[2], dtype=np.int64)
        pooled, k, position, threshold = np.int64(0), 0, 0, -1
        while k < targets and position < total:
            value = score[position]
            end, tie = position, np.int64(0)
            while end < total and score[end] == value:
                tie += weight[first[end]] * weight[second[end]]
                end += 1
            while tie and k < targets and pooled + tie > allowed[r, k]:
                at[r, k] = threshold if threshold >= 0 else -(position + 1)
                matches[r, k] = accepted
                k += 1
            if tie and k < targets:
                if end == position + 1:
                    accepted[kind[position]] += tie
                else:
                    for p in range(position, end):
                        accepted[kind[p]] += weight[first[p]] * weight[second[p]]
                threshold = position
                pooled += tie
            position = end
        while k < targets:
            at[r, k] = threshold if tail.complete and threshold >= 0 else total
            matches[r, k] = accepted
            k += 1


@numba.njit(nogil=True, cache=True)
def replicate_mated(weights: Int64, mated: MatedScores, tau: npt.NDArray[np.float64], rejected: Int64) -> None:
    """Weighted false non-matches of bootstrap replicates; a mated comparison counts weights[subject] times.

    Args:
        weights: Shape (replicates, subjects), int64.
        mated: Mated comparisons within groups.
        tau: Thresholds, descending over targets, NaN unresolved, shape (replicates, k).
        rejected: Output, shape (replicates, k, groups).
    """
    score, group, subject = mated.score, mated.group, mated.subject
    for r in range(weights.shape[0]):
        weight = weights[r]
        below = np.zeros(rejected.shape[2], dtype=np.int64)
        k = tau.shape[1] - 1
        while k >= 0 and np.isnan(tau[r, k]):
            k -= 1
        for position in range(len(score)):
            while k >= 0 and tau[r, k] <= score[position]:
                rejected[r, k] = below
                k -= 1
            if k < 0:
                break
            below[group[position]] += weight[subject[position]]
        while k >= 0:
            rejected[r, k] = below
            k -= 1


@numba.njit(nogil=True, cache=True)
def replicate_equal_error_rates(
    weights: Int64, tail: NonMatedTail, mated: MatedScores, totals: Int64, eer: npt.NDArray[np.float64]
) -> None:
    """Equal error rate of bootstrap replicates, by the FVC2000 rule, in one walk down both lists of scores.

    Args:
        weights: Shape (replicates, subjects), int64.
        tail: Non-mated comparisons.
        mated: Mated comparisons of the evaluated groups.
        totals: Weighted numbers of non-mated and of mated comparisons, shape (replicates, 2).
        eer: Output, shape (replicates,); NaN where the tail ends above the crossing or a kind is missing.
    """
    non_mated, genuine = tail.score, mated.score
    for r in range(weights.shape[0]):
        weight, pairs, own = weights[r], totals[r, 0], totals[r, 1]
        eer[r] = np.nan
        if pairs == 0 or own == 0:
            continue
        accepted, matched = np.int64(0), np.int64(0)
        i, j = 0, len(genuine) - 1
        while i < len(non_mated) or (tail.complete and j >= 0):
            before = own - matched, accepted
            from_non_mated = j < 0 or (i < len(non_mated) and non_mated[i] >= genuine[j])
            value = non_mated[i] if from_non_mated else genuine[j]
            while i < len(non_mated) and non_mated[i] == value:
                accepted += weight[tail.first[i]] * weight[tail.second[i]]
                i += 1
            while j >= 0 and genuine[j] == value:
                matched += weight[mated.subject[j]]
                j -= 1
            rejected = own - matched
            if rejected * pairs <= accepted * own:
                above = before[1] * own + before[0] * pairs
                here = accepted * own + rejected * pairs
                meets = rejected * pairs == accepted * own
                both = here if meets or here <= above else above
                eer[r] = both / (2.0 * own * pairs)
                break
