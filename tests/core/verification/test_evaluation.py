"""The evaluation as a whole: what is in the document, what is refused, what is excluded."""

import json
from typing import Any

import numpy as np
import pytest
from populations import population

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.facts import ExcludedGroup, RefusedTarget
from frbias.core.verification.groups import group_by_protocol, group_by_value
from frbias.core.verification.measures.fairness import gini
from frbias.core.verification.results import Evaluation


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    matrix, who, ages = population(images=420, subjects=45)
    return evaluate_embeddings(
        matrix,
        who,
        ages,
        groups="0-14,15-29,30+",
        targets=(0.1, 0.01),
        bootstrap=300,
        failure_to_acquire=0.02,
        name="sim",
    )


@pytest.fixture(scope="module")
def document(evaluation: Evaluation) -> dict[str, Any]:
    return json.loads(json.dumps(evaluation.to_json(), allow_nan=False))


def test_the_document_holds_what_the_contract_names(document: dict[str, Any]) -> None:
    assert document["schema"] == "frbias.evaluation"
    assert document["schema_version"] == 2
    assert [t["target"] for t in document["targets"]] == [0.1, 0.01]
    for record in document["targets"]:
        for key in (
            "tau",
            "achieved_fmr",
            "false_matches",
            "false_non_matches",
            "garbe",
            "gini_fmr",
            "gini_fnmr",
            "fdr",
        ):
            assert isinstance(record[key], (int, float)), key
        assert record["convention"] == "at_most"
        assert record["achieved_fmr"] <= record["target"]
        assert record["false_matches"] == sum(g["false_matches"] for g in record["groups"]) <= record["budget"]
        assert record["non_mated"] == sum(g["non_mated"] for g in record["groups"])
        assert record["mated"] == sum(g["mated"] for g in record["groups"])
        for group in record["groups"]:
            assert group["fmr"] == group["false_matches"] / group["non_mated"]
            assert group["fnmr"] == group["false_non_matches"] / group["mated"]
            assert group["fmr_wilson"][0] <= group["fmr"] <= group["fmr_wilson"][1]
        assert record["gini_fmr"] == pytest.approx(gini([g["fmr"] for g in record["groups"]]).value)
        assert record["garbe"] == pytest.approx((record["gini_fmr"] + record["gini_fnmr"]) / 2)
        assert record["far"] == pytest.approx(record["achieved_fmr"] * 0.98)
        assert record["frr"] == pytest.approx(0.02 + record["fnmr"] * 0.98)
        assert set(record["noise_floor"]) == {"independent", "clustered"}
        assert (
            record["noise_floor"]["clustered"]["garbe"]["p95"] >= record["noise_floor"]["independent"]["garbe"]["p95"]
        )
        for name, measure in record["measures"].items():
            assert measure["direction"] in ("lower is fairer", "higher is fairer"), name
            assert (measure["value"] is None) == ("reason" in measure), name


def test_age_tables_add_up(document: dict[str, Any]) -> None:
    record = document["targets"][1]
    total = document["comparisons"]["mated_everywhere"]
    assert sum(row["mated"] for row in record["age_gaps"]) == total
    assert sum(map(sum, record["cross_age"]["mated"])) == total
    errors = sum(row["false_non_matches"] for row in record["age_gaps"])
    assert sum(map(sum, record["cross_age"]["false_non_matches"])) == errors
    for i, row in enumerate(record["cross_age"]["mated"]):
        assert not any(row[:i])  # the younger sample is the row
    cross = record["cross_groups"]
    for k, group in enumerate(record["groups"]):
        assert cross["non_mated"][k][k] == group["non_mated"]
        assert cross["false_matches"][k][k] == group["false_matches"]


def test_curves_agree_with_the_table(evaluation: Evaluation, document: dict[str, Any]) -> None:
    points = {p["target"]: p for p in document["curves"]["fairness"]}
    for record in document["targets"]:
        point = points[record["target"]]
        assert point["tau"] == record["tau"]
        assert point["garbe"] == record["garbe"]
        band = record["measures"]["garbe"]["bootstrap"]
        assert point["band"]["garbe"] == [band["low"], band["high"]]
    shapes = document["curves"]["distributions"]
    for group, facts in zip(shapes["groups"], document["groups"]["evaluated"], strict=True):
        assert sum(group["mated"]) == facts["mated"]
        assert sum(group["non_mated"]) == facts["non_mated"]
    for curve in document["curves"]["det"]:
        assert curve["fmr"] == sorted(curve["fmr"], reverse=True)
        assert curve["fnmr"] == sorted(curve["fnmr"])
    assert evaluation.source is not None
    tally = evaluation.source.tally
    threshold = np.float32(document["curves"]["det"][0]["threshold"][5])
    accepted = int(tally.at_least(threshold)[evaluation.source.classes.pool].sum())
    assert document["curves"]["det"][0]["fmr"][5] == accepted / evaluation.source.pooled_non_mated


