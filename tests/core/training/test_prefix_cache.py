"""Builds in the cache of frozen stages: what a killed one left is cleared, what another process builds is not."""

from pathlib import Path

import pytest
from filelock import FileLock

from frbias.core.assets import prefixes
from frbias.core.foundation.errors import UsageError
from frbias.core.training import cache
from frbias.core.training.options import FinetuneOptions


def test_leftovers_go_and_a_build_at_work_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    root = prefixes.prefix_folder()
    left, busy, work, done = (root / name for name in ("a.1", "b.1", "c.2", "c"))
    for folder in (left, busy):
        folder.mkdir(parents=True)
        (folder / "features.bin").write_bytes(b"0")
    with FileLock(busy / ".lock"):
        held = cache._begin(work, 10)
        assert not left.exists()
        assert (busy / "features.bin").exists()
        assert (work / "features.bin").stat().st_size == 10
        cache._end(work, done, held)
        assert [path.name for path in done.iterdir()] == ["features.bin"]
    cache._begin(root / "d.2", 10)
    assert not busy.exists()


def test_without_room_it_says_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Prefix:
        stages, live = ("stem",), False

        def shape(self) -> tuple[int, ...]:
            return 64, 10, 10

    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_free_bytes", lambda folder: 2**30)
    with pytest.raises(UsageError, match=r"needs 125 kB in .*; beside 1 GB to spare it has 0 B\."):
        cache.decide(FinetuneOptions(cache="on"), Prefix(), kept=10, uncached=100)  # type: ignore[arg-type]
    assert cache.decide(FinetuneOptions(), Prefix(), kept=10, uncached=100).reason == "the disk has room for 0 B"  # type: ignore[arg-type]


def test_an_entry_knows_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    entry = prefixes.prefix_folder() / "abc"
    building = entry.with_name("abc.1")
    for folder in (entry, building):
        folder.mkdir(parents=True)
        (folder / "features.bin").write_bytes(b"0123456789")
        prefixes.finish_entry(folder, {"shape": [5, 2]})
    assert prefixes.entries() == [entry]
    assert prefixes.is_entry(entry, (5, 2), 10)
    assert not prefixes.is_entry(entry, (2, 5), 10)
    assert prefixes.problem_of(entry) == ""
    (entry / "features.bin").write_bytes(b"012345678!")
    assert prefixes.is_entry(entry, (5, 2), 10)  # what is asked before each use reads no gigabytes
    assert prefixes.problem_of(entry) == "features.bin has another content than when it was made"
    (entry / "features.bin").write_bytes(b"0123")
    assert prefixes.problem_of(entry) == "features.bin has 4 of 10 bytes"
    (entry / "features.bin").unlink()
    assert prefixes.problem_of(entry) == "features.bin is missing"
    assert not prefixes.is_entry(entry, (5, 2), 10)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", "[" * 50_000, '{"shape": 3}'], ids=lambda t: t[:6])
def test_a_damaged_record_is_no_entry(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    entry = prefixes.prefix_folder() / "abc"
    entry.mkdir(parents=True)
    (entry / "features.bin").write_bytes(b"0123456789")
    (entry / "entry.json").write_text(text)
    assert not prefixes.is_entry(entry, (5, 2), 10)
    assert prefixes.problem_of(entry) == "entry.json is damaged"
