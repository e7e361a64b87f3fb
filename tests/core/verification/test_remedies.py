"""Remedies: what they compute, against brute force; that they learn from nobody they are judged on; what they do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from populations import population

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.assembling import EvaluationOptions
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.groups import Grouping, group_by_age
from frbias.core.verification.paired import compare_evaluations
from frbias.core.verification.remedies.crossfit import deal_subjects, parts, within_groups
from frbias.core.verification.remedies.group_threshold import apply_map, group_thresholds, map_to_fmr
from frbias.core.verification.remedies.judging import RemedyOptions, judge_remedies, remedied_scores
from frbias.core.verification.remedies.names import REMEDIES
from frbias.core.verification.remedies.normalisation import make_cohort, normalised

GROUPS = "0-14,15-29,30+"


def small(images: int = 60, subjects: int = 14, seed: int = 0):
    matrix, who, ages = population(images=images, subjects=subjects, dimension=8, seed=seed)
    return within_groups(matrix, who, group_by_age(ages, GROUPS), ages), ages


def test_every_comparison_within_a_group_is_there_once_younger_first() -> None:
    within, ages = small()
    pairs = {tuple(sorted(pair)) for pair in zip(within.reference.tolist(), within.probe.tolist(), strict=True)}
    group = within.group
    expected = {(a, b) for a in range(60) for b in range(a + 1, 60) if group[a] == group[b] >= 0}
    assert pairs == expected
    assert len(within.score) == len(expected)
    assert (ages[within.reference] <= ages[within.probe]).all()
    k = 17
    assert within.score[k] == pytest.approx(
        float(within.unit[within.reference[k]] @ within.unit[within.probe[k]]), abs=1e-6
    )


def test_nobody_is_judged_by_what_was_learned_from_them() -> None:
    within, _ = small()
    fold = deal_subjects(within.subject, 4, seed=1)
    seen = np.zeros(len(within.score), dtype=int)
    for part in parts(within, fold):
        judged = {*within.subject[within.reference[part.chosen]], *within.subject[within.probe[part.chosen]]}
        learned = {*within.subject[within.reference[part.learn_from]], *within.subject[within.probe[part.learn_from]]}
        assert not judged & learned
        assert not judged & {*within.subject[part.learn]}
        assert part.learn.size
        seen[part.chosen] += 1
    assert (seen == 1).all()
    assert all(len(set(fold[within.subject == s])) == 1 for s in np.unique(within.subject))


@pytest.mark.parametrize("remedy", REMEDIES)
def test_other_peoples_scores_do_not_change_when_a_person_does(remedy: str) -> None:
    """Moving one subject's embeddings changes no comparison but those that learn from, or are of, that subject."""
    matrix, who, ages = population(images=240, subjects=15, dimension=8)
    grouping = group_by_age(ages, GROUPS)
    moved = matrix.copy()
    moved[who == 3] = np.random.default_rng(5).normal(size=(int((who == 3).sum()), 8))
    before, after = (within_groups(m, who, grouping, ages) for m in (matrix, moved))
    fold = deal_subjects(before.subject, 5, seed=0)
    one, two = (remedied_scores(remedy, w, fold, [0.1], 20, None) for w in (before, after))
    home, person = fold[who == 3][0], before.subject[who == 3][0]
    touching = (fold[before.reference] == home) | (fold[before.probe] == home)
    theirs = (before.subject[before.reference] == person) | (before.subject[before.probe] == person)
    assert (one[touching & ~theirs] == two[touching & ~theirs]).all()  # same fold: never learned from
    assert (one[~touching] != two[~touching]).any()


