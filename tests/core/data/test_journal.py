"""Journals: what is written is read, what is damaged is made again, and the quick way reads as the careful one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frbias.core.data import journal, journal_lines
from frbias.core.data.journal import append, read_journal
from frbias.core.data.samples import Rejected, table_of, to_csv_text

Row = dict[str, Any]
GOOD = {"unit": "a", "columns": "file_name,age", "rows": "x.png,5\n", "count": 1, "rejected": "[]"}
BELOW = {"unit": "a", "count": 1, "bytes": 22}
NAMES_LINE = b"file_name,age\n"


def write(out: Path, units: list[tuple[str, list[Row], list[Rejected]]], rank: int = 0) -> None:
    (out / ".journal").mkdir(exist_ok=True)
    with (out / ".journal" / f"rank-{rank}.jsonl").open("ab") as stream:
        stream.write(b"\n")
        for unit, rows, rejected in units:
            append(stream, unit, rows, rejected)
            for row in rows:
                (out / row["file_name"]).parent.mkdir(exist_ok=True)
                (out / row["file_name"]).touch()


def row(name: str, **more: object) -> Row:
    return {"file_name": name, "subject": "s", "age": 5.0, **more}


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 5000,
        b"\xff\x00",
        b'{"unit": "a", "columns": ["file_name"], "rows": [["x.png"]], "rejected": []}',
        *(
            json.dumps({**GOOD, **wrong}).encode()
            for wrong in (
                {"unit": []},
                {"unit": None},
                {"unit": "\ud800"},
                {"columns": 1},
                {"columns": "file_name,\ud800"},
                {"columns": "age,file_name"},
                {"columns": "file_name,file_name"},
                {"columns": "file_name,subject,age"},
                {"columns": ""},
                {"rows": 0.5},
                {"rows": "x.png,5"},
                {"rows": "x.png,5\nx.png,6\n"},
                {"rows": "x.png,old\n"},
                {"rows": "x.png,inf\n"},
                {"rows": 'x.png,"5\n'},
                {"rows": "gone.png,5\n"},
                {"rows": "x\0.png,5\n"},
                {"count": 2},
                {"count": 0},
                {"count": "1"},
                {"rejected": 7},
                {"rejected": "["},
                {"rejected": "[1]"},
                {"rejected": '[{"file": "x"}]'},
            )
        ),
        *(json.dumps({k: v for k, v in GOOD.items() if k != name}).encode() for name in GOOD if name != "rejected"),
        *(
            json.dumps({k: v for k, v in BELOW.items() if k != name}).encode() + b"\n" + NAMES_LINE + b"x.png,5"
            for name in BELOW
        ),
        json.dumps(BELOW).encode(),
        *(
            json.dumps({**BELOW, **wrong}).encode() + b"\n" + NAMES_LINE + below
            for wrong, below in (
                ({}, b""),
                ({}, b"x.png,"),
                ({}, b"x.png,51"),
                ({}, b"x.png,"),
                ({}, b"x,png,5"),
                ({}, b"\nx.png,5"),
                ({}, b"x.png,old"),
                ({}, b"x.png,\xff"),
                ({}, b"gone.png"),
                ({"bytes": 25}, b"gone.png,5"),
                ({"bytes": 23}, b"x.png,5"),
                ({"bytes": "22"}, b"x.png,5"),
                ({"bytes": None}, b"x.png,5"),
                ({"count": 2}, b"x.png,5"),
                ({"count": 0}, b"x.png,5"),
                ({"count": 1e9}, b"x.png,5"),
                ({"count": -1}, b"x.png,5"),
                ({"count": 2, "bytes": 30}, b"x.png,5"),
            )
        ),
        *(
            json.dumps({**BELOW, "bytes": len(names) + 8}).encode() + b"\n" + names + b"x.png,5"
            for names in (b"", b"age,file_name\n", b"file_name,file_name\n", b"file_name,\xff\n", b'file_name,"age\n')
        ),
        json.dumps({"unit": "a", "count": 0, "bytes": 14}).encode() + b"\nfile_name,age",
        json.dumps({**BELOW, "rejected": "[1]"}).encode() + b"\n" + NAMES_LINE + b"x.png,5",
        json.dumps({**BELOW, "more": 1, "rejected": None}).encode() + b"\n" + NAMES_LINE + b"x.png,5",
        b"x.png,5",
    ],
)
def test_a_damaged_line_is_a_unit_that_is_made_again(line: bytes, tmp_path: Path) -> None:
    write(tmp_path, [("before", [row("x.png")], [])])
    with (tmp_path / ".journal" / "rank-0.jsonl").open("ab") as stream:
        stream.write(line + b"\n")
    write(tmp_path, [("u", [row("x.png")], [])])
    found = read_journal(tmp_path)
    assert list(found) == ["before", "u"]
    assert found.frame(["u"])["file_name"].tolist() == ["x.png"]


def test_a_good_line_is_read_the_quick_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [("a", [row("p/1.png", note="x")], []), ("b", [], [Rejected("f", "no face", "s", 3.0, "m")])])
    monkeypatch.setattr(journal_lines, "_looked_at", None)
    found = read_journal(tmp_path)
    assert list(found) == ["a", "b"]
    assert found.rejected("b") == [Rejected("f", "no face", "s", 3.0, "m")]
    assert found.rows(["a", "b"]) == 1


def test_a_unit_with_its_rows_in_its_line_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, [("b", [row("x.png")], [])])
    with (tmp_path / ".journal" / "rank-0.jsonl").open("ab") as stream:
        stream.write(json.dumps(GOOD).encode() + b"\n")
    assert read_journal(tmp_path).frame(["a"]).to_dict("records") == [{"file_name": "x.png", "age": 5.0}]


@pytest.mark.parametrize("name", ["{x.png", "{", 'a"b.png', "a\nb.png", "a\n{b.png", "\r.png"])
def test_a_row_cannot_be_taken_for_a_unit(name: str, tmp_path: Path) -> None:
    units = [("a", [row("1.png"), row(name)], []), ("b", [row("2.png", note=name)], [])]
    write(tmp_path, [*units, ("c", [], [])])
    lines = (tmp_path / ".journal" / "rank-0.jsonl").read_bytes().split(b"\n")
    assert sum(line.startswith(b"{") for line in lines) == 3
    found = read_journal(tmp_path)
    assert list(found) == ["a", "b", "c"]
    assert found.frame(["a", "b"])["file_name"].tolist() == ["1.png", name, "2.png"]


@pytest.mark.parametrize("again", [False, True], ids=["nothing behind", "taken up again"])
def test_wherever_it_was_torn_the_units_before_and_behind_are_there(again: bool, tmp_path: Path) -> None:
    write(tmp_path, [(key, [row(f"{key}1.png"), row(f"{key}2.png", age=57.0)], []) for key in "abc"])
    path = tmp_path / ".journal" / "rank-0.jsonl"
    whole = path.read_bytes()
    second, third = whole.index(b'{"unit": "b"'), whole.index(b'{"unit": "c"')
    for cut in range(second, third + 1):
        path.write_bytes(whole[:cut] + (b"\n" + whole[third:] if again else b""))
        found = read_journal(tmp_path)
        torn = cut < third - 1 if again else cut < third  # what alone is missing is the end of the last row
        assert list(found) == ["a"] + ["b"] * (not torn) + ["c"] * again
        assert found.frame(list(found))["age"].tolist() == [5.0, 57.0] * len(found)


def test_pieces_are_cut_between_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [(f"{k}", [row(f"{k}-{i}.png") for i in range(k)], []) for k in range(9)])
    whole = read_journal(tmp_path).frame([str(k) for k in range(9)])
    monkeypatch.setattr(journal_lines, "_looked_at", None)
    for size in (1, 50, 120, 333):
        monkeypatch.setattr(journal, "_CHUNK", size)
        found = read_journal(tmp_path)
        assert list(found) == [str(k) for k in range(9)]
        assert found.frame(list(found)).equals(whole)


def test_the_last_whole_line_of_a_unit_counts(tmp_path: Path) -> None:
    unread = Rejected("f.jpg", "cannot be read: gone")
    write(tmp_path, [("a", [], [unread]), ("b", [row("b.png")], [])])
    write(tmp_path, [("a", [row("a.png"), row("a2.png")], []), ("b", [row("b.png"), row("b2.png")], [])], rank=1)
    (tmp_path / "b2.png").unlink()
    found = read_journal(tmp_path)
    assert not found.rejected("a")
    assert found.frame(["b", "a"])["file_name"].tolist() == ["b.png", "a.png", "a2.png"]
    assert read_journal(tmp_path / "nothing").frame([]).empty


def test_columns_come_in_the_order_of_the_units_not_of_the_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        [("b", [row("b.png", two=2)], []), ("a", [row("a.png", one=1.5)], []), ("c", [row("c.png", two=None)], [])],
    )
    frame = read_journal(tmp_path).frame(["a", "b", "c"])
    assert list(frame.columns) == ["file_name", "subject", "age", "one", "two"]
    text = to_csv_text(table_of(tmp_path, frame).frame)
    assert text == "file_name,subject,age,one,two\na.png,s,5,1.5,\nb.png,s,5,,2\nc.png,s,5,,\n"


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not finite"):
        write(tmp_path, [("a", [row("a.png", yaw=math.nan)], [])])


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\:."), min_size=1, max_size=5)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES
ROWS = st.fixed_dictionaries(
    {"subject": NAMES, "age": st.none() | st.floats(0, 150)},
    optional={"sex": NAMES, "yaw": st.floats(-90, 90), "x": VALUES},
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ROWS, max_size=3), min_size=1, max_size=4))
def test_rows_are_those_of_the_table_however_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: list[list[Row]]
) -> None:
    (tmp_path / ".journal").mkdir(exist_ok=True)
    rows = [[{"file_name": f"{k}-{i}.png", **one} for i, one in enumerate(unit)] for k, unit in enumerate(units)]
    with (tmp_path / ".journal" / "rank-0.jsonl").open("wb") as stream:
        for number, unit in enumerate(rows):
            append(stream, str(number), unit, [])
    keys = [str(number) for number in range(len(units))]
    with monkeypatch.context() as context:
        context.setattr(journal, "_are_whole", lambda block, there: [True] * len(block.units))
        quick = read_journal(tmp_path)
        context.setattr(journal_lines, "_parsed", journal_lines._looked_at)
        careful = read_journal(tmp_path)
    found = quick.frame(keys)
    assert found.to_csv() == careful.frame(keys).to_csv()
    assert sorted(quick) == sorted(careful) == keys
    assert quick.rows(keys) == len(found) == sum(map(len, rows))
    names = [one["file_name"] for unit in rows for one in unit]
    assert not len(found) or found["file_name"].tolist() == names
