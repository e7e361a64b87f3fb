"""Conditions on lists of pairs and on identification: read, refused, judged."""

from typing import Any

import numpy as np
import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.stages.requests.protocols import IdentifyRequest, PairsRequest
from frbias.core.verification.groups import group_by_age
from frbias.core.verification.identification import search
from frbias.core.verification.identification_results import IdentificationOptions, judge_searches
from frbias.core.verification.pair_judging import judge_pairs
from frbias.core.verification.pair_results import PairOptions, ScoredPairs
from frbias.core.verification.protocol_gates import protocol_failures


@pytest.fixture(scope="module")
def pairs() -> dict[str, Any]:
    """40 pairs in two groups: of the mated ones a fifth of the first group and none of the second is far apart."""
    mated = np.tile([True, False], 20)
    distances = np.where(mated, 0.5, 1.5)
    distances[[0, 8]] = 1.9
    groups = (("young", "old"), np.repeat([0, 1], 20))
    scored = ScoredPairs(distances, mated, np.tile(np.repeat([0, 1], 2), 10), groups)
    return judge_pairs(scored, PairOptions(targets=(0.1, 0.001), replicates=200)).to_json()


@pytest.fixture(scope="module")
def searches() -> dict[str, Any]:
    rng, who = np.random.default_rng(1), np.repeat(np.arange(20), 4)
    ages = np.tile([5.0, 9.0, 30.0, 40.0], 20)
    vectors = rng.normal(size=(20, 12))[who] + np.where(ages < 20, 1.4, 0.5)[:, None] * rng.normal(size=(80, 12))
    found = search(vectors.astype(np.float32), who.astype(str), gallery="others", ages=ages)
    options = IdentificationOptions((0.2,), 5, 200)
    return judge_searches(found, group_by_age(ages, "0-19,20+"), ages, options).to_json()


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("accuracy < 96%", 1),
        ("accuracy < 90%", 0),
        ("accuracy[old] < 100%", 0),
        ("accuracy[young] < 100%", 1),
        ("accuracy.low < 1", 1),
        ("tar@10% < 0.95", 1),
        ("tar < 0.5", 0),
        ("tar[old]@10% < 1", 0),
        ("eer > 0.2", 0),
        ("d_prime < 100", 1),
        ("skewed_error_ratio > 2", 1),
        ("tar@0.1% > 2", 1),
    ],
)
def test_pairs(pairs: dict[str, Any], text: str, broken: int) -> None:
    assert len(protocol_failures([text], pairs)) == broken


def test_what_pairs_cannot_resolve_is_not_met(pairs: dict[str, Any]) -> None:
    assert protocol_failures(["tar@0.1% < 0.5"], pairs) == [
        "'tar@0.1% < 0.5' cannot be judged: tar at 0.001 is undefined"
    ]


def test_searches_are_judged_as_they_stand_in_the_document(searches: dict[str, Any]) -> None:
    for group, record in ((None, searches["all"]), *((g["name"], g) for g in searches["groups"])):
        name = "" if group is None else f"[{group}]"
        for text, value in (
            (f"rank_1{name}", record["rank_1"]["value"]),
            (f"rank_1{name}.high", record["rank_1"]["bootstrap"]["high"]),
            (f"fnir{name}@20%", record["open_set"][0]["fnir"]["value"]),
        ):
            assert protocol_failures([f"{text} >= {value!r}"], searches), text
            assert not protocol_failures([f"{text} > {value!r}"], searches), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy < 1", "did you mean 'accuracy'"),
        ("rank_1 < 1", "'rank_1' is not a quantity of this protocol"),
        ("accuracy@1% < 1", "accuracy has no target"),
        ("tar@5% < 1", "0.05 is not among --at-fmr 0.1, 0.01"),
        ("skewed_error_ratio[old] > 1", "about all groups"),
        ("verdict == fairer", "a verdict needs a comparison"),
        ("accuracy", "cannot be read"),
    ],
)
def test_conditions_that_no_list_can_answer_are_refused_before_work(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PairsRequest(pairs=("a.bin",), at_fmr=(0.1, 0.01), fail_if=(text,))


def test_conditions_that_no_search_can_answer_are_refused_before_work() -> None:
    with pytest.raises(UsageError, match=r"0\.3 is not among --at-fpir 0\.1, 0\.01"):
        IdentifyRequest(data="x", fail_if=("fnir@0.3 > 0.1",))
    assert IdentifyRequest(data="x", fail_if=("fnir@1% > 0.1", "rank_1[0-12] < 0.9")).fail_if


@pytest.mark.parametrize("text", ["tar[middle] < 1", "accuracy[] < 1", "eer.low > 0"])
def test_groups_and_intervals_that_are_not_there(pairs: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match="fail-if"):
        protocol_failures([text], pairs)


def test_every_group_has_its_cmc_and_it_ends_in_rank_1(searches: dict[str, Any]) -> None:
    sizes = np.array([group["mated_searches"] for group in searches["groups"]])
    curves = np.array([group["cmc"] for group in searches["groups"]])
    assert curves.shape == (2, 5)
    assert np.allclose(sizes @ curves / sizes.sum(), searches["cmc"])
    assert curves[:, 0].tolist() == [group["rank_1"]["value"] for group in searches["groups"]]
    assert (np.diff(curves, axis=1) >= 0).all()
    assert curves[0, 0] < curves[1, 0], "children are harder to find in this set"
