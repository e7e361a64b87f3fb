"""Hashes of files are those of their bytes, and are kept for files that have not changed."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from frbias.core.data import file_hashes as module
from frbias.core.data.file_hashes import MISSING, UNREADABLE, file_hashes

NAMES = ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_SETTLED", 20_000_000)
    for number, name in enumerate(NAMES[:3]):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(bytes([number]) * 100)
    time.sleep(0.05)
    return tmp_path / "set"


def expected(root: Path) -> list[str]:
    paths = [root / name for name in NAMES]
    return [hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else MISSING for p in paths]


def test_unchanged_files_are_not_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: str) -> str:
        read.append(Path(path).name)
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    monkeypatch.setattr(module, "sha256_file", counted)
    assert file_hashes(root, NAMES) == expected(root)
    assert sorted(read) == ["1.png", "2.png", "3.png"]
    read.clear()
    assert file_hashes(root, NAMES) == expected(root)
    assert read == []
    assert file_hashes(root, NAMES[::-1]) == expected(root)[::-1]
    (root / "a/2.png").write_bytes(bytes([9]) * 100)  # as long as before
    (root / "b/4.png").write_bytes(b"new")
    time.sleep(0.05)
    assert file_hashes(root, NAMES) == expected(root)
    assert sorted(read) == ["2.png", "4.png"]
    (root / "b/3.png").unlink()
    assert file_hashes(root, NAMES)[2] == MISSING


def test_a_change_that_puts_the_time_back_is_noticed(root: Path) -> None:
    file_hashes(root, NAMES)
    before = (root / "a/1.png").stat()
    (root / "a/1.png").write_bytes(bytes([7]) * 100)
    os.utime(root / "a/1.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_hashes(root, NAMES) == expected(root)


def test_files_written_just_now_are_not_trusted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED", 10**12)
    file_hashes(root, NAMES)
    assert not module._place(root).exists()


def test_a_broken_store_is_made_anew(root: Path) -> None:
    file_hashes(root, NAMES)
    module._place(root).write_bytes(b"no parquet")
    assert file_hashes(root, NAMES) == expected(root)


def test_no_bit_of_the_store_that_falls_over_is_believed(root: Path) -> None:
    file_hashes(root, NAMES)
    store = module._place(root)
    whole = store.read_bytes()
    for place in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        store.write_bytes(damaged)
        assert file_hashes(root, NAMES) == expected(root), place


def test_what_a_killed_process_left_half_written_is_cleared_after_an_hour(root: Path) -> None:
    folder = root.parent / "home" / "cache" / "hashes"
    folder.mkdir(parents=True)
    old, new = folder / ".frbias-tmp-1.parquet", folder / ".frbias-tmp-2.parquet"  # the new one may be at work
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    file_hashes(root, NAMES)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_file_that_cannot_be_read_is_one_among_others(
    number: int, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads whatever it likes, so rights alone cannot test this."""
    whole = expected(root)

    def guarded(path: str) -> str:
        if path.endswith("a/2.png"):
            raise OSError(number, os.strerror(number), path)
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    with monkeypatch.context() as patch:
        patch.setattr(module, "sha256_file", guarded)
        if number == errno.EMFILE:  # a fault of the machine
            with pytest.raises(OSError, match="Too many open files"):
                file_hashes(root, NAMES)
        else:
            assert file_hashes(root, NAMES) == [whole[0], UNREADABLE, *whole[2:]]
    assert file_hashes(root, NAMES) == whole  # it was not remembered
