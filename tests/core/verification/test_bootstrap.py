"""The subject bootstrap against plain resampling, and its coverage on populations whose truth is known."""

from statistics import NormalDist

import numpy as np
import pytest
from populations import population

from frbias.core.verification import bootstrap as boot
from frbias.core.verification.groups import group_by_age
from frbias.core.verification.measures.fairness import garbe
from frbias.core.verification.measures.intervals import wilson
from frbias.core.verification.measures.rates import at_most_threshold, error_budget
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.scoresets import comparisons_from_scores

TARGETS = (0.02, 0.2)


@pytest.fixture(scope="module")
def comparisons() -> Comparisons:
    matrix, who, ages = population(images=240, subjects=25)
    return compare_all(matrix, who, group_by_age(ages, "0-14,15-29,30+"))


def resampled(found: Comparisons, weight: np.ndarray, target: float) -> tuple[float, list[int], list[int]]:
    """Threshold and errors of one draw, by writing every comparison down as often as it counts."""
    tally, subject = found.tally, found.subject_of
    inside = np.isin(tally.kind, found.classes.pool)
    times = (weight[subject[tally.first]] * weight[subject[tally.second]])[inside]
    scores = np.repeat(tally.score[inside], times)
    kinds = np.repeat(tally.kind[inside], times)
    tau = at_most_threshold(np.sort(scores), error_budget(target, len(scores)))
    matches = [int(((scores >= tau) & (kinds == g)).sum()) for g in range(3)]
    mated_times = weight[found.mated.subject]
    rejected = [int(mated_times[(found.mated.group == g) & (found.mated.score < tau)].sum()) for g in range(3)]
    return float(tau), matches, rejected


def test_every_replicate_equals_plain_resampling(comparisons: Comparisons) -> None:
    drawn = boot.draw_weights(25, 40, seed=5)
    assert (drawn.sum(axis=1) == 25).all()
    found = boot.bootstrap(comparisons, TARGETS, weights=drawn)
    for row in range(40):
        for position, target in enumerate(TARGETS):
            tau, matches, rejected = resampled(comparisons, drawn[row], target)
            assert found.tau[row, position] == tau
            assert found.false_matches[row, position].tolist() == matches
            assert found.false_non_matches[row, position].tolist() == rejected


def test_ties_and_tiny_sets_equal_plain_resampling() -> None:
    rng = np.random.default_rng(1)
    subjects = np.array(["a", "b", "c", "d"])
    pairs = [(i, j) for i in range(4) for j in range(i, 4) for _ in range(6)]
    first, second = (subjects[[p[k] for p in pairs]] for k in (0, 1))
    mated = first == second
    scores = np.round(rng.normal(size=len(pairs)) + mated, 0)
    groups = rng.choice(["x", "y", "z"], len(pairs))
    found, _ = comparisons_from_scores(scores, mated, groups=groups, subject_ref=first, subject_probe=second)
    drawn = boot.draw_weights(4, 200, seed=2)
    replicates = boot.bootstrap(found, (0.3,), weights=drawn)
    for row in range(200):
        if np.isnan(replicates.tau[row, 0]):
            assert (drawn[row] > 0).sum() == 1  # one subject alone has no non-mated comparison
            continue
        tau, matches, rejected = resampled(found, drawn[row], 0.3)
        assert replicates.tau[row, 0] == tau
        assert replicates.false_matches[row, 0].tolist() == matches
        assert replicates.false_non_matches[row, 0].tolist() == rejected


def test_weights_of_one_give_the_point_estimate(comparisons: Comparisons) -> None:
    found = boot.bootstrap(comparisons, TARGETS, weights=np.ones((1, 25), dtype=np.int64))
    for position, target in enumerate(TARGETS):
        tau = comparisons.tally.threshold(comparisons.classes.pool, error_budget(target, comparisons.pooled_non_mated))
        assert found.tau[0, position] == tau
        assert (found.false_matches[0, position] == comparisons.tally.at_least(tau) @ comparisons.classes.member).all()
        assert (found.false_non_matches[0, position] == comparisons.false_non_matches(tau)).all()
    assert (found.non_mated[0] == comparisons.non_mated_counts).all()
    assert (found.mated[0] == comparisons.mated_counts).all()


@pytest.mark.parametrize("rule", ["within", "any-probe", "all"])
def test_totals_in_closed_form_equal_summed_pairs(rule: str) -> None:
    matrix, who, ages = population(images=120, subjects=12)
    found = compare_all(matrix, who, group_by_age(ages, "0-14,15-29"), rule=rule)
    drawn = boot.draw_weights(12, 30, seed=3)
    summed = boot._totals_of_pairs(found, drawn, np.zeros((30, found.classes.count), dtype=np.int64))
    np.testing.assert_array_equal(boot._class_totals(found, drawn), summed)