def brute_norm(within, fold, norm: str, k: int, top: int) -> float:
    e, t = within.reference[k], within.probe[k]
    rows = [r for r in range(len(fold)) if fold[r] not in (fold[e], fold[t])]
    cosine = (within.unit @ within.unit.T).astype(np.float64)

    def moments(values: list[float]) -> tuple[float, float]:
        mean = sum(values) / len(values)
        return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))

    def against(sample: int) -> list[float]:
        return [cosine[sample, r] for r in rows]

    if norm == "adaptive":
        width = max(2, min(top, len(rows) // 2))
        (me, de), (mt, dt) = (moments(sorted(against(x))[-width:]) for x in (e, t))
    else:
        (me, de), (mt, dt) = moments(against(e)), moments(against(t))
    s = within.score[k]
    if norm == "zt":
        z_scores = []
        for r in rows:
            mean, deviation = moments([cosine[r, q] for q in rows if within.subject[q] != within.subject[r]])
            z_scores.append((cosine[t, r] - mean) / deviation)
        mean, deviation = moments(z_scores)
        return ((s - me) / de - mean) / deviation
    return {
        "z": (s - me) / de,
        "t": (s - mt) / dt,
        "s": ((s - me) / de + (s - mt) / dt) / 2,
        "adaptive": ((s - me) / de + (s - mt) / dt) / 2,
    }[norm]


@pytest.mark.parametrize("norm", ["z", "t", "zt", "s", "adaptive"])
def test_normalisations_are_their_formulas(norm: str) -> None:
    within, _ = small(images=80)
    fold = deal_subjects(within.subject, 4, seed=0)
    found = normalised(within, fold, norm, top=7)
    for k in range(0, len(found), max(1, len(found) // 40)):
        assert found[k] == pytest.approx(brute_norm(within, fold, norm, k, 7), rel=1e-5, abs=1e-5)


def test_a_given_cohort_is_the_only_one_looked_at() -> None:
    within, _ = small()
    rng = np.random.default_rng(2)
    cohort = make_cohort(rng.normal(size=(30, 8)), np.repeat(np.arange(10), 3))
    found = normalised(within, np.zeros(60, dtype=int), "z", cohort=cohort)
    against = (within.unit @ cohort.unit.T).astype(np.float64)
    expected = (within.score - against.mean(axis=1)[within.reference]) / against.std(axis=1)[within.reference]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=30, max_size=80), st.sampled_from([0.1, 0.2, 0.5]))
def test_the_map_meets_the_threshold_of_every_level(values: list[int], level: float) -> None:
    non_mated = np.array(values) / 10
    try:
        knots = map_to_fmr(non_mated, (level, 0.9, 0.3))
    except BadInputError:
        return
    allowed = int(level * len(non_mated) + 1e-9)
    changed = apply_map(non_mated, knots)
    assert (np.diff(changed[np.argsort(non_mated)]) >= -1e-12).all()
    if -math.log10(level) <= knots[1][-1]:  # resolved, perhaps at a threshold shared with a smaller level
        assert sum(changed >= -math.log10(level) - 1e-12) <= allowed
    if -math.log10(level) in knots[1]:
        tau = knots[0][knots[1].tolist().index(-math.log10(level))]
        assert ((changed >= -math.log10(level) - 1e-12) == (non_mated >= tau)).all()


def test_group_thresholds_equalise_the_false_match_rate() -> None:
    matrix, who, ages = population(images=900, subjects=90)
    grouping = group_by_age(ages, GROUPS)
    options = EvaluationOptions(targets=(0.02,), replicates=0, curves=False)
    found = judge_remedies(matrix, who, grouping, RemedyOptions(("group-threshold",)), options, ages=ages)
    before, after = (found[name].at(0.02) for name in ("", "group-threshold"))
    spread = [max(g.fmr.value for g in at.groups) / min(g.fmr.value for g in at.groups) for at in (before, after)]
    assert spread[0] > 1.4
    assert spread[1] < 1.15


def test_the_untouched_evaluation_is_the_usual_one_and_remedies_pair_with_it() -> None:
    matrix, who, ages = population(images=400, subjects=40)
    grouping = group_by_age(ages, GROUPS)
    options = EvaluationOptions(targets=(0.1, 0.02), replicates=120, curves=False)
    found = judge_remedies(matrix, who, grouping, RemedyOptions(("z-norm", "adaptive-norm")), options, ages=ages)
    usual = evaluate_embeddings(matrix, who, ages, groups=GROUPS, targets=(0.1, 0.02), bootstrap=0, curves=False)
    for target in (0.1, 0.02):
        for one, two in zip(found[""].at(target).groups, usual.at(target).groups, strict=True):
            assert (one.name, one.fmr.errors, one.fmr.trials) == (two.name, two.fmr.errors, two.fmr.trials)
            assert (one.fnmr.errors, one.fnmr.trials) == (two.fnmr.errors, two.fnmr.trials)
    paired = compare_evaluations(found[""], found["adaptive-norm"]).at(0.02)
    assert paired.differences["fnmr"].interval.low is not None
    assert found["adaptive-norm"].provenance["remedy"] == "adaptive-norm"


def test_what_cannot_be_remedied_is_said() -> None:
    matrix, who, ages = population(images=60, subjects=14, dimension=8)
    grouping = group_by_age(ages, GROUPS)
    with pytest.raises(UsageError, match="--remedy 'magic' is unknown; use some of group-threshold, z-norm"):
        RemedyOptions(("magic",))
    with pytest.raises(UsageError, match="14 subjects cannot be cross-fitted in 2 folds"):
        judge_remedies(matrix, who, grouping, RemedyOptions(("z-norm",), folds=2), EvaluationOptions())
    with pytest.raises(BadInputError, match="too few to set thresholds"):
        map_to_fmr([0.1], [0.5])
    with pytest.raises(BadInputError, match="cohort of 3 images is too small"):
        make_cohort(np.eye(3), list("abc"))
    within, _ = small()
    with pytest.raises(BadInputError, match="embed the cohort with the same recogniser"):
        normalised(
            within, np.zeros(60, int), "z", cohort=make_cohort(np.random.default_rng(0).normal(size=(20, 5)), range(20))
        )
    with pytest.raises(BadInputError, match="same score with the whole cohort"):
        normalised(within, np.zeros(60, int), "z", cohort=make_cohort(np.ones((20, 8)), range(20)))
    crowd = Grouping(("all",), np.zeros(7000, dtype=np.int64), "nothing", "")
    with pytest.raises(UsageError, match="at most 20000000 in all; groups of 7000 images"):
        within_groups(np.ones((7000, 2), np.float32), np.arange(7000), crowd)


def test_thresholds_need_enough_people_in_a_group() -> None:
    within, _ = small(images=24, subjects=12)
    with pytest.raises(BadInputError, match="larger groups or more subjects"):
        group_thresholds(within, deal_subjects(within.subject, 3, 0), [0.1])
