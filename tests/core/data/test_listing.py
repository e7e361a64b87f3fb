"""Files of folders that nobody has changed are known to be there; every other folder is listed."""

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frbias.core.data import listing
from frbias.core.data.listing import Listing, folders_of

PART = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), max_size=4)


def array(names: list[str]) -> pa.Array:
    return pa.array(names, pa.large_string())


def looked_up(there: Listing, names: list[str]) -> np.ndarray:
    return there.of(array(names), folders_of(array(names)))


@given(st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join)))
def test_folders_of_names(names: list[str]) -> None:
    assert folders_of(array(names)) == {name[: name.rfind("/") + 1] for name in names}


def test_a_part_of_an_array_has_its_own_folders() -> None:
    assert folders_of(array(["a/1", "bb/2", "bb/3", "4"])[1:3]) == {"bb/"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1", "a/2", "b/c/3", "4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


NAMES = ["a/1", "a/2", "b/c/3", "4", "a/gone", "gone/1", "x\0/1"]


def test_without_a_time_everything_is_listed(root: Path) -> None:
    assert looked_up(Listing(root), NAMES).tolist() == [True] * 4 + [False] * 3
    assert looked_up(Listing(root), NAMES[:4]).all()
    assert looked_up(Listing(root), []).tolist() == []


def test_what_was_changed_later_is_listed(root: Path) -> None:
    """``a`` loses a file after the time; ``b/c`` does not, and is not listed, which is seen by a file that never was."""
    last = max(os.stat(root / folder).st_ctime_ns for folder in ("a", "b/c", "."))
    time.sleep(0.05)
    (root / "a" / "1").unlink()
    found = looked_up(Listing(root, last + listing._SETTLED + 1), [*NAMES, "b/c/never"])
    assert found.tolist() == [False, True, True, True, False, False, False, True]


def test_two_seconds_before_is_too_late(root: Path) -> None:
    last = max(os.stat(root / folder).st_ctime_ns for folder in ("a", "b/c", "."))
    assert looked_up(Listing(root, last + listing._SETTLED), ["b/c/never"]).tolist() == [
        os.stat(root / "b/c").st_ctime_ns < last
    ]
    assert not looked_up(Listing(root, last), ["b/c/never"]).any()


def test_where_folders_have_no_such_time_all_are_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_HAS_TIMES", False)
    assert looked_up(Listing(root, time.time_ns() + 10**10), NAMES).tolist() == [True] * 4 + [False] * 3


def test_an_unchanged_folder_costs_no_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing.os, "listdir", None)
    there = Listing(root, time.time_ns() + 10**10)
    assert np.array_equal(looked_up(there, ["a/1", "b/c/3"]), [True, True])
