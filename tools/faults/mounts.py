"""A small file system of its own for the working folder, where mounting is allowed (root, in a container too)."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@cache
def can_mount() -> bool:
    """Whether a tmpfs can be mounted here."""
    if shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="frbias-faults-") as place:
        try:
            with small_disk(Path(place), "size=64k"):
                return True
        except OSError:
            return False


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """Mount a tmpfs with ``options`` on ``folder``, which is made, while the block runs.

    Raises:
        OSError: It cannot be mounted.
    """
    folder.mkdir(exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", options, "none", str(folder))
    try:
        yield
    finally:
        _call("umount", str(folder))


def change_disk(folder: Path, options: str) -> None:
    """Give a mounted tmpfs other options, e.g. ``ro`` or a larger size."""
    _call("mount", "-o", f"remount,{options}", str(folder))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
