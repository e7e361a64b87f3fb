"""The score engine against all pairs at once, and against itself cut in other ways."""

import numpy as np
import pytest
from populations import population

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.stages import accelerator
from frbias.core.stages.accelerator import device_product
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import Grouping, group_by_age
from frbias.core.verification.measures.rates import error_budget
from frbias.core.verification.scores import engine, scan
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.scores.planning import near_duplicates, unit_vectors

GROUPS = "0-12,13-19,20-39,40+"


def brute(matrix: np.ndarray, who: np.ndarray, grouping: Grouping) -> tuple[np.ndarray, ...]:
    """Score, mated, and the groups of both samples of every pair, by the tile product's own scores."""
    unit = unit_vectors(matrix)
    first, second = np.triu_indices(len(unit), k=1)
    exact = np.einsum("ij,ij->i", unit[first].astype(np.float64), unit[second].astype(np.float64))
    return exact, who[first] == who[second], grouping.codes[first], grouping.codes[second]


def same(one: Comparisons, two: Comparisons) -> None:
    np.testing.assert_array_equal(one.tally.histogram, two.tally.histogram)
    np.testing.assert_array_equal(one.tally.sums, two.tally.sums)
    np.testing.assert_array_equal(one.mated.score, two.mated.score)


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return population(images=1100, subjects=90)


def test_counts_are_those_of_all_pairs(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, GROUPS)
    found = compare_all(matrix, who, grouping)
    exact, mated, g1, g2 = brute(matrix, who, grouping)
    inside = (g1 == g2) & (g1 >= 0)
    assert found.mated_counts.tolist() == [int((mated & inside & (g1 == g)).sum()) for g in range(4)]
    assert found.non_mated_counts.tolist() == [int((~mated & inside & (g1 == g)).sum()) for g in range(4)]
    for target in (0.3, 0.01, 0.001):
        tau = found.tally.threshold(found.classes.pool, error_budget(target, found.pooled_non_mated))
        accepted = found.tally.at_least(tau) @ found.classes.member
        rejected = found.false_non_matches(tau)
        near = np.abs(exact - float(tau)) < 1e-6  # only these could fall either way in float32
        assert near.sum() <= 3
        for g in range(4):
            chosen = inside & (g1 == g)
            assert abs(int((chosen & ~mated & (exact >= tau)).sum()) - int(accepted[g])) <= near.sum()
            assert abs(int((chosen & mated & (exact < tau)).sum()) - int(rejected[g])) <= near.sum()
        pooled = np.sort(found.tally.score[np.isin(found.tally.kind, found.classes.pool)])
        assert tau in pooled
        assert (pooled >= tau).sum() == accepted.sum() <= error_budget(target, len(pooled))
    assert found.self_check is not None
    assert found.self_check["largest_error_to_float64"] < 1e-6


def test_every_pair_of_groups_is_counted(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, "0-12,20-39")  # many samples in no group
    found = compare_all(matrix, who, grouping, rule="all")
    _, mated, g1, g2 = brute(matrix, who, grouping)
    table = found.classes.table[1:, 1:]
    for a in range(2):
        for b in range(2):
            either = ((g1 == a) & (g2 == b)) | ((g1 == b) & (g2 == a))
            assert found.tally.counts[table[a, b]] == int((either & ~mated).sum())
    assert found.pooled_non_mated == int((~mated).sum())
    probe = compare_all(matrix, who, grouping, rule="any-probe")
    assert probe.non_mated_counts.tolist() == [int((~mated & ((g1 == g) | (g2 == g))).sum()) for g in range(2)]
    assert probe.pooled_non_mated == int((~mated & ((g1 >= 0) | (g2 >= 0))).sum())


@pytest.mark.parametrize(("threads", "block"), [(1, 1), (3, 2), (2, 100)])
def test_threads_and_blocks_change_nothing(people: tuple[np.ndarray, ...], threads: int, block: int) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, GROUPS)
    one = compare_all(matrix, who, grouping, threads=1, block=8)
    other = compare_all(matrix, who, grouping, threads=threads, block=block)
    same(one, other)
    np.testing.assert_array_equal(one.tally.score, other.tally.score)


