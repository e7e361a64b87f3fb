"""How much is held around a threshold follows from what the sample of tiles says of itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from populations import population

from frbias.core.verification.groups import group_by_age
from frbias.core.verification.scores import engine, foreseeing
from frbias.core.verification.scores.binning import COSINE_BINS
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.scores.holding import held_at

TARGETS = (0.1, 0.01, 0.001)


def sample(shares: Sequence[float], size: int = 10**7) -> foreseeing._Sample:
    """Parts of a sample with these shares of comparisons in the last bin."""
    parts = np.zeros((len(shares), COSINE_BINS), np.int64)
    for part, share in zip(parts, shares, strict=True):
        part[-1], part[0] = round(size * share), size - round(size * share)
    return foreseeing._Sample(parts, 1.0)


def test_parts_that_agree_need_little() -> None:
    assert sample([0.1] * 16).slack(0.1) == pytest.approx(foreseeing._LEAST, rel=0.01)


def test_parts_that_disagree_need_more() -> None:
    """The standard error of a mean of 16, five of them, relative to the target."""
    shares = 0.1 + 0.001 * np.tile([1, -1], 8)
    expected = foreseeing._LEAST + foreseeing._ERRORS * 0.001 * np.sqrt(16 / 15) / 4 / 0.1
    assert sample(shares.tolist()).slack(0.1) == pytest.approx(expected, rel=0.01)


def test_no_more_is_held_than_without_looking() -> None:
    wild = 0.1 + 0.05 * np.tile([1, -1], 8)
    assert sample(wild.tolist()).slack(0.1) == pytest.approx(0.02, abs=0.002)
    assert sample([0.1]).slack(0.1) == pytest.approx(0.025)
    assert sample([0.1], size=10**6).slack(0.1) == pytest.approx(0.05 + 5 / np.sqrt(10**5))
    assert sample([0.1] * 16).slack(0.0) > 1, "a perfect separation: everything above"


def test_fewer_scores_are_held_and_the_thresholds_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, who, ages = population(images=8000, subjects=700)
    grouping, scans = group_by_age(ages, "0-19,20+"), []
    original = engine.scan

    def counting(*arguments: Any, **options: Any) -> Any:
        scans.append(options["tiles"])
        return original(*arguments, **options)

    monkeypatch.setattr(engine, "scan", counting)
    found = {}
    for parts in (1, 3):
        monkeypatch.setattr(foreseeing, "_PARTS", parts)
        monkeypatch.setattr(foreseeing, "_FEWEST", 2)
        scans.clear()
        comparisons = compare_all(matrix, who, grouping, targets=TARGETS, budget=Budget(0, 0), threads=1)
        assert len(scans) == parts + 1
        sampled = [tile for tiles in scans[:-1] for tile in tiles]
        assert len(set(sampled)) == len(sampled) > 5
        found[parts] = held_at(comparisons, TARGETS)
    assert found[1][1:] == found[3][1:]


@pytest.mark.parametrize("most", [10**6, 500])
def test_the_equal_error_rate_is_where_it_was_foreseen(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of other groups, and mated comparisons across groups, are many here and have no part in it."""
    matrix, who, ages = population(images=6000, subjects=500)
    grouping = group_by_age(ages, "0-9,30-39")
    monkeypatch.setattr(foreseeing, "_MATED", most)
    comparisons = compare_all(matrix, who, grouping, targets=(0.01,), budget=Budget(0, 0), threads=1)
    held, rate, _ = held_at(replace(comparisons, refine=None), (0.01,))
    assert held.mated.score[held.in_evaluated_group].size < len(held.mated.score) / 2
    everything = compare_all(matrix, who, grouping, targets=(0.01,), threads=1, budget=Budget(all_scores=10**9))
    assert rate == held_at(everything, ())[1]
