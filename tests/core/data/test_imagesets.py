"""Units of work become files, rows and rejections."""

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data import imagesets
from frbias.core.data.imagesets import finish_unit
from frbias.core.data.units import Made, Task, WorkUnit
from frbias.core.foundation.errors import FrbiasError


def test_what_differs_between_the_tasks_of_a_source_is_not_known_of_the_source(tmp_path: Path) -> None:
    aged = [Task(f"{age}.png", "s", age, {"source_file": "p.jpg", "sex": "f"}) for age in (5.0, 9.0)]
    others = [Task("x.png", "t", float("nan"), {"source_file": "q.jpg"}), Task("y.png", "t", 7.0, {})]
    unit = WorkUnit("u", (*aged, *others), source_file="whole.jpg")
    image = np.zeros((4, 4, 3), np.uint8)
    record = finish_unit(tmp_path, unit, [*[Made(None, reason="no face")] * 3, Made(image)])
    assert [row["file_name"] for row in record["rows"]] == ["y.png"]
    assert record["rejected"] == [
        {"file": "p.jpg", "reason": "no face", "subject": "s", "age": None, "sex": "f"},
        {"file": "q.jpg", "reason": "no face", "subject": "t", "age": None, "sex": ""},
    ]


def test_a_worker_that_the_system_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __init__(self, *arguments: object, **options: object) -> None:
            pass

        def map(self, *arguments: object) -> object:
            raise BrokenProcessPool("terminated abruptly")

        def shutdown(self, **options: object) -> None:
            pass

    class Nothing:
        def prepare(self) -> None:
            pass

    monkeypatch.setattr(imagesets, "ProcessPoolExecutor", Ended)
    with pytest.raises(FrbiasError, match="ended from outside") as caught:
        list(imagesets._in_processes(Nothing(), tmp_path, [], 2))  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
