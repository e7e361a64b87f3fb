"""Batches that are decoded ahead are those of decoding one image after the other."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.feeding import face_batches
from frbias.core.data.images import write_png
from frbias.core.foundation.ahead import done_ahead


def write_faces(root: Path, count: int) -> tuple[list[Path], np.ndarray]:
    faces = np.random.default_rng(0).integers(0, 256, (count, 8, 6, 3), dtype=np.uint8)
    paths = [root / f"{k:03d}.png" for k in range(count)]
    for path, face in zip(paths, faces, strict=True):
        write_png(path, face)
    return paths, faces


@pytest.mark.parametrize("batch", [1, 7, 16, 50, 64])
@pytest.mark.parametrize("threads", [1, 4])
def test_batches_are_those_of_one_after_the_other(tmp_path: Path, batch: int, threads: int) -> None:
    paths, faces = write_faces(tmp_path, 50)
    write_png(paths[20], np.zeros((9, 6, 3), np.uint8))
    paths[33].write_bytes(b"")
    faces[[20, 33]] = 0
    given = [(b.faces.copy(), b.reasons) for b in face_batches(paths, (8, 6), batch, threads=threads)]
    np.testing.assert_array_equal(np.concatenate([f for f, _ in given]), faces)
    assert [len(f) for f, _ in given] == [min(batch, 50 - k) for k in range(0, 50, batch)]
    reasons = [reason for _, some in given for reason in some]
    assert {k: r for k, r in enumerate(reasons) if r} == {20: "is 6x9, not 6x8", 33: "is empty (0 bytes)"}


def test_nothing_gives_no_batches() -> None:
    assert list(face_batches([], (8, 6), 4, threads=2)) == []


def test_what_is_next_is_under_way_while_one_is_used() -> None:
    begun: list[int] = []

    def items() -> Iterator[tuple[int, list[Callable[[], int]]]]:
        for number in range(6):
            begun.append(number)
            yield number, [lambda number=number: number * 10]

    found = done_ahead(items(), threads=2, depth=2)
    assert next(found) == (0, [0])
    assert begun == [0, 1]
    assert next(found) == (1, [10])
    assert begun == [0, 1, 2]
    assert [item for item, _ in found] == [2, 3, 4, 5]


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    slow = ((k, [lambda: time.sleep(0.01)] * 3) for k in range(1000))
    found = done_ahead(slow, threads=4, depth=8)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_of_a_piece_is_the_callers() -> None:
    def broken() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(done_ahead([(0, [broken])], threads=1, depth=1))
