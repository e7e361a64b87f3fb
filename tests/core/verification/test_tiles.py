"""Counting a tile, against numpy: counts, sums, and which comparisons are held."""

import numpy as np
import pytest

from frbias.core.verification.scores.binning import cosine_bins
from frbias.core.verification.scores.kernels import count_tile
from frbias.core.verification.scores.scan import _held_bins
from frbias.core.verification.scores.tiles import SKIP, SUM_SCALE, CountingRules, Held, TilePlace

LABEL = np.repeat(np.array([0, 1, 2], np.int32), [9, 20, 11])
RUN_END = np.repeat(np.array([9, 29, 40], np.int32), [9, 20, 11])
CLASS_OF = np.array([[-1, -1, -1], [-1, 0, 1], [-1, 1, 2]], np.int32)
BINS = cosine_bins()


def scores_of(seed: int) -> np.ndarray:
    """Cosines over all of the range, both ends and edges of bins among them, and some that are left out."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-1, 1, (40, 40)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = SKIP
    scores[rng.random(scores.shape) < 0.05] = 1
    scores[rng.random(scores.shape) < 0.05] = np.nextafter(np.float32(1), np.float32(2))
    scores[rng.random(scores.shape) < 0.05] = -1
    scores[rng.random(scores.shape) < 0.2] = BINS.lower_edges()[20_000]
    return scores


def wanted_of(kind: str) -> np.ndarray:
    wanted = np.zeros((3, BINS.count), np.bool_)
    if kind == "one bin":
        wanted[:, 20_000] = True
    elif kind == "ends":
        wanted[0, 0], wanted[2, -1] = True, True
    elif kind == "some":
        wanted[1, 7_000:9_000], wanted[1, 20_000], wanted[2, 15_000:] = True, True, True
    return wanted


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("kind", ["none", "one bin", "ends", "some"])
def test_a_tile_is_counted_as_one_by_one(kind: str, diagonal: bool) -> None:
    scores, wanted = scores_of(5), wanted_of(kind)
    rules = CountingRules(LABEL, RUN_END, CLASS_OF, BINS.low, BINS.scale, *_held_bins(wanted.astype(np.uint8)))
    held, counts, sums = Held.room(1600), np.zeros((3, BINS.count + 1), np.int64), np.zeros((3, 2), np.int64)
    filled = count_tile(scores, TilePlace(0, 0, 40, 40, diagonal), rules, held, counts, sums, 0)
    classes = CLASS_OF[LABEL[:, None], LABEL[None, :]]
    counted = (classes >= 0) & (scores > -1.5) & (np.triu(np.ones((40, 40), np.bool_), 1) | (not diagonal))
    for number in range(3):
        mine = scores[counted & (classes == number)]
        assert np.array_equal(counts[number, :-1], np.bincount(BINS.of(mine), minlength=BINS.count))
        whole = [int(float(score) * SUM_SCALE) for score in mine]
        assert sums[number].tolist() == [sum(whole), sum(one * one // int(SUM_SCALE) for one in whole)]
    keep = counted & wanted[np.maximum(classes, 0), BINS.of(scores)]
    row, column = np.nonzero(keep)
    assert filled == keep.sum()
    assert (filled == 0) == (kind == "none")
    found = [part.tolist() for part in held.first(filled)]
    assert found == [scores[keep].tolist(), classes[keep].tolist(), row.tolist(), column.tolist()]
