"""TensorBoard events hold the numbers of the records they were made of."""

import math
from pathlib import Path
from typing import Any

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.training.tensorboard import check_tensorboard, with_tensorboard


def test_events_hold_the_records(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    check_tensorboard()
    seen: list[dict[str, Any]] = []
    observe = with_tensorboard(tmp_path, seen.append)
    records = [
        {"epoch": 0, "step": 0, "validation": {"eer": 0.25, "garbe": None}},
        {"epoch": 1, "step": 7, "loss": 3.5, "best": True, "validation": {"eer": 0.125, "garbe": 0.5}},
    ]
    for record in records:
        observe(record)
    assert seen == records
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found == {
        "validation/eer": [(0, 0.25), (7, 0.125)],
        "validation/garbe": [(7, 0.5)],
        "train/loss": [(7, 3.5)],
    }
    assert not any(math.isnan(value) for series in found.values() for _, value in series)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [n for n in sys.modules if n.startswith(("tensorboard", "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"frbias\[tensorboard\]"):
        check_tensorboard()
