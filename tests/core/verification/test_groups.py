"""Age groups, columns, crossings, protocols."""

import numpy as np
import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.verification import groups


def test_bounds_are_inclusive_whole_years() -> None:
    found = groups.group_by_age([0, 12, 12.99, 13, 19.5, 20, 59.9, 60, 101, np.nan], groups.DEFAULT_GROUPS)
    assert [found.names[c] if c >= 0 else None for c in found.codes] == [
        "0-12", "0-12", "0-12", "13-19", "13-19", "20-39", "40-59", "60+", "60+", None,
    ]  # fmt: skip
    assert found.ungrouped == 1
    assert found.gaps == ()
    assert "inclusive" in found.rule


@pytest.mark.parametrize("text", ["0-12,12-19", "0+,5-9", "0-40,20-30"])
def test_overlaps_are_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="overlap"):
        groups.parse_age_groups(text)


@pytest.mark.parametrize("text", ["", "a-b", "12", "20-10", "1-2;3-4", "-3-4"])
def test_unreadable_groups_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        groups.parse_age_groups(text)


def test_gaps_are_reported() -> None:
    found = groups.group_by_age([3, 30, 80], "5-20,45-70")
    assert found.gaps == ("0-4", "21-44", "71+")
    assert found.ungrouped == 3


def test_crossing_and_columns() -> None:
    columns = {"age": [5, 30, 40, 50], "sex": ["f", "m", "", None]}
    found = groups.grouping_named("0-19,20+ x sex", columns)
    assert found.names == ("0-19 x f", "20+ x m")
    assert found.codes.tolist() == [0, 1, -1, -1]
    assert found.by == "age x sex"
    assert groups.grouping_named("sex", columns).names == ("f", "m")
    assert groups.grouping_named("age", columns).names[-1] == "60+"
    with pytest.raises(UsageError, match="there are age, sex"):
        groups.grouping_named("ethnicity", columns)
    with pytest.raises(UsageError, match="needs ages"):
        groups.grouping_named("0-12,13+", {"sex": ["f"]})
    with pytest.raises(UsageError, match="nothing to group by"):
        groups.group_by_value(["", None], "sex")


def test_protocols() -> None:
    assert groups.group_by_protocol([5, 20.9, 21, 45, 70.5, 71], "thesis").codes.tolist() == [0, 0, -1, 1, 1, -1]
    assert groups.group_by_protocol([9.99, 69, 70], "decades").codes.tolist() == [0, 6, -1]
    assert groups.protocol_named("fgnet4").groups[-1].name == "40-69"
    with pytest.raises(UsageError, match="thesis, decades, fgnet4"):
        groups.group_by_protocol([1], "best")


def test_without_any_age_there_is_one_group_with_a_note() -> None:
    unknown = {"age": np.full(3, np.nan), "sex": ["f", "m", "f"]}
    found = groups.grouping_named("age", unknown)
    assert (found.names, found.codes.tolist(), found.by) == (("all",), [0, 0, 0], "nothing")
    assert "no image has an age" in (found.note or "")
    assert groups.grouping_named("0-12,13+", {"age": [float("nan"), 14.0]}).note is None
    with pytest.raises(UsageError, match="needs ages, and no image has an age"):
        groups.grouping_named("0-12,13+ x sex", unknown)
    with pytest.raises(UsageError, match="--protocol thesis needs ages, and no image has an age"):
        groups.group_by_protocol(unknown["age"], "thesis")
