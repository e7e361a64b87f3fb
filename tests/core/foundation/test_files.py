"""Several files at once: all flushed before any has its name, and nothing left when one of them fails."""

import os
from pathlib import Path

import pytest

from frbias.core.foundation.files import write_all


def test_every_file_is_flushed_before_any_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[list[str]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        there.append([p.name for p in tmp_path.rglob("*.png") if not p.name.startswith(".")])
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    files = [(tmp_path / "a" / f"{k}.png", bytes([k]) * 10) for k in range(20)]
    write_all(files)
    assert there == [[]] * 20
    assert [path.read_bytes() for path, _ in files] == [data for _, data in files]
    assert len(list((tmp_path / "a").iterdir())) == 20
    assert {path.stat().st_mode & 0o777 for path, _ in files} == {0o666 & ~_umask()}


def test_when_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_all([(tmp_path / "x.png", b"x"), (tmp_path / "file" / "y.png", b"y")])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    write_all([])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
