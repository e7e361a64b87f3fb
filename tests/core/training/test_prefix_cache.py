"""Builds in the cache of frozen stages: what a killed one left is cleared, what another process builds is not."""

from pathlib import Path

import pytest
from filelock import FileLock

from frbias.core.training import cache


def test_leftovers_go_and_a_build_at_work_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    root = cache.cache_folder()
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
