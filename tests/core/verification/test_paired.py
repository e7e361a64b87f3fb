"""Paired comparison of two recognisers."""

import inspect
import json
from typing import get_type_hints

import numpy as np
import pytest
from populations import population

from frbias.core.foundation.errors import BadInputError
from frbias.core.verification.evaluation import HowToEvaluate, evaluate_embeddings
from frbias.core.verification.paired import compare_embeddings, compare_evaluations

OPTIONS = {"groups": "0-14,15+", "targets": (0.1, 0.02), "bootstrap": 400, "curves": False}


def test_what_a_comparison_may_be_told_is_what_an_evaluation_may() -> None:
    takes = inspect.signature(evaluate_embeddings).parameters.values()
    hints = get_type_hints(evaluate_embeddings)
    told = {p.name: hints[p.name] for p in takes if p.kind is p.KEYWORD_ONLY and p.name != "name"}
    assert get_type_hints(HowToEvaluate) == told


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    matrix, who, ages = population(images=250, subjects=30)
    found = compare_embeddings(matrix, matrix, who, ages, **OPTIONS)
    for target in found.targets:
        for name, difference in target.differences.items():
            assert difference.value == 0, name
            assert difference.interval is not None
            assert (difference.interval.low, difference.interval.high) == (0, 0), name
            assert difference.verdict == "no clear difference"
            assert difference.improved == 0


def test_a_better_model_is_called_better_and_pairing_narrows_the_interval() -> None:
    matrix, who, ages = population(images=300, subjects=40, noise=1.4)
    better, _, _ = population(images=300, subjects=40, noise=1.0)
    found = compare_embeddings(matrix, better, who, ages, names=("old", "new"), **OPTIONS)
    difference = found.at(0.1).differences["fnmr"]
    assert difference.value is not None
    assert difference.value < 0
    assert difference.verdict == "better"
    assert difference.improved == 1
    assert found.at(0.1).differences["tar"].verdict == "better"
    assert found.at(0.1).differences["tar"].improved == 1
    assert difference.interval is not None
    old, new = (e.at(0.1).fnmr.bootstrap for e in (found.baseline, found.other))
    width = difference.interval.high - difference.interval.low
    assert width < (old.high - old.low) + (new.high - new.low)
    kept = found.at(0.1).at_baseline_tau
    assert kept is not None
    assert kept.tau == found.baseline.at(0.1).tau
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["schema"] == "frbias.comparison"
    assert document["targets"][0]["fnmr"]["difference"] == difference.value


def test_at_the_baselines_threshold_the_counts_are_those_of_the_scores() -> None:
    matrix, who, ages = population(images=200, subjects=25)
    other, _, _ = population(images=200, subjects=25, seed=0, noise=0.9)
    found = compare_embeddings(matrix, other, who, ages, **OPTIONS)
    kept, source = found.at(0.02).at_baseline_tau, found.other.source
    assert kept is not None
    assert source is not None
    inside = np.isin(source.tally.kind, source.classes.pool)
    assert kept.false_matches == int((source.tally.score[inside] >= np.float32(kept.tau)).sum())
    assert kept.false_non_matches == int((source.mated.score[source.in_evaluated_group] < np.float32(kept.tau)).sum())


def test_what_is_not_paired_is_refused() -> None:
    matrix, who, ages = population(images=150, subjects=20)
    with pytest.raises(BadInputError, match="same samples"):
        compare_embeddings(matrix, matrix[:-1], who, ages, **OPTIONS)
    one = evaluate_embeddings(matrix, who, ages, **OPTIONS)
    with pytest.raises(BadInputError, match="bootstrap draws"):
        compare_evaluations(one, evaluate_embeddings(matrix, who, ages, **OPTIONS, seed=1))
    with pytest.raises(BadInputError, match="same comparisons"):
        compare_evaluations(one, evaluate_embeddings(matrix, who, ages, **{**OPTIONS, "groups": "0-19,20+"}))
    with pytest.raises(BadInputError, match="alpha"):
        compare_evaluations(one, evaluate_embeddings(matrix, who, ages, **OPTIONS, alpha=0.3))
