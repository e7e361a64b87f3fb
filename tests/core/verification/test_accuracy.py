"""Accuracy over folds and TAR at FAR against brute force, on random pairs with many ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.accuracy import (
    GRID,
    consecutive_folds,
    fold_accuracy,
    folds_by_kind,
    pooled_fold_accuracy,
    replicate_accuracies,
    squared_distances,
)
from frbias.core.verification.pair_draws import replicate_tars, weights_of_pairs, weights_of_subjects
from frbias.core.verification.pair_judging import judge_pairs
from frbias.core.verification.pair_results import GroupSummary, PairOptions, ScoredPairs


def published(distances, mated, folds, thresholds):
    """Accuracy per fold as the field's code has it: every threshold in turn, the first best one, `less`."""
    found = []
    for fold in range(max(folds) + 1):
        best, best_threshold = -1.0, None
        for threshold in thresholds:
            train = [(d < threshold) == m for d, m, f in zip(distances, mated, folds, strict=True) if f != fold]
            if sum(train) > best:
                best, best_threshold = sum(train), threshold
        test = [(d < best_threshold) == m for d, m, f in zip(distances, mated, folds, strict=True) if f == fold]
        found.append((sum(test) / len(test), best_threshold))
    return found


@st.composite
def pair_sets(draw, steps: int = 12):
    count = draw(st.integers(6, 40))
    folds = draw(st.integers(2, 5))
    distances = np.array(draw(st.lists(st.integers(0, steps), min_size=count, max_size=count))) * (4 / steps)
    mated = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    mated[:2] = True, False
    return distances, mated, consecutive_folds(count, folds)


