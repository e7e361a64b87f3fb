"""Failures to acquire by group, cells of pairs of groups, and projections to galleries."""

import numpy as np
import pytest
from populations import population

from frbias.core.verification.acquisition import AcquisitionCounts, count_acquisition
from frbias.core.verification.crossings import projected_fpir
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.gates import failures, parse_gate
from frbias.core.verification.groups import group_by_age, group_by_value


def test_attempts_are_joined_by_the_name_of_the_group() -> None:
    found = count_acquisition(group_by_value("mmf", "sex"), group_by_value(["x", "f", ""], "sex"))
    assert found == (AcquisitionCounts("f", 2, 1), AcquisitionCounts("m", 2, 0), AcquisitionCounts("x", 1, 1))
    assert [counts.rate for counts in found] == [0.5, 0.0, 1.0]


def test_failures_enter_the_rates_of_their_group_only() -> None:
    matrix, who, ages = population(images=300, subjects=40)
    grouping = group_by_age(ages, "0-14,15+")
    rejected = group_by_age([3.0] * 25, "0-14,15+")
    counts = count_acquisition(grouping, rejected)
    done = evaluate_embeddings(
        matrix, who, ages, groups=grouping, targets=(0.1,), bootstrap=0, failure_to_acquire=25 / 325, acquisition=counts
    )
    young, old = done.to_json()["targets"][0]["groups"]
    share = 25 / (25 + int((ages < 15).sum()))
    assert young["acquisition"] == {"group": "0-14", "attempts": 25 + int((ages < 15).sum()), "failures": 25}
    assert young["failure_to_acquire"] == pytest.approx(share)
    assert young["far"] == pytest.approx(young["fmr"] * (1 - share))
    assert young["frr"] == pytest.approx(share + young["fnmr"] * (1 - share))
    assert (old["failure_to_acquire"], old["far"], old["frr"]) == (0, old["fmr"], old["fnmr"])
    document = done.to_json()
    assert len(failures([parse_gate(f"frr[0-14]@0.1 > {share}")], document)) == 1
    plain = evaluate_embeddings(matrix, who, ages, groups=grouping, targets=(0.1,), bootstrap=0).to_json()
    assert [plain["targets"][0]["groups"][0][k] for k in ("acquisition", "far", "frr")] == [None, None, None]
    assert "undefined" in failures([parse_gate("frr[0-14] > 0")], plain)[0]


def test_the_worst_cell_is_the_largest_rate_of_the_matrix() -> None:
    matrix, who, ages = population(images=300, subjects=40)
    done = evaluate_embeddings(matrix, who, ages, groups="0-14,15-29,30+", targets=(0.1, 0.01), bootstrap=0)
    for record in done.targets:
        cross = record.cross_groups
        assert cross is not None
        assert cross.worst_cell is not None
        names = list(cross.groups)
        one, two = (names.index(name) for name in cross.worst_cell.groups)
        rates = np.array(cross.fmr, dtype=np.float64)
        assert cross.worst_cell.fmr == np.nanmax(rates) == rates[one, two]
        assert cross.worst_cell.false_matches == cross.false_matches[one][two]
        assert cross.worst_cell.interval.low < cross.worst_cell.fmr < cross.worst_cell.interval.high


def test_projection_to_a_gallery() -> None:
    assert projected_fpir(0.0, 1000) == 0
    assert projected_fpir(1.0, 1) == 1
    for fmr in (1e-12, 1e-5, 0.01, 0.3):
        assert projected_fpir(fmr, 1) == pytest.approx(fmr, rel=1e-12)
        for gallery in (10, 1000):
            assert projected_fpir(fmr, gallery) == pytest.approx(1 - (1 - fmr) ** gallery, abs=1e-12)
    matrix, who, ages = population(images=300, subjects=40)
    record = evaluate_embeddings(matrix, who, ages, groups="0-14,15+", targets=(0.01,), bootstrap=0).at(0.01)
    worst = max(record.groups, key=lambda group: group.fmr.value)
    assert [p.gallery for p in record.fpir] == [100, 1000, 10_000, 100_000]
    for projected in record.fpir:
        assert projected.fpir == projected_fpir(record.fmr.value, projected.gallery)
        assert projected.worst_group == worst.name
        assert projected.fpir_worst_group >= projected.fpir


def test_the_record_of_the_test_says_what_was_done() -> None:
    matrix, who, ages = population(images=300, subjects=40)
    done = evaluate_embeddings(matrix, who, ages, groups="0-14,15+", targets=(0.1,), bootstrap=120, matched_age=5)
    record = done.to_json()["test_record"]
    assert record["manipulated"] == ["group membership by age: 0-14, 15+"]
    assert any("matched to mated pairs within 5 years" in text for text in record["held_fixed"])
    assert not any("ages within a group" in text for text in record["uncontrolled"])
    assert record["sample_sizes"] == {
        "samples": 300, "subjects": 40, "mated": done.comparisons.mated, "non_mated": done.comparisons.non_mated,
    }  # fmt: skip
    assert any("120 replicates over 40 subjects" in text for text in record["statistics"])