def test_seed_threads_and_pairing(comparisons: Comparisons) -> None:
    one = boot.bootstrap(comparisons, TARGETS, replicates=150, seed=4, threads=1)
    two = boot.bootstrap(comparisons, TARGETS, replicates=150, seed=4, threads=3)
    other = boot.bootstrap(comparisons, TARGETS, replicates=150, seed=5)
    np.testing.assert_array_equal(one.tau, two.tau)
    np.testing.assert_array_equal(one.false_matches, two.false_matches)
    assert not np.array_equal(one.tau, other.tau)


def test_measures_of_replicates_and_missing_groups() -> None:
    # group z is made by one subject only: draws without it miss the group
    subjects = np.array(list("abcdef"))
    rng = np.random.default_rng(0)
    first, second, groups = [], [], []
    for i in range(6):
        for j in range(i, 6):
            for group in "xyz":
                if group != "z" or i == 0:
                    first.append(subjects[i])
                    second.append(subjects[j])
                    groups.append(group)
    mated = np.array(first) == np.array(second)
    found, _ = comparisons_from_scores(
        rng.normal(size=len(first)) + mated, mated, groups=groups, subject_ref=first, subject_probe=second
    )
    replicates = boot.bootstrap(found, (0.4,), replicates=400, seed=1)
    share = replicates.missing_a_group / 400
    assert share == pytest.approx((5 / 6) ** 6, abs=0.08)
    values = replicates.measures(0, alpha=0.5)["garbe"]
    missing = (replicates.mated == 0).any(axis=1) | (replicates.non_mated == 0).any(axis=1)
    assert np.isnan(values[missing]).all()
    row = int(np.flatnonzero(~missing & np.isfinite(values))[0])
    assert values[row] == pytest.approx(garbe(replicates.fmr(0)[row], replicates.fnmr(0)[row]).value)
    interval = boot.percentile_interval(values)
    assert interval.used + interval.dropped == 400
    assert interval.dropped >= missing.sum()


def simulated(rng: np.random.Generator, subjects: int = 40) -> tuple[Comparisons, float]:
    """Scores with subject effects, and the true FNMR at FMR 0.1."""
    impostor_effect, genuine_effect = 0.5 * rng.normal(size=subjects), 0.8 * rng.normal(size=subjects)
    i, j = np.triu_indices(subjects, k=1)
    non_mated = impostor_effect[i] + impostor_effect[j] + 0.7 * rng.normal(size=len(i))
    k = np.repeat(np.arange(subjects), 6)
    mated = 2 + genuine_effect[k] + 0.6 * rng.normal(size=len(k))
    found, _ = comparisons_from_scores(
        np.r_[non_mated, mated],
        np.r_[np.zeros(len(i)), np.ones(len(k))],
        subject_ref=np.r_[i, k],
        subject_probe=np.r_[j, k],
    )
    tau = NormalDist(0, np.sqrt(2 * 0.25 + 0.49)).inv_cdf(0.9)
    return found, NormalDist(2, np.sqrt(0.64 + 0.36)).cdf(tau)


def test_interval_coverage_on_simulated_populations() -> None:
    """Of 160 populations the 95 % interval holds the truth in 88 to 99 %; the binomial interval is too narrow."""
    rng = np.random.default_rng(7)
    covered, naive = 0, 0
    for _ in range(160):
        found, truth = simulated(rng)
        replicates = boot.bootstrap(found, (0.1,), replicates=250, seed=int(rng.integers(1 << 30)), threads=1)
        interval = boot.percentile_interval(replicates.overall_fnmr(0))
        covered += interval.low <= truth <= interval.high
        tau = found.tally.threshold(found.classes.pool, error_budget(0.1, found.pooled_non_mated))
        low, high = wilson(int(found.false_non_matches(tau).sum()), int(found.mated_counts.sum()))
        naive += low <= truth <= high
    assert 0.88 <= covered / 160 <= 0.99
    assert naive / 160 < 0.85


def test_design_effect_is_one_for_independent_comparisons_and_larger_for_shared_subjects() -> None:
    rng = np.random.default_rng(9)
    independent = rng.binomial(1000, 0.1, size=(2000, 1)) / 1000
    assert boot.design_effects(independent, np.array([1000]), 0.1)[0] == pytest.approx(1.0, abs=0.15)
    found, _ = simulated(rng)
    replicates = boot.bootstrap(found, (0.1,), replicates=400, seed=0)
    assert boot.design_effects(replicates.fnmr(0), found.mated_counts, 0.2)[0] > 1.8


def test_a_group_without_errors_gets_the_others_design_effect() -> None:
    rng = np.random.default_rng(2)
    rates = np.column_stack([rng.normal(0.1, 0.02, 500), rng.normal(0.2, 0.05, 500), np.zeros(500)])
    found = boot.design_effects(rates, np.array([1000, 1000, 50]), 0.1)
    assert found[2] == pytest.approx(np.median(found[:2]))
    assert found[:2].tolist() == pytest.approx([4.4, 15.6], rel=0.2)


def test_subjects_have_to_be_known() -> None:
    found, _ = comparisons_from_scores([0.1, 0.9, 0.2], [0, 1, 0])
    with pytest.raises(ValueError, match="needs the subjects"):
        boot.bootstrap(found, (0.5,))
