"""Rates against a brute force written differently, with ties, tiny sets and large integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.measures import rates

# few distinct values, so that ties are common; integers and tiny differences included
SCORES = st.lists(
    st.sampled_from([-2.0, -1e-15, 0.0, 1e-15, 0.1, 0.25, 0.5, 0.5000000000000001, 1.0, 3.0, 1e9]),
    min_size=1,
    max_size=14,
)
TARGETS = st.sampled_from(["0", "0.29", "0.1", "0.5", "1", "0.333", "1e-15", "0.07"])


def count(scores: list[float], keep) -> int:
    return sum(1 for s in scores if keep(s))


@settings(max_examples=300, deadline=None)
@given(SCORES, SCORES, TARGETS)
def test_at_most_is_the_smallest_observed_score_that_keeps_the_target(
    mated: list[float], non_mated: list[float], target: str
) -> None:
    n = len(non_mated)
    fits = [t for t in non_mated if Fraction(sum(s >= t for s in non_mated), n) <= Fraction(target)]
    expected = min(fits) if fits else np.nextafter(max(non_mated), np.inf)
    tau = rates.threshold_at_fmr(non_mated, target)
    assert tau == expected
    matches, rejected = rates.error_counts(mated, non_mated, [tau])
    assert matches[0] == count(non_mated, lambda s: s >= tau)
    assert rejected[0] == count(mated, lambda s: s < tau)


@settings(max_examples=300, deadline=None)
@given(SCORES, SCORES, TARGETS)
def test_infimum_accepts_as_many_non_mated_and_no_fewer_mated(
    mated: list[float], non_mated: list[float], target: str
) -> None:
    tau, low = (rates.threshold_at_fmr(non_mated, target, convention=c) for c in ("at_most", "infimum"))
    matches, rejected = rates.error_counts(mated, non_mated, [tau, low])
    assert matches[0] == matches[1]
    assert rejected[1] <= rejected[0]
    below = np.nextafter(low, -np.inf)
    allowed = rates.error_budget(target, len(non_mated))
    assert low == min(non_mated) or count(non_mated, lambda s: s >= below) > allowed


@settings(max_examples=200, deadline=None)
@given(SCORES, SCORES)
def test_equal_error_rate_lies_in_its_interval_and_between_the_step_curves(
    mated: list[float], non_mated: list[float]
) -> None:
    found = rates.equal_error_rate(mated, non_mated)
    points = [
        (count(non_mated, lambda s, t=t: s >= t) / len(non_mated), count(mated, lambda s, t=t: s < t) / len(mated))
        for t in [*mated, *non_mated, np.nextafter(max(mated + non_mated), np.inf)]
    ]
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert any(sorted(p) == [found.low, found.high] for p in points)
    # no threshold has both rates below the interval
    assert not any(max(p) < found.low for p in points)
    # and where the step curves meet, the interval is that point
    meeting = [p[0] for p in points if p[0] == p[1]]
    assert not meeting or found.low == found.high == meeting[0]


def test_linear_interpolation_by_hand() -> None:
    # FMR 1, 1/2, 0 against FNMR 0, 1/4, 1/4: the lines cross at FMR = FNMR = 1/4
    found = rates.equal_error_rate([0.2, 0.8, 0.8, 0.8], [0.1, 0.5], convention="linear_interpolation")
    assert found.value == pytest.approx(0.25)


def test_budget_uses_the_decimal_that_was_written() -> None:
    assert rates.error_budget(0.29, 100) == 29
    assert rates.error_budget("0.001", 495_693) == 495
    assert rates.error_budget(1e-15, 10**15) == 1
    assert rates.error_budget(1e-15, 10**15 - 1) == 0
    assert rates.error_budget(0.7, 5 * 10**9) == 3_500_000_000


def test_a_target_without_budget_is_refused_with_the_smallest_usable_one() -> None:
    with pytest.raises(UsageError, match=r"1/999 = 0\.001"):
        rates.check_target(1e-3, 999)
    rates.check_target(1e-3, 1000)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_scores_that_are_not_finite_are_refused_by_name_and_row(value: float, word: str) -> None:
    with pytest.raises(BadInputError, match=f"mated scores: row 2 is {word}"):
        rates.error_counts([0.1, 0.2, value], [0.1], [0.5])


@pytest.mark.parametrize("scores", [[], [[0.1, 0.2]]])
def test_empty_and_two_dimensional_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(BadInputError, match="non-empty one-dimensional"):
        rates.threshold_at_fmr(scores, 0.1)


def test_float32_scores_keep_their_type_at_the_threshold() -> None:
    scores = np.array([0.1, 0.3, 0.7], dtype=np.float32)
    tau = rates.threshold_at_fmr(scores, 0)
    assert tau == np.nextafter(np.float32(0.7), np.float32(np.inf))
    assert rates.error_counts(scores, scores, [tau])[0][0] == 0


def test_unknown_conventions_are_refused() -> None:
    with pytest.raises(UsageError, match="at_most, infimum"):
        rates.threshold_at_fmr([0.1], 0.1, convention="best")
    with pytest.raises(UsageError, match="fvc2000"):
        rates.equal_error_rate([0.1], [0.1], convention="best")


def test_det_points_are_on_the_curve_and_cover_it() -> None:
    rng = np.random.default_rng(3)
    curve = rates.error_curve(rng.normal(2, 1, 500), rng.normal(0, 1, 5000))
    chosen = rates.det_points(curve, limit=60)
    assert len(chosen) <= 70
    assert curve.fmr[chosen[0]] == 1
    assert curve.fnmr[chosen[-1]] == 1
    assert np.abs(np.diff(curve.fmr[chosen])).max() < 0.25


def test_d_prime_and_transactions() -> None:
    assert rates.d_prime(3.0, 1.0, 1.0, 1.0) == 2.0
    assert rates.d_prime(3.0, 0.0, 1.0, 0.0) is None
    assert rates.transaction_rates(0.01, 0.1, 0.0) == (0.01, 0.1)
    assert rates.transaction_rates(0.01, 0.1, 1.0) == (0.0, 1.0)
    assert rates.tar_at_fmr([0.9, 0.25], [0.1, 0.2, 0.3, 0.4], 0.5) == 0.5
