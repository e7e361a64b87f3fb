"""A long scan that is cut off goes on behind the laps that it finished, and ends with the same numbers."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from populations import population

from frbias.core.data.embeddings import Embeddings
from frbias.core.stages.measuring import measure_embeddings
from frbias.core.stages.requests.measuring import MeasureOptions
from frbias.core.verification import evaluation
from frbias.core.verification.groups import group_by_age
from frbias.core.verification.scores import engine, laps
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.scores.laps import Laps

PEOPLE = population(images=2100, subjects=150)


@pytest.fixture(autouse=True)
def short_laps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laps, "LAP", 4)  # of 15 tiles
    monkeypatch.setattr(engine, "LAP", 4)


def compare(root: Path | None, matrix: Any = PEOPLE[0], **options: Any) -> tuple[Comparisons, Laps | None]:
    _, who, ages = PEOPLE
    kept = None if root is None else Laps(root)
    grouping = group_by_age(ages, "0-14,15-39,40+")
    how = {"budget": Budget(0, 0), "threads": 1, "targets": (0.1, 0.01), **options}
    return compare_all(matrix, who, grouping, laps=kept, **how), kept


def same(one: Comparisons, two: Comparisons) -> None:
    np.testing.assert_array_equal(one.mated.score, two.mated.score)
    for name in ("histogram", "sums", "held", "score", "kind", "first", "second"):
        np.testing.assert_array_equal(getattr(one.tally, name), getattr(two.tally, name))
    assert len(one.tally.score) > 1000
    assert (one.mated.score != 0).all()


def test_laps_change_nothing_and_are_cleared(tmp_path: Path) -> None:
    found, kept = compare(tmp_path)
    same(compare(None)[0], found)
    assert len(list(tmp_path.rglob("*.npz"))) == 4
    assert kept is not None
    kept.clear()
    assert not list(tmp_path.rglob("*.npz"))


def test_scans_that_nobody_goes_on_with_are_removed_in_the_end(tmp_path: Path) -> None:
    for name, days in (("given-up", 15), ("cut-off", 13)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000000.npz").write_bytes(b"x")
        long_ago = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (long_ago, long_ago))
    compare(tmp_path)
    assert (tmp_path / "cut-off").is_dir()
    assert not (tmp_path / "given-up").exists()


@pytest.mark.parametrize("damage", ["cut off", "damaged", "gone"])
def test_what_was_done_is_not_done_again(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the fourth lap; then all is there but what was being done, or the second lap cannot be read."""
    counted, original = [], engine.scan

    def watched(*arguments: Any, **options: Any) -> Any:
        if options["tiles"] is not None and len(options["tiles"]) <= 4 and arguments[1].any():
            counted.append(options["tiles"])
            if len(counted) == 4:
                raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(engine, "scan", watched)
    with pytest.raises(KeyboardInterrupt):
        compare(tmp_path)
    files = sorted(tmp_path.rglob("*.npz"))
    assert len(files) == 3
    if damage == "damaged":
        files[1].write_bytes(files[1].read_bytes()[:1000])
    elif damage == "gone":
        files[1].unlink()
    counted[:] = [[]] * 10
    found, _ = compare(tmp_path)
    assert len(counted) - 10 == (1 if damage == "cut off" else 3)
    same(compare(None)[0], found)


def test_other_embeddings_or_bins_are_another_scan(tmp_path: Path) -> None:
    compare(tmp_path)
    other = PEOPLE[0].copy()
    other[7] *= -1
    compare(tmp_path, other)
    compare(tmp_path, targets=(0.1, 0.02))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("ends", [True, False])
def test_a_measurement_keeps_its_laps_until_it_is_done(
    ends: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, who, ages = PEOPLE
    frame = pd.DataFrame(
        {"file_name": [f"{k}.png" for k in range(len(who))], "subject": who.astype(str), "age": ages, "sex": ""}
    )
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    kept: list[int] = []

    def evaluated(*arguments: Any, **options: Any) -> Any:
        kept.append(len(list((tmp_path / "cache" / "scans").rglob("*.npz"))))
        if not ends:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    original = evaluation.evaluate
    monkeypatch.setattr(evaluation, "evaluate", evaluated)
    options = MeasureOptions(groups="0-14,15-39,40+", at_fmr=(0.1,), bootstrap=0)
    if ends:
        measure_embeddings(Embeddings(frame, matrix, {}), options, name="x")
    else:
        with pytest.raises(KeyboardInterrupt):
            measure_embeddings(Embeddings(frame, matrix, {}), options, name="x")
    assert kept == [4]
    assert len(list(tmp_path.rglob("*.npz"))) == (0 if ends else 4)