def test_held_windows_give_the_same_evaluation_as_all_scores(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    options = {"groups": GROUPS, "targets": (0.1, 0.01, 0.001), "bootstrap": 200, "curves": False}
    whole = evaluate_embeddings(matrix, who, ages, **options)
    windows = evaluate_embeddings(matrix, who, ages, **options, budget=Budget(all_scores=0))
    nothing = evaluate_embeddings(matrix, who, ages, **{**options, "bootstrap": 0}, budget=Budget(0, 0))
    assert whole.source is not None
    assert windows.source is not None
    assert windows.source.tally.held.mean() < 0.9 * whole.source.tally.held.mean()
    for other in (windows, nothing):
        for a, b in zip(whole.targets, other.targets, strict=True):
            assert (a.tau, a.fmr.errors, a.fnmr.errors) == (b.tau, b.fmr.errors, b.fnmr.errors)
            assert [g.fmr.errors for g in a.groups] == [g.fmr.errors for g in b.groups]
            assert a.cross_groups == b.cross_groups
        assert whole.overall.eer.value == other.overall.eer.value
        assert (whole.overall.d_prime, whole.overall.mated) == (other.overall.d_prime, other.overall.mated)
    assert whole.overall.eer == windows.overall.eer, "the held tail reaches the equal error rate"
    assert windows.overall.d_prime_bootstrap is not None
    assert windows.overall.d_prime_bootstrap.reason == "too_many_comparisons_to_hold"
    for a, b in zip(whole.targets, windows.targets, strict=True):
        assert a.measures["garbe"] == b.measures["garbe"]
        assert a.tau_interval == b.tau_interval


def test_a_missed_window_is_fetched_by_another_scan(
    people: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, who, ages = people
    expected = evaluate_embeddings(matrix, who, ages, groups=GROUPS, bootstrap=0, curves=False)
    scans = []
    original = engine.scan

    def counting(*args, **kwargs):
        scans.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(engine, "scan", counting)
    monkeypatch.setattr(
        engine, "bins_to_hold", lambda plan, classes, *rest: np.zeros((classes.count, plan.bins.count), bool)
    )
    found = evaluate_embeddings(matrix, who, ages, groups=GROUPS, bootstrap=0, curves=False)
    assert 1 < len(scans) <= 4
    assert [t.tau for t in found.targets] == [t.tau for t in expected.targets]
    assert found.overall == expected.overall


def test_very_large_sets_hold_the_groups_windows_only(
    people: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, who, ages = people
    options = {"groups": GROUPS, "bootstrap": 0, "curves": False, "budget": Budget(0, 0)}
    one = evaluate_embeddings(matrix, who, ages, **options)
    monkeypatch.setattr(engine, "CROSS_LIMIT", 1000)
    two = evaluate_embeddings(matrix, who, ages, **options)
    assert [t.tau for t in one.targets] == [t.tau for t in two.targets]
    assert [[g.fmr.errors for g in t.groups] for t in one.targets] == [
        [g.fmr.errors for g in t.groups] for t in two.targets
    ]
    assert one.overall == two.overall
    assert two.at(0.01).cross_groups is None
    assert one.source is not None
    assert two.source is not None
    assert len(two.source.tally.score) < len(one.source.tally.score)


def test_matched_ages(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = (part[:260] for part in people)
    ages = np.where(np.arange(260) % 17 == 0, np.nan, ages)
    grouping = group_by_age(np.nan_to_num(ages, nan=5), "0-80")
    found = compare_all(matrix, who, grouping, ages=ages, matched_age=2)
    images = range(260)

    def replaces(i: int, k: int) -> bool:
        """Is (i, k) a mated pair (i, j) with j replaced by k of nearly the same age?"""
        return any(j != i and who[j] == who[i] and abs(ages[j] - ages[k]) <= 2 for j in images)

    expected = sum(
        1
        for i in images
        for k in range(i + 1, 260)
        if who[i] != who[k] and np.isfinite(ages[i]) and np.isfinite(ages[k]) and (replaces(i, k) or replaces(k, i))
    )
    assert int(found.tally.counts.sum()) == expected
    assert expected < 260 * 259 / 2 / 1.2
    with pytest.raises(UsageError, match="needs ages"):
        compare_all(matrix, who, grouping, matched_age=2)


def test_near_duplicates_keep_the_first_of_a_subject() -> None:
    matrix, who, _ = population(images=40, subjects=5)
    repeated = np.concatenate([matrix, matrix[:3] * 2.5, matrix[:1]])
    subjects = np.concatenate([who, who[:3], [99]])
    assert near_duplicates(repeated, subjects, 0.999).tolist() == [40, 41, 42]
    done = evaluate_embeddings(
        repeated, subjects, groups=Grouping(("all",), np.zeros(44, int), "nothing", ""), bootstrap=0,
        targets=[0.1], drop_duplicates=0.999,
    )  # fmt: skip
    assert done.samples.samples == 41
    assert done.samples.near_duplicates is not None
    assert done.samples.near_duplicates.rows == (40, 41, 42)


def test_another_tile_product_goes_through_the_same_counting(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, GROUPS)
    cpu = compare_all(matrix, who, grouping)
    other = compare_all(matrix, who, grouping, product=device_product("cpu"))
    np.testing.assert_array_equal(cpu.tally.counts, other.tally.counts)
    np.testing.assert_allclose(np.sort(cpu.mated.score), np.sort(other.mated.score), atol=1e-6)


@pytest.mark.parametrize("budget", [Budget(), Budget(0, 10**7), Budget(0, 0)], ids=["all", "tail", "windows"])
@pytest.mark.parametrize("rule", ["within", "all"])
def test_counting_on_a_device_is_that_of_the_cpu(
    people: tuple[np.ndarray, ...], budget: Budget, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same scores counted by torch and by the compiled loop: every number and the order of what is held."""
    matrix, who, ages = people
    grouping = group_by_age(ages, "0-9,13-19,20-29,40+")  # some in no group
    monkeypatch.setattr(accelerator, "_ROOM", 1)  # has to be fetched now and then
    monkeypatch.setattr(accelerator, "TILES", 2)
    found = []
    for hidden in (True, False):

        def make(vectors: np.ndarray, hidden: bool = hidden):
            tiles = device_product("cpu")(vectors)
            return tiles.__call__ if hidden else tiles

        how = {"budget": budget, "rule": rule, "tails": [0.2], "threads": 1, "targets": [0.1, 0.01]}
        found.append(compare_all(matrix, who, grouping, product=make, **how))
    one, two = found
    same(one, two)
    np.testing.assert_array_equal(one.tally.held, two.tally.held)
    for name in ("score", "kind", "first", "second"):
        np.testing.assert_array_equal(getattr(one.tally, name), getattr(two.tally, name))
        assert len(getattr(one.tally, name)) > 1000
    assert one.self_check == two.self_check


def test_matched_ages_are_counted_beside_a_device(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, GROUPS)
    one, two = (
        compare_all(matrix, who, grouping, ages=ages, matched_age=2, product=p) for p in (None, device_product("cpu"))
    )
    np.testing.assert_array_equal(one.tally.counts, two.tally.counts)


@pytest.mark.cuda
def test_cuda_scores_agree_to_float32(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people
    grouping = group_by_age(ages, GROUPS)
    cpu, gpu = (compare_all(matrix, who, grouping, product=p) for p in (None, device_product("cuda")))
    np.testing.assert_array_equal(cpu.tally.counts, gpu.tally.counts)
    np.testing.assert_allclose(cpu.mated.score, gpu.mated.score, atol=2e-6)


def test_a_wrong_product_is_noticed(people: tuple[np.ndarray, ...]) -> None:
    matrix, who, ages = people

    def wrong(vectors: np.ndarray):
        return lambda row, column, out: np.matmul(
            vectors[row * scan.TILE : (row + 1) * scan.TILE],
            0.99 * vectors[column * scan.TILE : (column + 1) * scan.TILE].T,
        )

    with pytest.raises(RuntimeError, match="differ from float64"):
        compare_all(matrix, who, group_by_age(ages, GROUPS), product=wrong)


def test_bad_embeddings_are_refused_with_their_row() -> None:
    matrix, who, ages = population(images=30, subjects=4)
    broken = matrix.copy()
    broken[7, 3] = np.nan
    with pytest.raises(BadInputError, match="row 7 is not finite"):
        evaluate_embeddings(broken, who, ages)
    broken[7] = 0
    with pytest.raises(BadInputError, match="row 7 is zero"):
        evaluate_embeddings(broken, who, ages)
    with pytest.raises(BadInputError, match="30 embeddings, but 29 subjects"):
        evaluate_embeddings(matrix, who[:-1], ages)
    with pytest.raises(UsageError, match="within, any-probe, all"):
        evaluate_embeddings(matrix, who, ages, groups="0-80", targets=[0.1], non_mated="some")


def test_identical_embeddings_are_one_big_tie() -> None:
    matrix = np.ones((60, 8), dtype=np.float32)
    who = np.repeat(np.arange(20), 3)
    done = evaluate_embeddings(matrix, who, np.full(60, 30.0), groups="0-80", targets=[0.1], bootstrap=100)
    result = done.at(0.1)
    assert result.fmr.errors == 0  # accepting the tie would exceed the target
    assert result.fnmr.errors == result.fnmr.trials == 60
    assert done.overall.eer.value == 0.5
    assert done.overall.d_prime is None
