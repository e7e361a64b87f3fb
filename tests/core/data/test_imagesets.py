"""Units of work become files, rows and rejections."""

from pathlib import Path

import numpy as np

from frbias.core.data.imagesets import finish_unit
from frbias.core.data.units import Made, Task, WorkUnit


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
