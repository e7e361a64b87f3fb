"""Closed forms and invariances of the fairness measures, against double loops over exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.verification.measures import fairness
from frbias.core.verification.measures.table import MEASURES, all_measures

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=9)


def gini_by_definition(counts: list[int]) -> Fraction | None:
    n, total = len(counts), sum(counts)
    if total == 0:
        return None
    pairs = sum(abs(Fraction(a, 1000) - Fraction(b, 1000)) for a in counts for b in counts)
    return Fraction(n, n - 1) * pairs / (2 * n * n * (Fraction(total, 1000) / n))


@settings(max_examples=300, deadline=None)
@given(COUNTS)
def test_gini_is_its_definition(counts: list[int]) -> None:
    expected = gini_by_definition(counts)
    found = fairness.gini([c / 1000 for c in counts])
    if expected is None:
        assert found == fairness.Measure(None, "mean_zero")
    else:
        assert found.value == pytest.approx(float(expected), rel=1e-12, abs=1e-15)
        assert 0 <= float(expected) <= 1


@settings(max_examples=100, deadline=None)
@given(COUNTS.filter(any), st.randoms(use_true_random=False))
def test_invariances(counts: list[int], random) -> None:
    rates = [c / 1000 for c in counts]
    shuffled = random.sample(rates, len(rates))
    base = fairness.gini(rates).value
    assert fairness.gini(shuffled).value == pytest.approx(base, rel=1e-12, abs=1e-15)
    assert fairness.gini([r * 1e-12 for r in rates]).value == pytest.approx(base, rel=1e-9, abs=1e-12)
    plain = fairness.gini(rates, corrected=False).value
    assert fairness.gini([*rates, *rates], corrected=False).value == pytest.approx(plain, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_bounds(n: int) -> None:
    assert fairness.gini([0.0] * (n - 1) + [1e-6]).value == pytest.approx(1.0, rel=1e-12)
    assert fairness.gini([0.1] * n).value == 0.0
    assert fairness.fdr([0.1] * n, [0.2] * n).value == 1.0
    assert fairness.ir([0.1] * n, [0.2] * n).value == 1.0


def test_a_part_of_weight_zero_is_ignored_even_when_undefined() -> None:
    none, some = [0.0, 0.0], [0.1, 0.3]
    assert fairness.garbe(none, some, alpha=0).value == pytest.approx(0.5)
    assert fairness.garbe(some, none, alpha=1).value == pytest.approx(0.5)
    assert fairness.garbe(none, some, alpha=0.5).reason == "gini_fmr:mean_zero"
    assert fairness.ir(none, some, alpha=0).value == pytest.approx(3.0)
    values = fairness.garbe_values(np.array([none]), np.array([some]), alpha=0)
    assert values[0] == pytest.approx(0.5)


def test_undefined_is_an_object_with_a_reason_never_nan() -> None:
    trials = np.array([300, 300])
    found = all_measures([0.0, 0.0], [0.0, 0.1], alpha=0.5, target=0.0, non_mated=trials, mated=trials)
    assert list(found) == list(MEASURES)
    for name, measure in found.items():
        assert (measure.value is None) == (measure.reason is not None), name
        assert measure.value is None or np.isfinite(measure.value), name


def test_vectorised_values_equal_the_scalars() -> None:
    rng = np.random.default_rng(0)
    fmr, fnmr = rng.random((50, 5)), rng.random((50, 5))
    values = fairness.garbe_values(fmr, fnmr, alpha=0.3)
    for row in range(50):
        assert values[row] == pytest.approx(fairness.garbe(fmr[row], fnmr[row], alpha=0.3).value, rel=1e-13)
    assert np.isnan(fairness.gini_values(np.zeros((1, 3)))[0])
    assert np.isnan(fairness.gini_values(np.ones((1, 1)))[0])


def test_impossible_rates_and_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="group 1"):
        fairness.gini([0.1, 1.5])
    with pytest.raises(ValueError, match="group 0"):
        fairness.gini([float("nan"), 0.5])
    with pytest.raises(ValueError, match="alpha"):
        fairness.garbe([0.1, 0.2], [0.1, 0.2], alpha=1.1)
    with pytest.raises(ValueError, match="non-empty"):
        fairness.fdr([], [])