def test_equal_error_rate_equals_that_of_all_scores(evaluation: Evaluation) -> None:
    from frbias.core.verification.measures.rates import equal_error_rate

    source = evaluation.source
    assert source is not None
    inside = np.isin(source.tally.kind, source.classes.pool)
    found = equal_error_rate(source.mated.score[source.in_evaluated_group], source.tally.score[inside])
    assert (found.value, found.low, found.high) == pytest.approx(
        (evaluation.overall.eer.value, evaluation.overall.eer.low, evaluation.overall.eer.high)
    )


def test_the_same_twice(evaluation: Evaluation) -> None:
    matrix, who, ages = population(images=420, subjects=45)
    again = evaluate_embeddings(
        matrix * 4,
        who,
        ages,
        groups="0-14,15-29,30+",
        targets=(0.1, 0.01),
        bootstrap=300,
        failure_to_acquire=0.02,
        name="sim",
    )
    assert again.to_json() == evaluation.to_json()


def test_groups_without_comparisons_are_excluded_by_name() -> None:
    matrix, who, ages = population(images=200, subjects=20)
    ages = ages.clip(0, 69)
    ages[:2] = [90, 95]
    who = who.copy()
    who[:2] = [100, 101]
    done = evaluate_embeddings(matrix, who, ages, groups="0-29,30-69,80+", targets=[0.1], bootstrap=0, curves=False)
    assert [g.name for g in done.groups.evaluated] == ["0-29", "30-69"]
    assert done.groups.excluded == (ExcludedGroup("80+", "no_mated_comparisons", 2, 2),)
    assert done.groups.gaps == ("70-79",)
    assert len(done.at(0.1).groups) == 2
    assert done.at(0.1).fmr.trials == sum(g.non_mated for g in done.groups.evaluated)


def test_targets_beyond_the_data_are_refused_with_the_smallest_usable() -> None:
    matrix, who, ages = population(images=100, subjects=20)
    done = evaluate_embeddings(matrix, who, ages, groups="0-80", targets=(0.1, 1e-9), bootstrap=0)
    total = done.comparisons.non_mated
    assert done.refused == (RefusedTarget(1e-9, "budget_below_one", 1 / total),)
    assert done.at(0.1).measures["garbe"].reason == "gini_fmr:fewer_than_two_groups; gini_fnmr:fewer_than_two_groups"
    with pytest.raises(UsageError, match=f"smallest usable target is 1/{total}"):
        evaluate_embeddings(matrix, who, ages, groups="0-80", targets=[1e-9])


def test_no_group_with_both_kinds() -> None:
    matrix, _, ages = population(images=30)
    with pytest.raises(BadInputError, match="both mated and non-mated"):
        evaluate_embeddings(matrix, np.arange(30), ages)
    with pytest.raises(BadInputError, match="both mated and non-mated"):
        evaluate_embeddings(matrix, np.zeros(30), ages)


@pytest.mark.parametrize("targets", [(), (0.0,), (1.0,), (-0.1,)])
def test_senseless_targets_are_refused(targets: tuple[float, ...]) -> None:
    matrix, who, ages = population(images=50, subjects=6)
    with pytest.raises(UsageError, match="between 0 and 1"):
        evaluate_embeddings(matrix, who, ages, targets=targets)


def test_thesis_protocol_reports_its_distributions_by_single_comparisons() -> None:
    matrix, who, ages = population(images=400, subjects=30)
    done = evaluate_embeddings(matrix, who, ages, groups=group_by_protocol(ages, "thesis"), targets=[0.1], bootstrap=0)
    assert done.curves is not None
    classes = {c.name: c for c in done.curves.distributions.classes or ()}
    i, j = np.triu_indices(400, k=1)
    middle = (ages[i] >= 20) & (ages[i] <= 40) & (ages[j] >= 20) & (ages[j] <= 40)
    assert classes["mated middle 20-40"].comparisons == int((middle & (who[i] == who[j])).sum())
    young = (ages[i] >= 20) & (ages[i] <= 30) & (ages[j] >= 20) & (ages[j] <= 30)
    assert classes["non-mated 20-30"].comparisons == int((young & (who[i] != who[j])).sum())
    unit = matrix.astype(np.float64) / np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
    scores = np.einsum("ij,ij->i", unit[i], unit[j])[young & (who[i] != who[j])]
    assert classes["non-mated 20-30"].mean == pytest.approx(scores.mean(), abs=1e-6)
    assert classes["non-mated 20-30"].std == pytest.approx(scores.std(), abs=1e-6)
    assert done.groups.protocol == "thesis"


def test_other_columns_and_many_groups() -> None:
    matrix, who, _ = population(images=400, subjects=8)
    codes = np.arange(400) % 15
    done = evaluate_embeddings(
        matrix, who, groups=group_by_value([f"g{c:02d}" for c in codes], "camera"), targets=[0.1], bootstrap=0
    )
    assert len(done.at(0.1).groups) == 15
    assert done.at(0.1).cross_groups is None  # one class for all pairs of different groups
    assert done.at(0.1).age_gaps == ()
    assert done.comparisons.non_mated_everywhere + done.comparisons.mated_everywhere == 400 * 399 // 2
