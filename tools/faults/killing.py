"""Commands in forked children, in which something happens at a chosen file operation: SIGKILL, an error, a removal.

A child is forked from this process, which has imported what the commands need, so that one try costs a fraction of a
second. File operations are counted by an audit hook (PEP 578): every open for writing, rename, removal, folder made
or removed, change of mode, and link below the watched folder. What is to happen at the k-th one happens just before
it, which is just after the one before.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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
LIMIT = 900.0
Before = Callable[[int], None]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Exit code; the negative number of a signal that ended it.
        operations: File operations that it began.
        text: Its output and errors.
        peak: KiB of memory that it held at most.
        late: Whether it was ended because its time was over.
    """

    code: int
    operations: int
    text: str
    peak: int = 0
    late: bool = False


@dataclass
class Running:
    """A command at work.

    Attributes:
        process: Its number; it leads a group of its own.
        counter: From here comes a byte for each file operation.
        log: File with its output.
    """

    process: int
    counter: int
    log: Path

    def kill(self) -> None:
        """SIGKILL to it and the processes it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)

    def wait(self, limit: float = LIMIT) -> Ended:
        """Wait for its end, ``limit`` seconds at most."""
        until, counted, late = time.monotonic() + limit, 0, False
        while True:
            ready, _, _ = select.select([self.counter], [], [], max(until - time.monotonic(), 0))
            if not ready and not late:
                late = True
                self.kill()
                until = time.monotonic() + 30
                continue
            found = os.read(self.counter, 65536) if ready else b""
            if not found:
                break
            counted += len(found)
        os.close(self.counter)
        _, status, usage = os.wait4(self.process, 0)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return Ended(os.waitstatus_to_exitcode(status), counted, text, usage.ru_maxrss, late)


def start_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    before: Before | None = None,
    enter: Callable[[], None] | None = None,
    watched: Path | None = None,
    label: str = "",
) -> Running:
    """Start ``frbias ARGUMENTS`` in ``folder``.

    Args:
        arguments: As on the command line.
        folder: Working folder.
        environment: Variables set for the command.
        before: Called with the number, from 1, of a file operation that is about to be done; may raise in its place.
        enter: Called in the child before the command.
        watched: Only operations below it count; default: ``folder``.
        label: Ending of the log's name, where several run at once.
    """
    log = folder.with_name(f"{folder.name}{label}.log")
    count_read, count_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            os.close(count_read)
            _become(arguments, folder, environment, log, before, enter, watched or folder, count_write)
        except BaseException as error:
            print(f"{type(error).__name__} outside of the command: {error}", flush=True)
        finally:
            os._exit(70)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    os.close(count_write)
    return Running(child, count_read, log)


def run_command(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    kill_at: int | None = None,
    before: Before | None = None,
    enter: Callable[[], None] | None = None,
    limit: float = LIMIT,
) -> Ended:
    """Run ``frbias ARGUMENTS`` in ``folder`` to its end; ``kill_at``: the operation before which it is killed."""

    def kill(number: int) -> None:
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    chosen = before if kill_at is None else kill
    return start_command(arguments, folder, environment=environment, before=chosen, enter=enter).wait(limit)


def _become(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    before: Before | None,
    enter: Callable[[], None] | None,
    watched: Path,
    counter: int,
) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.chdir(folder)
    os.environ.update(environment)
    place = str(watched.resolve())
    from frbias.cli.app import main

    if enter is not None:
        enter()
    _count_operations(place, before, counter)
    code = 0
    try:
        main(list(arguments))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _count_operations(watched: str, before: Before | None, counter: int) -> None:
    done, busy, owner = 0, False, os.getpid()

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done, busy
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & _WRITES:
                return
        elif event not in _CHANGES:
            return
        relative = event in _RELATIVE and isinstance(arguments[-1], int) and arguments[-1] > 2  # to an open folder
        if busy or os.getpid() != owner or (not relative and not _is_below(arguments, watched)):
            return
        done += 1
        busy = True
        try:
            if before is not None:
                before(done)
        finally:
            busy = False
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


def no_sentence(ended: Ended, codes: Sequence[int] = (1, 2, 3)) -> str:
    """Why the end of a command that could not do its work is none that a user can make sense of; empty when it is."""
    if ended.late:
        return "it did not end"
    if ended.code not in codes:
        return f"it ended with {ended.code}: {ended.text[-400:]}"
    if "Unexpected" in ended.text or "Traceback" in ended.text or "frbias" not in ended.text:
        return f"it said no sentence: {ended.text[-400:]}"
    return ""
