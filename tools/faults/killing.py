"""SIGKILL at a chosen file operation of a command, in a child process.

The child is forked from this process, which has imported what the commands need, so that one try costs a fraction of
a second. File operations are counted by an audit hook (PEP 578): every open for writing, rename, removal, folder made
or removed, change of mode, and link below the watched folder. The k-th one is never carried out: the child is killed
just before it, which is just after the one before.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = frozenset(
    {
        *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink"),
        *("os.utime", "os.posix_fallocate"),
    }
)
_RELATIVE = frozenset({"os.remove", "os.rmdir"})  # as shutil.rmtree calls them


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Exit code; -9 when it was killed.
        operations: File operations that it began.
        text: Its output and errors.
    """

    code: int
    operations: int
    text: str


def run_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    kill_at: int | None = None,
    watched: Path | None = None,
) -> Ended:
    """Run ``frbias ARGUMENTS`` in ``folder``.

    Args:
        arguments: As on the command line.
        folder: Working folder.
        environment: Variables set for the command.
        kill_at: File operation before which it is killed, from 1; None to let it end.
        watched: Only operations below it count; default: ``folder``.
    """
    log = folder.with_name(folder.name + ".log")
    count_read, count_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(count_read)
            _become(arguments, folder, environment, log, kill_at, watched or folder, count_write)
        finally:
            os._exit(70)
    os.close(count_write)
    with os.fdopen(count_read, "rb") as stream:
        counted = len(stream.read())
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), counted, log.read_text(errors="replace"))


def _become(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    kill_at: int | None,
    watched: Path,
    counter: int,
) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.chdir(folder)
    os.environ.update(environment)
    _count_operations(str(watched.resolve()), kill_at, counter)
    from frbias.cli.app import main

    code = 0
    try:
        main(list(arguments))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _count_operations(watched: str, kill_at: int | None, counter: int) -> None:
    done = 0

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & _WRITES:
                return
        elif event not in _CHANGES:
            return
        relative = event in _RELATIVE and isinstance(arguments[-1], int) and arguments[-1] > 2  # to an open folder
        if not relative and not _is_below(arguments, watched):
            return
        done += 1
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(counter, b".")

    sys.addaudithook(look)


def _is_below(arguments: tuple[Any, ...], watched: str) -> bool:
    for value in arguments[:2]:
        if isinstance(value, bytes):
            value = os.fsdecode(value)
        if isinstance(value, str | os.PathLike) and value:
            path = os.path.abspath(os.fspath(value))
            if path == watched or path.startswith(watched + os.sep):
                return True
    return False


def tree(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Every file and empty folder below ``folder`` with the hash of its content; names in ``leave_out`` are skipped."""
    from frbias.core.foundation.files import sha256_file

    found: dict[str, str] = {}
    for parent, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if name not in leave_out)
        place = Path(parent)
        if not inside and not names:
            found[place.relative_to(folder).as_posix() + "/"] = "folder"
        for name in names:
            if name not in leave_out:
                found[(place / name).relative_to(folder).as_posix()] = sha256_file(place / name)
    return found


def difference(one: Mapping[str, str], two: Mapping[str, str]) -> str:
    """The first difference of two trees; empty when they are the same."""
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            where = "missing" if name not in two else "left over" if name not in one else "different"
            return f"{name} {where}"
    return ""
