"""What the bootstrap says without a threshold: EER, d' and mean scores, against scores written down as often as drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import population

from frbias.core.verification import bootstrap as boot
from frbias.core.verification import separation
from frbias.core.verification.differentials import score_differentials
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import group_by_age
from frbias.core.verification.measures.rates import d_prime, equal_error_rate
from frbias.core.verification.paired import compare_embeddings
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.scores.scoresets import comparisons_from_scores


def written_down(found: Comparisons, weight: np.ndarray, group: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mated and non-mated scores of one draw, of one group or of all evaluated ones."""
    tally, subject = found.tally, found.subject_of
    inside = np.isin(tally.kind, found.classes.pool) if group is None else tally.kind == group
    times = (weight[subject[tally.first]] * weight[subject[tally.second]])[inside]
    mated = found.mated
    own = found.in_evaluated_group if group is None else mated.group == group
    return np.repeat(mated.score[own], weight[mated.subject[own]]), np.repeat(tally.score[inside], times)


def check(found: Comparisons, drawn: np.ndarray) -> int:
    replicates = boot.bootstrap(found, (0.3,), weights=drawn, separation=True)
    apart = replicates.separation
    assert apart is not None
    defined = 0
    for row, weight in enumerate(drawn):
        mated, non_mated = written_down(found, weight)
        if not len(mated) or not len(non_mated):
            assert np.isnan(apart.eer[row])
            assert np.isnan(apart.d_prime[row])
            continue
        defined += 1
        assert apart.eer[row] == pytest.approx(equal_error_rate(mated, non_mated).value, abs=1e-12)
        moments = [float(f(x.astype(np.float64))) for x in (mated, non_mated) for f in (np.mean, np.std)]
        expected = d_prime(*moments)
        if expected is not None and min(moments[1], moments[3]) > 1e-6:
            assert apart.d_prime[row] == pytest.approx(expected, rel=1e-6)
        for group in np.flatnonzero(found.evaluated):
            for scores, means in zip(
                written_down(found, weight, group), (apart.mated_means, apart.non_mated_means), strict=True
            ):
                if len(scores):
                    assert means[row, group] == pytest.approx(scores.mean(dtype=np.float64), rel=1e-6, abs=1e-9)
                else:
                    assert np.isnan(means[row, group])
    return defined


def test_every_replicate_equals_plain_resampling() -> None:
    matrix, who, ages = population(images=200, subjects=25)
    found = compare_all(matrix, who, group_by_age(ages, "0-14,15-29,30+"))
    assert check(found, boot.draw_weights(25, 30, seed=5)) == 30


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1))
def test_ties_and_tiny_sets(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    subjects = np.array(list("abcde"))
    pairs = [(i, j) for i in range(5) for j in range(i, 5) for _ in range(3)]
    first, second = (subjects[[p[k] for p in pairs]] for k in (0, 1))
    mated = first == second
    scores = np.round(rng.normal(size=len(pairs)) + mated, decimals)
    found, _ = comparisons_from_scores(
        scores, mated, groups=rng.choice(["x", "y"], len(pairs)), subject_ref=first, subject_probe=second
    )
    check(found, boot.draw_weights(5, 20, seed=seed))


def test_weights_of_one_give_the_point_values_and_many_subjects_go_through_a_sparse_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix, who, ages = population(images=200, subjects=25)
    found = compare_all(matrix, who, group_by_age(ages, "0-14,15+"))
    ones = np.ones((1, 25), dtype=np.int64)
    dense = boot.bootstrap(found, (0.3,), weights=ones, separation=True).separation
    monkeypatch.setattr(separation, "_DENSE_SUBJECTS", 0)
    sparse = boot.bootstrap(found, (0.3,), weights=ones, separation=True).separation
    point = evaluate_embeddings(matrix, who, ages, groups="0-14,15+", targets=(0.1,), bootstrap=0).overall
    for drawn in (dense, sparse):
        assert drawn is not None
        assert drawn.eer[0] == pytest.approx(point.eer.value, abs=1e-12)
        assert drawn.d_prime[0] == pytest.approx(point.d_prime, rel=1e-6)


def test_a_tail_that_ends_above_the_crossing_gives_no_equal_error_rate() -> None:
    matrix, who, ages = population(images=400, subjects=40)
    grouping = group_by_age(ages, "0-14,15+")
    found = compare_all(matrix, who, grouping, targets=(0.001,), budget=Budget(all_scores=0))
    drawn = boot.bootstrap(found, (0.001,), weights=boot.draw_weights(40, 20, seed=1), separation=True).separation
    assert drawn is not None
    assert np.isnan(drawn.eer).all()
    assert np.isnan(drawn.d_prime).all()
    assert np.isfinite(drawn.mated_means).all()
    assert boot.separation_interval(drawn.eer).reason == "too_many_comparisons_to_hold"


def test_score_differentials_are_distances_from_the_mean_of_the_groups() -> None:
    matrix, who, ages = population(images=300, subjects=40)
    done = evaluate_embeddings(matrix, who, ages, groups="0-14,15-29,30+", targets=(0.1,), bootstrap=200)
    found, source = done.overall.score_differentials, done.source
    assert found is not None
    assert source is not None
    assert score_differentials(source, done.replicates) == found
    means = [float(source.mated.score[source.mated.group == g].mean(dtype=np.float64)) for g in range(3)]
    assert [g.mean for g in found.mated.groups] == pytest.approx(means)
    assert sum(g.differential for g in found.mated.groups) == pytest.approx(0, abs=1e-12)
    assert found.mated.range == pytest.approx(max(means) - min(means))
    assert found.mated.lowest == "0-14"  # the young are recognised worst in this population
    young = found.mated.groups[0].bootstrap
    assert young is not None
    assert young.low < young.high < 0
    for kind in (found.mated, found.non_mated):
        assert kind.range_bootstrap is not None
        assert kind.range_bootstrap.low <= kind.range <= kind.range_bootstrap.high
    one = evaluate_embeddings(matrix, who, ages, groups="0-90", targets=(0.1,), bootstrap=0)
    assert one.overall.score_differentials is None


def test_eer_and_d_prime_are_compared_paired_and_in_their_direction() -> None:
    matrix, who, ages = population(images=300, subjects=40, noise=1.4)
    better, _, _ = population(images=300, subjects=40, noise=1.0)
    options = {"groups": "0-14,15+", "targets": (0.1,), "bootstrap": 200, "curves": False}
    found = compare_embeddings(matrix, better, who, ages, **options).overall
    assert (found["eer"].value or 0) < 0 < (found["d_prime"].value or 0)
    assert {name: (d.verdict, d.improved) for name, d in found.items()} == {
        "eer": ("better", 1.0), "d_prime": ("better", 1.0),
    }  # fmt: skip
    back = compare_embeddings(better, matrix, who, ages, **options).overall
    assert {name: (d.verdict, d.improved) for name, d in back.items()} == {
        "eer": ("worse", 0.0), "d_prime": ("worse", 0.0),
    }  # fmt: skip
