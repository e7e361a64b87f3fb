"""Searches of a gallery against brute force, on random scores with many ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.groups import group_by_age
from frbias.core.verification.identification import Searches, search, search_scores
from frbias.core.verification.identification_results import IdentificationOptions, judge_searches

NOBODY = -np.inf


@st.composite
def score_tables(draw):
    count = draw(st.integers(4, 14))
    subjects = np.array(draw(st.lists(st.integers(0, 4), min_size=count, max_size=count)))
    subjects[:3] = 0, 0, 1
    scores = np.array(draw(st.lists(st.integers(0, 5), min_size=count * count, max_size=count * count)), np.float32)
    enrolled = None
    if draw(st.booleans()):
        enrolled = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        enrolled[:3] = True, False, True
    return subjects, scores.reshape(count, count), enrolled


def found_in(case) -> Searches:
    subjects, scores, enrolled = case
    codes = np.unique(subjects, return_inverse=True)[1]
    return search_scores(lambda rows, columns: scores[np.ix_(rows, columns)], codes, enrolled)


def by_hand(case):
    """(probe, rank, mate score, best other score) of every probe, one comparison at a time."""
    subjects, scores, enrolled = case
    rows = []
    for probe in range(len(subjects)):
        if enrolled is not None and enrolled[probe]:
            continue
        best: dict[int, float] = {}
        for other in range(len(subjects)):
            if other == probe or (enrolled is not None and not enrolled[other]):
                continue
            best[subjects[other]] = max(best.get(subjects[other], NOBODY), scores[probe, other])
        mate = best.pop(subjects[probe], NOBODY)
        rank = 0 if mate == NOBODY else 1 + sum(score >= mate for score in best.values())
        rows.append((probe, rank, mate, max(best.values(), default=NOBODY)))
    return rows


@settings(max_examples=150, deadline=None)
@given(score_tables())
def test_ranks_are_those_of_brute_force(case) -> None:
    found = found_in(case)
    rows = list(zip(found.probe, found.rank, found.mate_score, found.best_other, strict=True))
    assert rows == by_hand(case)
    subjects, _, enrolled = case
    gallery = np.arange(len(subjects)) if enrolled is None else np.flatnonzero(enrolled)
    assert (found.gallery_images, found.gallery_subjects) == (len(gallery), len(set(subjects[gallery])))


@settings(max_examples=150, deadline=None)
@given(score_tables(), st.sampled_from([0.2, 0.34, 0.5]))
def test_rank_1_cmc_fnir_and_fpir_are_those_of_brute_force(case, target: float) -> None:
    found, rows = found_in(case), by_hand(case)
    result = judge_searches(found, options=IdentificationOptions((target,), replicates=0, ranks=4))
    mated = [row for row in rows if row[1]]
    rank_1 = result.everything.rank_1
    assert (rank_1.count, rank_1.of) == (sum(row[1] == 1 for row in mated), len(mated))
    assert result.cmc == tuple(sum(row[1] <= r for row in mated) / len(mated) for r in (1, 2, 3, 4))
    others = [row[3] for row in rows]
    allowed = int(target * len(rows) + 1e-9)
    if not allowed:
        assert [t for t, _ in result.refused] == [target]
        return
    fitting = [t for t in sorted(set(others)) if sum(o >= t for o in others) <= allowed]
    tau = fitting[0] if fitting else max(others) + 1e-6
    at = result.everything.open_set[0]
    assert (at.fnir.count, at.fnir.of) == (sum(not (r[1] == 1 and r[2] >= tau) for r in mated), len(mated))
    assert (at.fpir.count, at.fpir.of) == (sum(o >= tau for o in others), len(rows))


@settings(max_examples=100, deadline=None)
@given(score_tables(), st.lists(st.integers(0, 60), min_size=14, max_size=14))
def test_gaps_are_searches_with_one_mate_each(case, years: list[int]) -> None:
    subjects, scores, enrolled = case
    ages = np.array(years[: len(subjects)], dtype=float)
    result = judge_searches(found_in(case), ages=ages, options=IdentificationOptions(replicates=0))
    best_other = {row[0]: row[3] for row in by_hand(case)}
    expected: dict[str, list[bool]] = {}
    bounds = {"0-1": (0, 1), "2-5": (2, 5), "6-10": (6, 10), "11-20": (11, 20), "21-30": (21, 30), "31-40": (31, 40)}
    for probe in best_other:
        for mate in range(len(subjects)):
            if mate == probe or subjects[mate] != subjects[probe] or (enrolled is not None and not enrolled[mate]):
                continue
            gap = abs(ages[probe] - ages[mate])
            name = next((n for n, (low, high) in bounds.items() if low <= gap <= high), "41+")
            expected.setdefault(name, []).append(scores[probe, mate] > best_other[probe])
    assert {g.name: (g.rank_1.count, g.rank_1.of) for g in result.gaps} == {
        name: (sum(hits), len(hits)) for name, hits in expected.items()
    }


def population(people: int = 30, each: int = 5):
    rng = np.random.default_rng(4)
    who = np.repeat(np.arange(people), each)
    ages = rng.integers(0, 60, len(who)).astype(float)
    noise = np.where(ages < 13, 1.6, 0.9)[:, None]
    return rng.normal(size=(people, 12))[who] + noise * rng.normal(size=(len(who), 12)), who, ages


def test_groups_are_of_the_probe_at_one_threshold() -> None:
    matrix, who, ages = population()
    grouping = group_by_age(ages, "0-12,13-39,40+")
    found = search(matrix, who)
    result = judge_searches(found, grouping, ages, IdentificationOptions((0.1,), replicates=200))
    tau = result.thresholds[0][1]
    for number, group in enumerate(result.groups):
        inside = grouping.codes == number
        assert group.rank_1.count == (found.rank[inside] == 1).sum()
        assert group.open_set[0].fpir.count == (found.best_other[inside] >= tau).sum()
        hit = (found.rank[inside] == 1) & (found.mate_score[inside] >= tau)
        assert group.open_set[0].fnir.count == inside.sum() - hit.sum()
        interval = group.rank_1.interval
        assert interval.low <= group.rank_1.value <= interval.high
    assert sum(group.rank_1.of for group in result.groups) == result.everything.rank_1.of
    assert result.groups[0].rank_1.value < result.groups[1].rank_1.value
    document = result.to_json()
    assert document["gallery"] == {"rule": "others", "images": 150, "subjects": 30}
    assert document["all"]["rank_1"]["value"] == document["cmc"][0]


def test_intervals_are_of_subjects_drawn_whole() -> None:
    """With all images of a subject alike the effective sample is the number of subjects, not of images."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 8)
    hard = np.repeat(rng.random(40) < 0.5, 8)
    matrix = np.where(hard[:, None], rng.normal(size=(320, 6)), rng.normal(size=(40, 6))[who])
    share = judge_searches(search(matrix, who)).everything.rank_1
    width = share.interval.high - share.interval.low
    assert 0.2 < width < 0.4  # 2 * 1.96 * sqrt(0.25 / 40) = 0.31, against 0.11 for independent images
    again = judge_searches(search(matrix, who)).everything.rank_1
    assert (again.interval.low, again.interval.high) == (share.interval.low, share.interval.high)


