"""Units of work become files, rows and rejections."""

import threading
import time
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
            picture = self.folder / "d" / "a.png"
            while not picture.exists():  # it is written while this is made
                time.sleep(0.001)
            picture.unlink()
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


class Device:
    """Makes two pictures a unit, two units a batch, each of which takes its time."""

    parallel: Literal["processes", "batches"] = "batches"

    def __init__(self, takes: float = 0.0, fails_at: int = 99, units: int = 12) -> None:
        self.takes, self.fails_at, self.units, self.made = takes, fails_at, units, list[str]()

    def describe(self) -> dict[str, Any]:
        return {"of": "a device"}

    def plan(self) -> list[WorkUnit]:
        tasks = [[Task(f"s{k % 3}/{k}_{n}.png", f"s{k % 3}", 5.0) for n in (0, 1)] for k in range(self.units)]
        return [WorkUnit(f"{k:02d}", tuple(some)) for k, some in enumerate(tasks)]

    def prepare(self) -> None:
        pass

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        time.sleep(self.takes)
        for unit in units:
            if int(unit.key) == self.fails_at:
                raise MemoryError("of the device")
            self.made.append(unit.key)
            yield [Made(np.full((4, 4, 3), int(unit.key) * 2 + n, np.uint8)) for n in (0, 1)]


def _files(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_pictures_are_encoded_and_written_while_the_device_makes_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both take is longer than what passes: six batches of 40 ms beside twelve units of 20 ms, for one thread."""
    produce(Device(), tmp_path / "quick", stage="generate", label="making", batch_size=2)
    sound, write, taken = imagesets.encode_png, imagesets.finish_unit, list[float]()

    def slowly(image: Any) -> bytes:
        time.sleep(0.01)
        return sound(image)

    def timed(*arguments: Any) -> Any:
        began = time.monotonic()
        record = write(*arguments)
        taken.append(time.monotonic() - began)
        return record

    monkeypatch.setattr(imagesets, "encode_png", slowly)
    monkeypatch.setattr(imagesets, "finish_unit", timed)
    monkeypatch.setattr(imagesets, "usable_cores", lambda: 1)
    device = Device(takes=0.04)
    began = time.monotonic()
    records = list(imagesets._in_batches(device, tmp_path / "slow", device.plan(), 2))
    assert time.monotonic() - began < 0.9 * (6 * 0.04 + sum(taken))
    assert [record["unit"] for record in records] == [unit.key for unit in device.plan()]
    at_once = _files(tmp_path / "quick")
    pictures = {name: data for name, data in at_once.items() if name.endswith(".png")}
    assert _files(tmp_path / "slow") == pictures


def test_no_more_than_a_batch_waits_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go, device = threading.Event(), Device()
    monkeypatch.setattr(imagesets, "encode_png", lambda image: b"x" if go.wait(10) else b"")
    monkeypatch.setattr(imagesets, "usable_cores", lambda: 1)
    threading.Timer(0.1, go.set).start()
    pieces = imagesets._in_batches(device, tmp_path, device.plan(), 4)
    next(pieces)
    assert go.is_set()
    assert device.made[:5] == [f"{k:02d}" for k in range(5)]
    assert len(device.made) == 5
    pieces.close()  # type: ignore[attr-defined]
    assert len(device.made) == 5


def test_what_was_made_before_a_failure_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    failing, after = Device(fails_at=7), Device()
    with pytest.raises(MemoryError, match="of the device"):
        produce(failing, tmp_path / "out", stage="generate", label="making", batch_size=4)
    assert produce(after, tmp_path / "out", stage="generate", label="making", batch_size=4).reused == 14
    assert after.made == ["07", "08", "09", "10", "11"]
    produce(Device(), tmp_path / "at-once", stage="generate", label="making", batch_size=12)
    assert _files(tmp_path / "out") == _files(tmp_path / "at-once")


def test_a_picture_that_cannot_be_written_is_told_and_the_ones_before_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, full = imagesets.write_all, OSError(28, "No space left on device", "04_0.png")

    def write(files: Any) -> None:
        if any(path.name == "4_0.png" for path, _ in files):
            raise full
        sound(files)

    monkeypatch.setattr(imagesets, "write_all", write)
    with pytest.raises(OSError, match="No space left"):
        produce(Device(), tmp_path, stage="generate", label="making", batch_size=3)
    monkeypatch.undo()
    again = Device()
    assert produce(again, tmp_path, stage="generate", label="making", batch_size=3).reused == 8
    assert again.made[0] == "04"