@settings(max_examples=60, deadline=None)
@given(pair_sets())
def test_grid_accuracy_is_the_published_one(case) -> None:
    distances, mated, folds = case
    expected = published(distances.tolist(), mated.tolist(), folds.tolist(), GRID.tolist())
    found = fold_accuracy(distances, mated, folds)
    assert found.accuracies.tolist() == [accuracy for accuracy, _ in expected]
    assert found.thresholds.tolist() == [threshold for _, threshold in expected]
    assert found.mean == pytest.approx(np.mean([accuracy for accuracy, _ in expected]), abs=1e-15)
    assert found.std == pytest.approx(np.std([accuracy for accuracy, _ in expected]), abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(pair_sets())
def test_exact_accuracy_tries_every_threshold_that_matters(case) -> None:
    distances, mated, folds = case
    candidates = [-1.0, *(d + 1e-9 for d in sorted(set(distances.tolist())))]
    expected = published(distances.tolist(), mated.tolist(), folds.tolist(), candidates)
    found = fold_accuracy(distances, mated, folds, rule="exact")
    assert found.accuracies.tolist() == [accuracy for accuracy, _ in expected]


def test_exact_thresholds_can_beat_the_grid() -> None:
    close = np.array([1.001, 1.003, 1.0005, 1.0035])  # all between two grid points
    mated, folds = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    assert fold_accuracy(close, mated, folds).mean == 0.5
    assert fold_accuracy(close, mated, folds, rule="exact").mean == 0.75


@settings(max_examples=40, deadline=None)
@given(pair_sets(), st.sampled_from(["grid", "exact"]), st.integers(0, 5))
def test_a_replicate_is_the_accuracy_of_repeated_pairs(case, rule: str, seed: int) -> None:
    distances, mated, folds = case
    weights = weights_of_pairs(folds, 3, seed)
    assert weights.sum(axis=1).tolist() == [len(mated)] * 3
    values = replicate_accuracies(distances, mated, folds, weights, rule=rule)
    for drawn, value in zip(weights, values, strict=True):
        again = np.repeat(np.arange(len(mated)), drawn)
        assert value == fold_accuracy(distances[again], mated[again], folds[again], rule=rule).mean
    ones = np.ones((1, len(mated)), dtype=int)
    assert (
        replicate_accuracies(distances, mated, folds, ones, rule=rule)[0]
        == fold_accuracy(distances, mated, folds, rule=rule).mean
    )


@settings(max_examples=60, deadline=None)
@given(pair_sets(), st.sampled_from([0.1, 0.25, 0.5]))
def test_tar_at_far_by_hand(case, target: float) -> None:
    distances, mated, folds = case
    cosines = 1 - distances / 2
    impostor, genuine = cosines[~mated], cosines[mated]
    allowed = int(target * len(impostor) + 1e-9)
    result = (
        judge_pairs(ScoredPairs(distances, mated, folds), PairOptions((target,), replicates=0))
        if _both(mated)
        else None
    )
    if result is None:
        return
    if not allowed:
        assert [t for t, _ in result.everything.refused] == [target]
        return
    fitting = [t for t in sorted(set(impostor.tolist())) if sum(impostor >= t) <= allowed]
    accepted = sum(genuine >= fitting[0]) if fitting else sum(genuine > max(impostor))
    found = result.everything.tar_at_far[0]
    assert (found.accepted, found.mated) == (accepted, len(genuine))
    assert found.false_matches <= allowed
    drawn = replicate_tars(cosines, mated, np.ones((1, len(mated)), dtype=int), [target])
    assert drawn[0, 0] == accepted / len(genuine)


@settings(max_examples=40, deadline=None)
@given(pair_sets(), st.integers(0, 9))
def test_a_replicate_of_tar_is_the_tar_of_repeated_pairs(case, seed: int) -> None:
    distances, mated, folds = case
    cosines = 1 - distances / 2
    weights = weights_of_pairs(folds, 4, seed)
    for drawn, row in zip(weights, replicate_tars(cosines, mated, weights, [0.5]), strict=True):
        again = np.repeat(np.arange(len(mated)), drawn)
        if not _both(mated[again]) or (~mated[again]).sum() < 2:
            continue
        options = PairOptions((0.5,), replicates=0)
        whole = ScoredPairs(distances[again], mated[again], np.arange(len(again)) % 2)
        assert row[0] == judge_pairs(whole, options).everything.tar_at_far[0].tar


def _both(mated) -> bool:
    return bool(mated.any() and not mated.all())


def test_subject_weights_count_pairs_as_subjects_are_drawn() -> None:
    first, second = np.array([0, 1, 0, 2]), np.array([0, 1, 1, 0])
    weights = weights_of_subjects(first, second, 50, 3)
    times = np.stack([weights[:, 0], weights[:, 1]], axis=1)
    assert (weights[:, 2] == times[:, 0] * times[:, 1]).all()
    assert (times.sum(axis=1) <= 3).all()
    assert (weights[:, 3] == times[:, 0] * (3 - times.sum(axis=1))).all()


def test_distances_are_two_minus_two_cosines() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 8))
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(squared_distances(a, 3 * b), 2 - 2 * cosine, atol=1e-12)
    with pytest.raises(BadInputError, match="row 1"):
        squared_distances([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]])


def test_folds_are_cut_like_kfold_without_shuffling() -> None:
    assert np.bincount(consecutive_folds(6003, 10)).tolist() == [601] * 3 + [600] * 7
    assert folds_by_kind([False] * 4 + [True] * 6, 2).tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 1, 1]
    with pytest.raises(UsageError, match="3 pairs cannot be cut into 4 folds"):
        consecutive_folds(3, 4)


