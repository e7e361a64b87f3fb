"""How the bytes of a table get into memory of Arrow's."""

import os
from io import FileIO
from pathlib import Path

import pytest

from frbias.core.data.table_reading import fill, read_plain

TEXT = "file_name,subject,age\na.png,s,5\nb.png,t,\n"
KINDS = frozenset({"file_name", "subject"}), frozenset({"age"})


class Slow(FileIO):
    """Gives three bytes at a time, as file systems may."""

    def readinto(self, room: memoryview, /) -> int:  # type: ignore[override]
        return super().readinto(room[:3]) or 0


@pytest.mark.parametrize("size", [0, 2, 3, 10, 50])
def test_a_file_is_read_until_it_ends_or_the_room_does(size: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(20)))
    room = bytearray(size)
    with Slow(tmp_path / "file") as stream:
        count = fill(memoryview(room), stream)
    assert count == min(size, 20)
    assert room[:count] == bytes(range(count))


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_a_folder_may_have_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    (folder / "metadata.csv").write_text(TEXT)
    frame = read_plain(folder / "metadata.csv", *KINDS)
    assert frame is not None
    assert frame["file_name"].tolist() == ["a.png", "b.png"]


@pytest.mark.parametrize("after", [-1, 0, 1])
def test_an_empty_line_is_seen_where_pieces_meet(after: int, tmp_path: Path) -> None:
    rows = "file_name,subject,age\n" + "a.png,s,5\n" * 100_000
    cut = 2**20 + after
    line = "b" * (cut - len(rows) - len(",s,5\n")) + ",s,5\n"
    for between, plain in (("", True), ("\n", False)):
        (tmp_path / "table.csv").write_text(rows + line + between + "c.png,t,6\n", newline="")
        assert (read_plain(tmp_path / "table.csv", *KINDS) is not None) == plain


@pytest.mark.parametrize("mark", ['"', "\r"])
def test_a_quote_or_a_return_needs_care_wherever_it_is(mark: str, tmp_path: Path) -> None:
    rows = "file_name,subject,age\n" + "a.png,s,5\n" * 120_000
    for place in (30, 2**20 - 1, 2**20, len(rows) - 2):
        (tmp_path / "table.csv").write_text(rows[:place] + mark + rows[place:], newline="")
        assert read_plain(tmp_path / "table.csv", *KINDS) is None