def test_the_youngest_or_oldest_image_of_everybody_can_be_enrolled() -> None:
    matrix, who, ages = population(people=6, each=3)
    ages[:3] = 5, 3, 3  # the first of equal ones
    young = search(matrix, who, gallery="youngest", ages=ages)
    assert young.gallery_images == young.gallery_subjects == 6
    assert 1 not in young.probe
    assert {0, 2} <= set(young.probe.tolist())
    old = search(matrix, who, gallery="oldest", ages=ages)
    assert 0 not in old.probe
    mask = np.ones(18, dtype=bool)
    mask[young.probe] = False
    assert search(matrix, who, gallery=mask).rank.tolist() == young.rank.tolist()


def test_what_cannot_be_searched_is_said() -> None:
    matrix, who, ages = population(people=3, each=2)
    with pytest.raises(BadInputError, match="needs ages, and no image has one"):
        search(matrix, who, gallery="youngest", ages=np.full(6, np.nan))
    with pytest.raises(BadInputError, match="one person only"):
        search(matrix, np.zeros(6))
    with pytest.raises(BadInputError, match="nobody can be found"):
        search(matrix, np.arange(6))
    with pytest.raises(BadInputError, match="gallery 'all' is unknown"):
        search(matrix, who, gallery="all", ages=ages)
    with pytest.raises(UsageError, match="--at-fpir"):
        judge_searches(search(matrix, who), options=IdentificationOptions((2.0,)))
    refused = judge_searches(search(matrix, who), options=IdentificationOptions((0.5, 0.01), replicates=0))
    assert [target for target, _ in refused.refused] == [0.01]


def test_a_draw_of_everybody_once_gives_the_point_values(monkeypatch: pytest.MonkeyPatch) -> None:
    from frbias.core.verification import identification_results as module

    monkeypatch.setattr(module, "draw_weights", lambda subjects, replicates, seed: np.ones((replicates, subjects), int))
    matrix, who, ages = population()
    result = judge_searches(
        search(matrix, who), group_by_age(ages, "0-12,13+"), ages, IdentificationOptions((0.1, 0.04))
    )
    for one in (result.everything, *result.groups, *result.gaps):
        shares = [one.rank_1, *(a.fnir for a in one.open_set), *(a.fpir for a in one.open_set if a.fpir)]
        for share in shares:
            assert share.interval.low == pytest.approx(share.value, abs=1e-12)
            assert share.interval.high == pytest.approx(share.value, abs=1e-12)
