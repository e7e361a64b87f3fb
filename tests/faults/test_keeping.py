"""A run of the fault campaigns goes on where one ended, and says which code its numbers are of."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def faults() -> Iterator[None]:
    sys.path.insert(0, str(ROOT / "tools"))
    yield
    sys.path.remove(str(ROOT / "tools"))


def book_of(path: Path, version: str, **take_up: bool) -> Any:
    from faults.keeping import Book

    book = Book(path, version)
    if take_up:
        book.take_up(**take_up)
    return book


def tries(campaign: str, *losses: str) -> Any:
    from faults.table import Outcome

    found = Outcome(campaign)
    for number, loss in enumerate(losses):
        found = found.plus(str(number), loss, grown=2048 * number)
    return found


def test_what_was_run_is_not_run_again(tmp_path: Path) -> None:
    kept = tmp_path / "faults.json"
    first = book_of(kept, "a")
    first.run("kill: one", (0, 2), lambda: tries("kill: one", "", ""))
    first.run("kill: two", (0, 2), lambda: tries("kill: two", "gone"))

    def never() -> Any:
        raise AssertionError("run again")

    again = book_of(kept, "a", older=False)
    assert again.run("kill: one", (0, 2), never).outcome == tries("kill: one", "", "")
    assert list(again.done) == ["kill: one"]  # what lost something has to be run again
    assert not book_of(kept, "b", older=False).done
    assert list(book_of(kept, "b", older=True).done) == ["kill: one"]
    with pytest.raises(AssertionError, match="run again"):
        again.run("kill: one", (1, 2), never)  # another seed
    assert {one["part"] for one in json.loads(kept.read_text())} == {"kill: one", "kill: two"}


def test_the_table_is_of_everything_that_is_kept(tmp_path: Path) -> None:
    from faults.keeping import printed

    kept = tmp_path / "faults.json"
    old = book_of(kept, "aaaa")
    old.run("disk full: one", (0,), lambda: tries("disk full", "", ""))
    new = book_of(kept, "bbbb", older=True)
    new.run("images", (0,), lambda: tries("images", "", ""))
    new.run("disk full: two", (0,), lambda: tries("disk full", ""))
    text = printed(new.in_order([(name, (0,)) for name in ("disk full: one", "disk full: two", "images", "servers")]))
    assert "| disk full | 3 | 3 | 0 |\n| images | 2 | 2 | 0 |\n| all | 5 | 5 | 0 |" in text
    assert "Memory taken by images, at most: 2 MiB." in text
    assert "Code aaaa: 1 part, 'disk full: one'." in text
    assert "Code bbbb: 2 parts, the first 'disk full: two', the last 'images'." in text


def test_it_ends_at_the_first_loss_and_when_time_is_over(tmp_path: Path) -> None:
    from faults.__main__ import run_parts
    from faults.parts import Part

    ran = []

    def part(name: str, loss: str) -> Any:
        def run() -> Any:
            ran.append(name)
            return tries(name, loss)

        return Part(name, (0,), run)

    every = [part("one", ""), part("two", "gone"), part("three", "")]
    book = book_of(tmp_path / "faults.json", "a")
    assert not run_parts(every, book, go_on=False)
    assert ran == ["one", "two"]
    assert run_parts(every, book_of(tmp_path / "faults.json", "a", older=False), go_on=True)
    assert ran == ["one", "two", "two", "three"]
    assert not run_parts(every, book_of(tmp_path / "none.json", "a"), go_on=True, minutes=1e-9)
    assert ran == ["one", "two", "two", "three"]


def test_every_command_is_killed_and_meets_every_fault() -> None:
    from faults.parts import LONG, SHORT, Bench, parts
    from faults.stages import Inputs, cases
    from faults.surroundings import CAMPAIGNS

    names = {case.name for case in cases(Inputs(Path(), Path()))}
    with Bench() as bench:
        long, short = ({part.name for part in parts(bench, 0, sizes)} for sizes in (LONG, SHORT))
    assert len(long) == len(names) * (1 + len(CAMPAIGNS)) + 8
    assert {f"kill: {name}" for name in names} < short < long
    assert all(any(f"{kind}: {name}" in short for name in names) for kind in CAMPAIGNS)
