"""Errors of face points against annotations."""

import numpy as np
import pytest

from frbias.core.faces.point_errors import point_error, report_point_errors

ANNOTATED = np.array([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])


def test_an_error_is_in_eye_distances() -> None:
    assert point_error(ANNOTATED, ANNOTATED) == 0
    assert point_error(ANNOTATED + np.array([3, 4]), ANNOTATED) == pytest.approx(5 / 20)
    one_off = ANNOTATED.copy()
    one_off[2] += [0, 8]
    assert point_error(one_off, ANNOTATED) == pytest.approx(np.sqrt(64 / 5) / 20)
    assert point_error(7 * one_off + 3, 7 * ANNOTATED + 3) == pytest.approx(point_error(one_off, ANNOTATED))
    assert np.isnan(point_error(ANNOTATED, np.zeros((5, 2))))


def test_a_report_counts_overall_and_by_group() -> None:
    errors = np.array([0.05, 0.15, 0.25, 0.35, np.nan, 0.1])
    ages = np.array([5.0, 12.9, 13, 30, 30, np.nan])
    report = report_point_errors(errors, ages)
    assert report.overall.faces == 5
    assert report.overall.above == (3, 2, 1)
    assert report.overall.shares == (0.6, 0.4, 0.2)
    assert report.overall.mean == pytest.approx(0.18)
    assert report.overall.median == pytest.approx(0.15)
    assert list(report.groups) == ["0-12", "13-19", "20-39"]
    assert report.groups["0-12"].above == (1, 0, 0)
    assert report.groups["20-39"].faces == 1
    record = report.to_json()
    assert record["bounds"] == [0.1, 0.2, 0.3]
    assert record["groups"]["13-19"] == {
        "faces": 1,
        "mean": 0.25,
        "median": 0.25,
        "above": [1, 1, 0],
        "shares": [1, 1, 0],
    }


def test_no_face_gives_no_mean() -> None:
    report = report_point_errors(np.array([np.nan]), np.array([4.0]))
    assert report.overall.faces == 0
    assert report.overall.mean is None
    assert report.overall.shares == ()
    assert report.groups == {}
