"""The sample table: schema, round trip, refusals."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frbias.core.data.samples import (
    Rejected,
    make_table,
    read_rejected,
    read_samples,
    to_csv_text,
    write_rejected,
    write_samples,
)
from frbias.core.foundation.errors import BadInputError


def test_round_trip_keeps_values_and_bytes(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a/1.png", "subject": "007", "age": 12.5, "yaw": -3.25, "x1": 1.0, "note": 'hm, "quoted"'},
        {"file_name": "a/2.png", "subject": "007", "age": float("nan"), "yaw": 0.1, "x1": 2.0, "note": ""},
    ]
    table = make_table(tmp_path, rows)
    write_samples(table)
    again = read_samples(tmp_path)
    assert again.subjects == ["007", "007"]
    assert again.ages[0] == 12.5
    assert np.isnan(again.ages[1])
    assert list(again.frame["yaw"]) == [-3.25, 0.1]
    assert to_csv_text(again.frame) == (tmp_path / "metadata.csv").read_text()
    assert again.content_hash() == table.content_hash()


@given(st.lists(st.floats(0, 150), min_size=1, max_size=20))
def test_ages_survive_csv_exactly(ages: list[float]) -> None:
    table = make_table(Path("."), [{"file_name": f"{i}.png", "subject": "s", "age": a} for i, a in enumerate(ages)])
    import io

    text = to_csv_text(table.frame)
    assert list(pd.read_csv(io.StringIO(text))["age"].astype(float)) == ages


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"age": "twelve"}, "'twelve' is not a number"),
        ({"age": -1}, "not between 0 and 150"),
        ({"age": 200}, "not between 0 and 150"),
        ({"file_name": "../x.png"}, "leaves the folder"),
        ({"file_name": "/etc/x.png"}, "leaves the folder"),
        ({"file_name": "C:/x.png"}, "leaves the folder"),
        ({"file_name": "a\\..\\x.png"}, "leaves the folder"),
        ({"file_name": ""}, "leaves the folder"),
    ],
)
def test_bad_rows_are_refused_with_their_place(row: dict[str, object], message: str) -> None:
    good = {"file_name": "a.png", "subject": "1", "age": 3}
    with pytest.raises(BadInputError, match=message):
        make_table(Path("."), [{**good, **row}])


def test_missing_column_and_duplicates(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="'subject'"):
        make_table(tmp_path, [{"file_name": "a.png", "age": 3}])
    row = {"file_name": "a.png", "subject": "1", "age": 3}
    with pytest.raises(BadInputError, match="used twice"):
        make_table(tmp_path, [row, row])


def test_folder_without_table(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"metadata\.csv"):
        read_samples(tmp_path)
    with pytest.raises(BadInputError, match="not a folder"):
        read_samples(tmp_path / "absent")


def test_points_and_selection(tmp_path: Path) -> None:
    from frbias.core.data.samples import POINT_COLUMNS

    full = dict(zip(POINT_COLUMNS, range(10), strict=True))
    rows = [{"file_name": "a", "subject": "1", "age": 3, **full}, {"file_name": "b", "subject": "2", "age": 4}]
    table = make_table(tmp_path, rows)
    np.testing.assert_array_equal(table.points(0), np.arange(10.0).reshape(5, 2))
    assert table.points(1) is None
    assert table.select(np.array([False, True])).subjects == ["2"]
    assert table.select([1, 0]).subjects == ["2", "1"]


def test_rejected_list_appears_and_goes(tmp_path: Path) -> None:
    rejected = [Rejected("x.png", "no face, sadly"), Rejected("y.png", "is empty", "007", 4.5, "f")]
    write_rejected(tmp_path, rejected)
    text = (tmp_path / "rejected.csv").read_text()
    assert text == 'file,reason,subject,age,sex\nx.png,"no face, sadly",,,\ny.png,is empty,007,4.5,f\n'
    read = read_rejected(tmp_path)
    assert read[1] == rejected[1]
    assert (read[0].subject, read[0].sex, math.isnan(read[0].age)) == ("", "", True)
    (tmp_path / "rejected.csv").write_text("file,reason\nx.png,old\n")
    assert read_rejected(tmp_path)[0].reason == "old"
    (tmp_path / "rejected.csv").write_text("file\nx.png\n")
    with pytest.raises(BadInputError, match=r"rejected\.csv cannot be read"):
        read_rejected(tmp_path)
    write_rejected(tmp_path, [])
    assert read_rejected(tmp_path) == []
    assert not (tmp_path / "rejected.csv").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("file_name,subject,age\na.png,s,5,5\n", "line 2: 4 fields where the header has 3"),
        ("file_name,subject,age\na.png,s\n", "line 2: 2 fields where the header has 3"),
        ("file_name,subject,age,yaw\na.png,s,5,inf\n", "yaw 'inf' is not a finite number"),
        ("file_name,subject,age,quality\na.png,s,5,1e400\n", "quality '1e400' is not a finite number"),
        ("file_name,subject,age\na.png,s,1e30\n", "age 1e+30 is not between 0 and 150"),
        ("file_name,subject,age\n.,s,5\n", "file_name '.' names no file"),
        (f"file_name,subject,age\n{'x' * 5000}.png,s,5\n", "file_name has 5004 characters"),
    ],
)
def test_a_table_that_needs_guessing_is_refused(tmp_path: Path, rows: str, sentence: str) -> None:
    (tmp_path / "metadata.csv").write_text(rows)
    with pytest.raises(BadInputError) as caught:
        read_samples(tmp_path)
    assert sentence in caught.value.message
