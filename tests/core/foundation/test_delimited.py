"""Tables that cannot be read without guessing are refused with their line."""

from pathlib import Path

import pytest

from frbias.core.foundation.delimited import read_delimited
from frbias.core.foundation.errors import BadInputError


def test_columns_quotes_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffname, age\r\n"a, b",5\r\n\r\n"two\nlines",6\r\n'.encode())
    found = read_delimited(path)
    assert found.columns == {"name": ["a, b", "two\nlines"], "age": ["5", "6"]}
    assert found.lines == [2, 5]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("score,mated\n0,45,1\n", "line 2: 3 fields where the header has 2; write numbers with a decimal point"),
        ("score,mated\n0.4,1\n0.4\n", "line 3: 1 fields where the header has 2."),
        ("score,mated\n0.4,1,\n", "line 2: 3 fields where the header has 2; the line ends with a comma too many"),
        ("score,mated,\n0.4,1,\n", "line 1: the header ends with a comma"),
        ("score,,mated\n0.4,,1\n", "line 1: the header has no name for column 2"),
        ("score,mated\n0.4;1\n", "it is separated by a semicolon, the header by a comma"),
        ("score,mated\n0.4\t1\n", "it is separated by a tab, the header by a comma"),
        ("score,score\n0.4,1\n", "the column 'score' is there twice"),
        ('score,mated\n"0.4,1\n', "cannot be read as CSV"),
        ("", "has no header"),
    ],
)
def test_what_needs_guessing_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(BadInputError) as caught:
        read_delimited(path)
    assert sentence in caught.value.message
    assert str(path) in caught.value.message


def test_text_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("name\nJosé\n".encode("latin-1"))
    with pytest.raises(BadInputError, match="is not UTF-8"):
        read_delimited(tmp_path / "t.csv")
