"""The cache: made once, by one process at a time, bounded, private."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from frbias.core.foundation.cache import Cache, cache_limit
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.provenance import claim_folder


def fill(cache: Cache, key: str, size: int, used: float | None = None) -> Path:
    with cache.using("aligned", key) as folder:
        claim_folder(folder, stage="align", arguments={"key": key}).finish({})
        (folder / "data").write_bytes(b"x" * size)
    if used is not None:
        os.utime(cache.root / "locks" / f"aligned-{key}", (used, used))
    return cache.place("aligned", key)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=35_000)
    now = time.time()
    strange = tmp_path / "cache" / "prefix" / "x"  # of somebody else
    strange.mkdir(parents=True)
    (strange / "data").write_bytes(b"x" * 50_000)
    old, middle, new = (fill(cache, k, 10_000, now - age) for k, age in (("a", 300), ("b", 200), ("c", 100)))
    with cache.using("aligned", "a"):
        pass  # a hit: no longer the oldest
    assert [e.key for e in cache.entries()] == ["a", "c", "b"]
    latest = fill(cache, "d", 10_000)
    assert [old.exists(), middle.exists(), new.exists(), latest.exists()] == [True, False, True, True]
    assert not list(cache.root.rglob(".gone-*"))
    assert (strange / "data").exists()


def test_only_the_owner_can_look(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    fill(cache, "a", 10)
    for folder in (cache.root, cache.root / "aligned", cache.root / "locks"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_what_is_in_use_is_not_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    fill(cache, "a", 10)
    fill(cache, "b", 10)
    with cache.using("aligned", "a"):
        assert [e.key for e in cache.clear()] == ["b"]
    assert [e.key for e in cache.clear("embeddings")] == []
    assert [e.key for e in cache.clear("aligned")] == ["a"]
    assert cache.entries() == []


def _count(root: Path, rounds: int) -> None:
    cache = Cache(root)
    for _ in range(rounds):
        with cache.using("aligned", "n") as folder:
            folder.mkdir(exist_ok=True)
            file = folder / "count"
            before = int(file.read_text()) if file.exists() else 0
            time.sleep(0.002)
            file.write_text(str(before + 1))


def test_two_processes_take_turns(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_count, args=(tmp_path / "cache", 20)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
        assert process.exitcode == 0
    assert (Cache(tmp_path / "cache").place("aligned", "n") / "count").read_text() == "40"


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [cache_limit(t) for t in ("0", "500M", "1.5 GiB", "2tb")] == [0, 500 * 1024**2, 3 * 2**29, 2 * 1024**4]
    monkeypatch.setenv("FRBIAS_CACHE_SIZE", "7G")
    assert cache_limit() == 7 * 1024**3
    monkeypatch.setenv("FRBIAS_CACHE_SIZE", "much")
    with pytest.raises(UsageError, match="FRBIAS_CACHE_SIZE='much' is no size"):
        cache_limit()
