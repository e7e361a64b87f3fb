"""Units of work become files, rows and rejections."""

from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from frbias.core.data import imagesets, listing
from frbias.core.data.imagesets import finish_unit, produce
from frbias.core.data.journal_lines import rejection_record
from frbias.core.data.samples import read_samples
from frbias.core.data.units import Made, Task, WorkUnit
from frbias.core.foundation.errors import BadInputError, FrbiasError


def test_what_differs_between_the_tasks_of_a_source_is_not_known_of_the_source(tmp_path: Path) -> None:
    aged = [Task(f"{age}.png", "s", age, {"source_file": "p.jpg", "sex": "f"}) for age in (5.0, 9.0)]
    others = [Task("x.png", "t", float("nan"), {"source_file": "q.jpg"}), Task("y.png", "t", 7.0, {})]
    unit = WorkUnit("u", (*aged, *others), source_file="whole.jpg")
    image = np.zeros((4, 4, 3), np.uint8)
    record = finish_unit(tmp_path, unit, [*[Made(None, reason="no face")] * 3, Made(image)])
    assert [row["file_name"] for row in record["rows"]] == ["y.png"]
    assert [rejection_record(one) for one in record["rejected"]] == [
        {"file": "p.jpg", "reason": "no face", "subject": "s", "age": None, "sex": "f"},
        {"file": "q.jpg", "reason": "no face", "subject": "t", "age": None, "sex": ""},
    ]


class Reads:
    """Makes a picture of every file that is there, and a rejection of every other, as alignment does."""

    parallel: Literal["processes", "batches"] = "batches"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def describe(self) -> dict[str, Any]:
        return {"of": "two files"}

    def plan(self) -> list[WorkUnit]:
        return [WorkUnit(name, (Task(f"{name}.png", name, 5.0),)) for name in ("a", "b")]

    def prepare(self) -> None:
        pass

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        for unit in units:
            there = (self.folder / unit.key).exists()
            image = np.zeros((4, 4, 3), np.uint8) if there else None
            yield [Made(image, reason="" if there else "cannot be read: No such file or directory")]


def test_files_that_come_back_are_read_when_the_work_is_taken_up(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    with pytest.raises(BadInputError, match=r"Not one image could be made; a\.png: cannot be read"):
        produce(Reads(source), out, stage="align", label="reading")
    source.mkdir()
    (source / "a").touch()
    with pytest.raises(BadInputError, match=r"1 of the files vanished meanwhile \(b\.png cannot be read"):
        produce(Reads(source), out, stage="align", label="reading", unchanged=lambda: False)
    (source / "b").touch()
    result = produce(Reads(source), out, stage="align", label="reading")
    assert (result.images, result.rejected) == (2, 0)
    assert len(read_samples(out)) == 2


class Loses(Reads):
    """Both files are there; the picture of the first goes while that of the second is made."""

    def plan(self) -> list[WorkUnit]:
        return [WorkUnit(name, (Task(f"d/{name}.png", name, 5.0),)) for name in ("a", "b")]

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        if units[0].key == "b":
            (self.folder / "d" / "a.png").unlink()
        yield from ([Made(np.zeros((4, 4, 3), np.uint8))] for _ in units)


def test_a_picture_that_goes_meanwhile_is_missed_at_the_end_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the times of folders say that nothing happened since."""
    monkeypatch.setattr(listing, "_SETTLED", -(10**18))
    with pytest.raises(BadInputError, match=r"1 unit unfinished \(first: a\); run the command again"):
        produce(Loses(tmp_path / "out"), tmp_path / "out", stage="align", label="making")
    result = produce(Loses(tmp_path / "out"), tmp_path / "out", stage="align", label="making")
    assert (result.images, result.reused) == (2, 1)


def test_a_worker_that_the_system_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __init__(self, *arguments: object, **options: object) -> None:
            pass

        def submit(self, *arguments: object) -> object:
            raise BrokenProcessPool("terminated abruptly")

        def shutdown(self, **options: object) -> None:
            pass

    class Nothing:
        def prepare(self) -> None:
            pass

    monkeypatch.setattr(imagesets, "ProcessPoolExecutor", Ended)
    with pytest.raises(FrbiasError, match="ended from outside") as caught:
        list(imagesets._in_processes(Nothing(), tmp_path, [WorkUnit("u", ())], 2))  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
