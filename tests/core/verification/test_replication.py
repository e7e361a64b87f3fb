"""Runs pooled: coverage of the two-level bootstrap and family-wise error of Holm, on simulated populations."""

import numpy as np
import pytest

from frbias.core.verification.bootstrap import draw_weights
from frbias.core.verification.replication import holm, p_of_zero, replicated, two_level_draws

SUBJECTS, DRAWS = 60, 400


def simulated(rng: np.random.Generator, runs: int, between: float, subjects: float, rest: float) -> tuple:
    """Differences whose true mean is 0: of each run, and of each run in every draw of subjects."""
    shared, own = rng.normal(0, subjects, SUBJECTS), rng.normal(0, rest, (runs, SUBJECTS))
    each = rng.normal(0, between, runs)[:, None] + shared + own
    weights = draw_weights(SUBJECTS, DRAWS, int(rng.integers(2**31))) / SUBJECTS
    return each.mean(axis=1), each @ weights.T


@pytest.mark.parametrize(
    ("runs", "between", "subjects", "rest", "highest"),
    [
        (3, 1.0, 0.0, 1.0, 0.975),  # runs differ more than subjects matter: the case that plain resampling gets wrong
        (3, 0.0, 3.0, 0.5, 0.975),  # all runs alike
        (3, 0.3, 1.0, 1.0, 1.0),  # both levels matter: on the safe side
        (5, 0.3, 1.0, 1.0, 0.98),
        (1, 0.0, 1.0, 1.0, 0.97),
    ],
)
def test_intervals_cover_what_they_say(runs: int, between: float, subjects: float, rest: float, highest: float) -> None:
    rng, trials = np.random.default_rng(5), 400
    hits = 0
    for _ in range(trials):
        values, draws = simulated(rng, runs, between, subjects, rest)
        found = replicated(values, draws)
        assert found is not None
        assert found.interval.low is not None
        assert found.interval.high is not None
        hits += found.interval.low <= 0 <= found.interval.high
    assert 0.925 <= hits / trials <= highest  # 95 % of 400, two standard errors below


def test_drawing_runs_with_replacement_would_not_cover() -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(300):
        _, draws = simulated(rng, 3, 1.0, 0.0, 1.0)
        chosen = rng.integers(0, 3, (3, DRAWS))
        low, high = np.quantile(draws[chosen, np.arange(DRAWS)].mean(axis=0), [0.025, 0.975])
        hits += low <= 0 <= high
    assert hits / 300 < 0.85


def test_family_wise_error_of_holm_on_pooled_runs() -> None:
    """Eight settings without an effect share their subjects: something is called significant in 5 % of the studies."""
    rng, studies, wrong, uncorrected = np.random.default_rng(11), 250, 0, 0
    for _ in range(studies):
        shared = rng.normal(0, 1.0, SUBJECTS)
        weights = draw_weights(SUBJECTS, DRAWS, int(rng.integers(2**31))) / SUBJECTS
        ps = []
        for _ in range(8):
            each = shared + rng.normal(0, 0.3, 3)[:, None] + rng.normal(0, 1.0, (3, SUBJECTS))
            found = replicated(each.mean(axis=1), each @ weights.T)
            assert found is not None
            ps.append(found.p)
        wrong += min(p for p in holm(ps) if p is not None) <= 0.05
        uncorrected += min(p for p in ps if p is not None) <= 0.05
    assert wrong / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)
    assert uncorrected > wrong


def test_family_wise_error_and_power_of_holm_alone() -> None:
    rng, studies, wrong, found = np.random.default_rng(3), 4000, 0, 0
    for _ in range(studies):
        null, real = rng.uniform(size=5), rng.uniform(size=5) * 1e-4
        adjusted = holm([*null, *real])
        wrong += min(p for p in adjusted[:5] if p is not None) <= 0.05
        found += max(p for p in adjusted[5:] if p is not None) <= 0.05
    assert 0.035 <= wrong / studies <= 0.057
    assert found == studies


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_p_values_of_the_bootstrap() -> None:
    assert p_of_zero(np.arange(-500.0, 500.0)) == 1.0
    assert p_of_zero(np.full(999, 0.3)) == pytest.approx(0.002)
    assert p_of_zero(np.zeros(999)) == 1.0
    rng = np.random.default_rng(0)
    small = [p_of_zero(np.random.default_rng(k).normal(rng.normal(), 1, 2000)) <= 0.05 for k in range(600)]
    assert 0.03 <= np.mean(small) <= 0.07


def test_undefined_and_single_runs() -> None:
    draws = np.random.default_rng(0).normal(1, 0.1, (3, 500))
    assert replicated([1.0, np.nan, 1.0], draws) is None
    alone = replicated([1.0], draws[:1])
    assert alone is not None
    assert alone.spread is None
    assert (alone.interval.low, alone.interval.high) == pytest.approx(tuple(np.quantile(draws[0], [0.025, 0.975])))
    none = replicated([1.0, 1.1], np.empty((2, 0)))
    assert none is not None
    assert (none.mean, none.p, none.interval.low) == (pytest.approx(1.05), None, None)
    assert len(two_level_draws([1.0, 1.1, 0.9], draws)) == 10_000
    with pytest.raises(ValueError, match="expected runs"):
        two_level_draws([1.0, 2.0], draws)
