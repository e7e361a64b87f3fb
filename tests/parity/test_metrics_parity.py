"""Rates and fairness measures against exact rationals and brute-force counts (``DIR/metrics``)."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.core.verification.assembling import EvaluationOptions, evaluate
from frbias.core.verification.measures import fairness, intervals, rates
from frbias.core.verification.measures.rates import error_budget
from frbias.core.verification.measures.table import all_measures
from frbias.core.verification.scores.scoresets import comparisons_from_scores

CONVENTIONS = {
    "at_most_impostor_grid_bob": "at_most",
    "at_most_infimum": "infimum",
    "nearest_pyeer": "nearest",
    "np_quantile_linear": "quantile",
}


@pytest.fixture(scope="module")
def vectors(fixtures_dir: Path) -> list[dict[str, Any]]:
    files = sorted((fixtures_dir / "metrics").glob("*.json"))
    found = [v for file in files for v in json.loads(file.read_text()).get("vectors", [])]
    assert found, "no metric vectors"
    return found


@pytest.fixture(scope="module")
def sets(fixtures_dir: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    found = {}
    for file in sorted((fixtures_dir / "metrics").glob("*.npz")):
        with np.load(file) as data:
            arrays = {k: data[k] for k in data.files}
        for name, summary in json.loads(str(arrays["summary_json"])).items():
            found[f"{file.stem}:{name}"] = (
                {k.removeprefix(f"{name}__"): v for k, v in arrays.items() if k.startswith(f"{name}__")},
                summary,
            )
    assert found, "no score sets"
    return found


def number(expected: dict[str, Any]) -> float:
    if "exact" in expected:
        return float(Fraction(expected["exact"]))
    return float(expected["decimal"])


def check(measure: fairness.Measure, expected: dict[str, Any], tolerance: float) -> None:
    if "undefined" in expected:
        assert measure.value is None
        assert measure.reason == expected["undefined"]
        if "limit" in expected:
            assert measure.limit == expected["limit"]
        return
    assert measure.value == pytest.approx(number(expected), rel=tolerance, abs=1e-15)
    assert measure.reason is None


def test_group_rates(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "group_rates"]
    assert chosen
    for vector in chosen:
        given, expect = vector["input"], vector["expect"]
        tolerance = 1e-11 if "numeric" in vector["tags"] else 1e-12
        fmr, fnmr = ([float(Fraction(x)) for x in given[k]] for k in ("fmr", "fnmr"))
        alpha = float(Fraction(given["alpha"]))
        target = float(Fraction(given["target_fmr"])) if "target_fmr" in given else None
        found = all_measures(fmr, fnmr, alpha=alpha, target=target)
        for name in ("gini_fmr", "gini_fnmr", "gini_fmr_uncorrected", "gini_fnmr_uncorrected", "garbe", "fdr", "ir"):
            check(found[name], expect[name], tolerance)
        check(found["fdr_range_fmr"], expect["fdr_A"], tolerance)
        check(found["fdr_range_fnmr"], expect["fdr_B"], tolerance)
        for rate in ("fmr", "fnmr"):
            for short, name in (
                ("max_over_min", "max_over_min"),
                ("max_over_geometric_mean", "max_over_geometric_mean"),
                ("max_over_arithmetic_mean", "max_over_arithmetic_mean"),
            ):
                check(found[f"{rate}_{name}"], expect[f"ratios_{rate}"][short], tolerance)
        if "mape_fmr_percent" in expect:
            check(found["mape_fmr"], expect["mape_fmr_percent"], tolerance)
        for name, key in (("ir_A", 1.0), ("ir_B", 0.0)):
            alone = fairness.ir(fmr, fnmr, alpha=key)
            if "undefined" in expect[name]:
                assert alone.reason is not None
                assert alone.reason.split(":")[1] == expect[name]["undefined"]
            else:
                check(alone, expect[name], tolerance)
        for name, value in (("gini_fmr", fmr), ("gini_fnmr", fnmr)):
            policy = expect[name].get("value_if_zero_mean_means_equal")
            if policy is not None:
                assert fairness.gini(value, zero_mean_is_equal=True).value == policy
        policy = expect["garbe"].get("value_if_zero_mean_means_equal")
        if policy is not None:
            found_policy = fairness.garbe(fmr, fnmr, alpha=alpha, zero_mean_is_equal=True)
            assert found_policy.value == pytest.approx(number(policy), rel=tolerance, abs=1e-15)


def test_counts_give_the_rates(vectors: list[dict[str, Any]]) -> None:
    for vector in vectors:
        for group, fmr, fnmr in zip(
            vector["input"].get("counts", []),
            vector["input"].get("fmr", []),
            vector["input"].get("fnmr", []),
            strict=False,
        ):
            assert group["false_matches"] / group["nonmated"] == float(Fraction(fmr))
            assert group["false_non_matches"] / group["mated"] == float(Fraction(fnmr))


def test_accuracies(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "group_accuracies_percent"]
    assert chosen
    for vector in chosen:
        values = [float(x) for x in vector["input"]["accuracy_percent"]]
        check(fairness.accuracy_std(values), vector["expect"]["std_ddof1"], 1e-12)
        check(fairness.accuracy_ser(values), vector["expect"]["ser"], 1e-12)


def test_binomial_intervals(vectors: list[dict[str, Any]]) -> None:
    chosen = [v for v in vectors if v["kind"] == "binomial_interval"]
    assert chosen
    for vector in chosen:
        errors, trials = vector["input"]["errors"], vector["input"]["trials"]
        confidence, expect = float(vector["input"]["confidence"]), vector["expect"]
        close = pytest.approx
        assert intervals.clopper_pearson(errors, trials, confidence=confidence) == close(
            tuple(expect["clopper_pearson"]), abs=1e-9
        )
        assert intervals.wilson(errors, trials, confidence=confidence) == close(tuple(expect["wilson"]), abs=1e-9)
        assert ("below_rule_of_30" in intervals.flags(errors, trials)) == (not expect["rule_of_30_met"])
        if errors == 0:
            assert intervals.zero_error_upper_bound(trials) == close(expect["one_sided_95_upper_exact"], abs=1e-9)
            assert intervals.rule_of_three(trials) == close(expect["rule_of_three_upper"], abs=1e-12)


def test_published_pairs(vectors: list[dict[str, Any]]) -> None:
    for vector in (v for v in vectors if v["kind"] == "published_fmr_pair"):
        fmr, expect = [float(x) for x in vector["input"]["fmr"]], vector["expect"]
        check(fairness.max_over_min(fmr), expect["max_over_min"], 1e-12)
        assert round(fairness.max_over_min(fmr).value or 0) == expect["printed_fold"]
        check(fairness.gini(fmr), expect["gini_fmr"], 1e-12)
        check(fairness.max_over_geometric_mean(fmr), expect["max_over_geometric_mean"], 1e-12)


def test_error_counts_at_every_threshold(sets: dict[str, Any]) -> None:
    checked = 0
    for arrays, _ in sets.values():
        if "thr" not in arrays:
            continue
        at = arrays["thr"]
        false_matches, false_non_matches = rates.error_counts(arrays["mated"], arrays["nonmated"], at)
        np.testing.assert_array_equal(false_matches, arrays["fm_ge"])
        np.testing.assert_array_equal(false_non_matches, arrays["fnm_lt"])
        strict = rates.error_counts(arrays["mated"], arrays["nonmated"], np.nextafter(at, np.inf))
        np.testing.assert_array_equal(strict[0], arrays["fm_gt"])
        np.testing.assert_array_equal(strict[1], arrays["fnm_le"])
        curve = rates.error_curve(arrays["mated"], arrays["nonmated"])
        np.testing.assert_array_equal(curve.thresholds[:-1], np.unique(np.r_[arrays["mated"], arrays["nonmated"]]))
        checked += 1
    assert checked


def test_thresholds_under_every_convention(sets: dict[str, Any]) -> None:
    checked = 0
    for name, (arrays, summary) in sets.items():
        for target, rows in summary.get("threshold_at_fmr", {}).items():
            for convention, row in rows.items():
                tau = rates.threshold_at_fmr(
                    arrays["nonmated"], Fraction(target), convention=CONVENTIONS[convention], mated=arrays["mated"]
                )
                assert tau == row["threshold"], (name, target, convention)
                matches, rejected = rates.error_counts(arrays["mated"], arrays["nonmated"], [tau])
                assert matches[0] == row["false_matches"], (name, target, convention)
                if "false_non_matches" in row:
                    assert rejected[0] == row["false_non_matches"], (name, target, convention)
                if convention.startswith("at_most"):
                    assert matches[0] <= error_budget(Fraction(target), len(arrays["nonmated"]))
                checked += 1
    assert checked


def test_equal_error_rates(sets: dict[str, Any]) -> None:
    checked = 0
    for arrays, summary in sets.values():
        if "bruteforce_eer" not in summary:
            continue
        expect = summary["bruteforce_eer"]
        closed = rates.equal_error_rate(arrays["mated"], arrays["nonmated"])
        interval = expect["fvc2000_interval_closed_curve"]
        assert (closed.low, closed.value, closed.high) == pytest.approx(
            tuple(number(interval[k]) for k in ("low", "mid", "high")), rel=1e-12, abs=1e-15
        )
        mean = rates.equal_error_rate(arrays["mated"], arrays["nonmated"], convention="mean_at_smallest_difference")
        choices = [number(v) for v in expect["argmin_abs_diff_mean"]["distinct_values"]]
        assert min(abs(mean.value - v) for v in choices) < 1e-14
        assert mean.threshold in expect["argmin_abs_diff_mean"]["thresholds"]
        line = rates.equal_error_rate(arrays["mated"], arrays["nonmated"], convention="linear_interpolation")
        assert line.value == pytest.approx(number(expect["linear_interpolation"]), rel=1e-12, abs=1e-15)
        checked += 1
    assert checked


def test_grouped_sets_end_to_end(sets: dict[str, Any]) -> None:
    checked = 0
    for arrays, summary in sets.values():
        if "by_target" not in summary:
            continue
        names = np.array(summary["groups"])
        mated = np.r_[np.ones(len(arrays["mated"])), np.zeros(len(arrays["nonmated"]))]
        comparisons, grouping = comparisons_from_scores(
            np.r_[arrays["mated"], arrays["nonmated"]],
            mated,
            groups=np.r_[names[arrays["mated_group"]], names[arrays["nonmated_group"]]],
        )
        order = [grouping.names.index(n) for n in names]
        usable = [t for t in summary["by_target"] if error_budget(Fraction(t), len(arrays["nonmated"])) >= 1]
        options = EvaluationOptions(targets=tuple(float(Fraction(t)) for t in usable), replicates=0, curves=False)
        done = evaluate(comparisons, grouping, options)
        for target, result in zip(usable, done.targets, strict=True):
            expect = summary["by_target"][target]
            assert result.tau == expect["threshold"]
            assert [result.groups[k].fmr.errors for k in order] == expect["false_matches"]
            assert [result.groups[k].fnmr.errors for k in order] == expect["false_non_matches"]
            for name, key in (
                ("gini_fmr", "gini_fmr"),
                ("gini_fnmr", "gini_fnmr"),
                ("garbe", "garbe_alpha_half"),
                ("fdr", "fdr_alpha_half"),
            ):
                if expect[key] is None:
                    assert result.measures[name].value is None
                else:
                    check(result.measures[name], expect[key], 1e-12)
            checked += 1
    assert checked
