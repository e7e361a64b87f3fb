"""The compiled ways to write and read a table give what the plain ones give, to the byte."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frbias.core.data import samples, table_reading, table_text
from frbias.core.data.samples import NUMBER_COLUMNS, TEXT_COLUMNS, SampleTable, read_samples, write_samples
from frbias.core.data.table_reading import are_harmless_names, read_plain
from frbias.core.data.table_text import cell, csv_blocks
from frbias.core.foundation.errors import BadInputError

NUMBERS = st.floats(allow_infinity=False) | st.integers(-3, 10**15 + 2).map(float)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


def plain_text(frame: pd.DataFrame) -> bytes:
    """As it is defined: every value by itself, then pandas' quoting."""
    return frame.map(cell).to_csv(index=False, lineterminator="\n").encode()


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXTS, NUMBERS, st.none() | TEXTS | st.integers() | st.floats()), max_size=8))
@example([("a,b", 0.1, None), ('"', -0.0, "x\ny"), ("", 1e-5, 3), ("é", 123456.789, float("nan"))])
@example([("a", 1e15, 1e300), ("b", 9007199254740993.0, 5e-324), ("c", -2.5, float("inf"))])
def test_text_is_that_of_single_values(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series([row[0] for row in rows], dtype="str"),
            "number": np.array([row[1] for row in rows], np.float64),
            "any": pd.Series([row[2] for row in rows], dtype=object),
        }
    )
    assert b"".join(csv_blocks(frame)) == plain_text(frame)


def test_blocks_of_rows_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_text, "_ROWS", 7)
    frame = pd.DataFrame({"a": [f"n{k}" for k in range(23)], "b": np.arange(23) / 3})
    assert b"".join(csv_blocks(frame)) == plain_text(frame)


GOOD = "file_name,subject,age,x1,note\na/1.png,p1,5,0.1,\nb/2.png,,,1e-7,7\nc/3.png,p2,12.5,-0.0,x y\n"


def careful(folder: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    with monkeypatch.context() as context:
        context.setattr(samples, "read_plain", lambda *arguments: None)
        return read_samples(folder).frame


def test_reading_is_that_of_the_careful_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text(GOOD)
    assert read_plain(tmp_path / "metadata.csv", TEXT_COLUMNS, NUMBER_COLUMNS) is not None
    pd.testing.assert_frame_equal(read_samples(tmp_path).frame, careful(tmp_path, monkeypatch))
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.random(200) * 10.0 ** rng.integers(-12, 15, 200), [0.1 + 0.2]])
    frame = pd.DataFrame({"file_name": [f"{k}.png" for k in range(201)], "subject": "s", "age": 1.0, "x1": values})
    write_samples(SampleTable(tmp_path, frame))
    again = read_samples(tmp_path).frame
    np.testing.assert_array_equal(again["x1"].to_numpy(), values)
    pd.testing.assert_frame_equal(again, careful(tmp_path, monkeypatch))


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("x y", '"x, y"'),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("subject", " subject"),
        GOOD.rstrip("\n"),
        GOOD.replace("p1,5", "p1, 5"),
        GOOD + "\n",
    ],
)
def test_what_needs_care_is_read_by_the_careful_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "metadata.csv").write_text(text, encoding="utf-8", newline="")
    found = read_samples(tmp_path).frame
    pd.testing.assert_frame_equal(found, careful(tmp_path, monkeypatch))
    assert found["subject"].tolist() == ["p1", "", "p2"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("p2,12.5", "p2,old", "row 4: age 'old' is not a number"),
        ("p2,12.5", "p2,inf", "row 4: age 'inf' is not a finite number"),
        ("p2,12.5", "p2,200", "row 4: age 200 is not between 0 and 150"),
        ("p2,12.5", "p2,12,5", "line 4: 6 fields where the header has 5"),
        ("c/3.png", "a/1.png", "row 4: file_name 'a/1.png' is used twice"),
        ("c/3.png", "../3.png", "row 4: file_name '../3.png' leaves the folder"),
        ("c/3.png", "c:3.png", "row 4: file_name 'c:3.png' leaves the folder"),
        ("c/3.png", "./.", "row 4: file_name './.' names no file"),
        ("c/3.png", "c" * 1001, "row 4: file_name has 1001 characters"),
    ],
)
def test_what_is_wrong_is_said_as_before(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    (tmp_path / "metadata.csv").write_text(GOOD.replace(old, new))
    with pytest.raises(BadInputError) as caught:
        read_samples(tmp_path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("rows", ["", "a/1.png,p1,5\n"])
def test_a_header_that_is_no_text_is_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "metadata.csv").write_bytes(b"file_name,subjec\xb1,age\n" + rows.encode())
    with pytest.raises(BadInputError, match="is not UTF-8 text"):
        read_samples(tmp_path)


def test_names_are_looked_at_whole() -> None:
    assert are_harmless_names(pd.Series(["a/b.png", "a/..c.png"[:3] + "c.png", "ü/1.png"], dtype="str"))
    for wrong in ("/a", "a/../b", "a\\b", "c:d", "", ".", "a" * 1001, "ok.png"):
        assert not are_harmless_names(pd.Series(["ok.png", wrong], dtype="str")), wrong
    assert table_reading.are_harmless_names(pd.Series(["ok.png"], dtype="str"))