def _groups(spreads: dict[str, float], pairs: int = 400) -> ScoredPairs:
    rng = np.random.default_rng(1)
    parts = []
    for number, spread in enumerate(spreads.values()):
        mated = np.arange(pairs) % 2 == 0
        parts.append((np.where(mated, 0.9, 1.9) + spread * rng.normal(size=pairs), mated, np.full(pairs, number)))
    distances, mated, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    folds = np.tile(np.arange(pairs) // (pairs // 10), len(spreads))
    return ScoredPairs(distances, mated, folds, (tuple(spreads), codes))


def test_groups_are_judged_alone_and_at_one_threshold() -> None:
    pairs = _groups({"young": 0.5, "old": 0.2})
    result = judge_pairs(pairs, PairOptions(replicates=200))
    young, old = result.groups
    alone = pairs.groups[1] == 0
    expected = fold_accuracy(pairs.distances[alone], pairs.mated[alone], pairs.folds[alone])
    assert young.accuracy.accuracies.tolist() == expected.accuracies.tolist()
    assert young.accuracy.mean < old.accuracy.mean
    assert young.accuracy_interval is not None
    assert young.accuracy_interval.low < young.accuracy.mean < young.accuracy_interval.high

    document = result.to_json()
    own = document["groups_at_own_thresholds"]
    accuracies = 100 * np.array([young.accuracy.mean, old.accuracy.mean])
    assert own["mean"] == pytest.approx(accuracies.mean())
    assert own["std"] == pytest.approx(accuracies.std(ddof=1))
    assert own["trade_off"] == pytest.approx(accuracies.mean() - accuracies.std(ddof=1))
    assert own["worst"] == {"name": "young", "accuracy": pytest.approx(accuracies[0])}
    ratio = (100 - accuracies[0]) / (100 - accuracies[1]) if accuracies[1] < 100 else None
    assert own["skewed_error_ratio"] == pytest.approx(ratio)

    thresholds = fold_accuracy(pairs.distances, pairs.mated, pairs.folds).thresholds
    for number, group in enumerate(result.groups):
        shares = []
        for fold in range(10):
            inside = (pairs.groups[1] == number) & (pairs.folds == fold)
            shares.append(((pairs.distances[inside] < thresholds[fold]) == pairs.mated[inside]).mean())
        assert group.one_threshold == pytest.approx(np.mean(shares))


def test_the_published_std_and_ser_of_rfw_are_reproduced() -> None:
    printed = GroupSummary(("Caucasian", "Indian", "Asian", "African"), (97.08, 95.63, 95.57, 94.87)).to_json()
    assert round(printed["std"], 2) == 0.93
    assert round(printed["skewed_error_ratio"], 2) == 1.76
    assert round(printed["mean"], 2) == 95.79


def test_what_cannot_be_judged_is_said() -> None:
    distances, folds = np.linspace(0, 3, 20), np.arange(20) // 2
    mated = np.arange(20) % 2 == 0
    with pytest.raises(BadInputError, match="group 'a' has no non-mated pair"):
        judge_pairs(
            ScoredPairs(distances, mated, folds, (("a", "b"), np.where(mated, 0, 1))), PairOptions(replicates=0)
        )
    with pytest.raises(BadInputError, match="two folds"):
        fold_accuracy(distances, mated, np.zeros(20, dtype=int))
    with pytest.raises(BadInputError, match="pair 3 is not finite"):
        fold_accuracy(np.where(np.arange(20) == 3, np.nan, distances), mated, folds)
    with pytest.raises(UsageError, match="--thresholds 'best'"):
        fold_accuracy(distances, mated, folds, rule="best")
    with pytest.raises(UsageError, match="--at-far"):
        judge_pairs(ScoredPairs(distances, mated, folds), PairOptions((1.5,)))
    refused = judge_pairs(ScoredPairs(distances, mated, folds), PairOptions((0.1, 0.001), replicates=0)).everything
    assert [one.target for one in refused.tar_at_far] == [0.1]
    assert "smallest usable target is 1/10" in refused.refused[0][1]


def test_one_threshold_is_over_all_groups_together() -> None:
    distances = np.array([1.0, 2.0, 0.2, 0.5, 1.0, 2.0, 0.2, 0.5])
    mated = np.array([True, False] * 4)
    folds, groups = np.array([0] * 4 + [1] * 4), np.array([0, 0, 1, 1, 0, 0, 1, 1])
    assert fold_accuracy(distances, mated, folds, rule="exact").mean == 0.75
    assert pooled_fold_accuracy(distances, mated, folds, groups, rule="exact").tolist() in ([1.0, 0.5], [0.5, 1.0])
