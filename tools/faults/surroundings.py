"""Campaigns: the machine does not do its part. Each command has to say so in a sentence and to go on afterwards.

Every campaign is a function from a command and a seed to (fault, what was lost); :data:`CAMPAIGNS` lists them.
"""

import errno
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.killing import Before, Ended, no_sentence, start_command
from faults.mounts import can_mount, change_disk, small_disk
from faults.place import Ready

Tries = Iterator[tuple[str, str]]
_NOBODY = 65534


def _after(ready: Ready, ended: Ended) -> str:
    """What was lost by a fault that is over now."""
    if ended.code == 0:  # what could not be cleared away is, the next time
        return ready.difference() and ready.again()
    said = no_sentence(ended)
    return said or ready.again()


def _fails(number: int, first: int) -> Before:
    def before(operation: int) -> None:
        if operation >= first:
            raise OSError(number, os.strerror(number), str(Path.cwd() / "out"))

    return before


def full_disk_at_an_operation(ready: Ready, seed: int, count: int) -> Tries:
    """From one file operation on, each fails with ENOSPC."""
    yield from _failing(ready, seed, count, (errno.ENOSPC,))


def failing_device(ready: Ready, seed: int, count: int) -> Tries:
    """From one file operation on, each fails: read-only, not permitted, broken, over quota."""
    yield from _failing(ready, seed, count, (errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT))


def _failing(ready: Ready, seed: int, count: int, numbers: tuple[int, ...]) -> Tries:
    chance = random.Random(seed)
    for index in range(count):
        first, number = chance.randint(1, ready.operations), numbers[index % len(numbers)]
        ready.place.fresh()
        ended = ready.run(before=_fails(number, first))
        yield f"{errno.errorcode[number]} from operation {first} of {ready.operations}", _after(ready, ended)


def full_disk(ready: Ready, seed: int, count: int) -> Tries:
    """The working folder is a tmpfs that is too small, in bytes or in files."""
    if not can_mount():
        return
    chance = random.Random(seed)
    start, end = _size(ready.place.before), _size_of(ready)
    for index in range(count):
        few = index % 4 == 3
        room = chance.randint(start // 4096 + 3, max(end // 4096, start // 4096 + 4)) * 4096
        files = chance.randint(4, max(len(ready.wanted), 5)) + _files(ready.place.before)
        options = f"size=4g,nr_inodes={files}" if few else f"size={room}"
        shutil.rmtree(ready.work, ignore_errors=True)
        with small_disk(ready.work, "size=4g"):
            ready.place.fill()
            change_disk(ready.work, options)
            ended = ready.run()
            change_disk(ready.work, "size=4g,nr_inodes=100000")
            loss = _after(ready, ended)
        yield options, loss


def read_only_tree(ready: Ready, seed: int, count: int) -> Tries:
    """The working folder can only be read: nothing is changed, and a sentence says why."""
    if not can_mount():
        return
    for _ in range(min(count, 1)):
        shutil.rmtree(ready.work, ignore_errors=True)
        with small_disk(ready.work, "size=4g"):
            ready.place.fill()
            change_disk(ready.work, "ro")
            ended = ready.run()
            change_disk(ready.work, "rw")
            loss = "it was done on a read-only disk" if ended.code == 0 else _after(ready, ended)
        yield "ro", loss


def no_permission(ready: Ready, seed: int, count: int) -> Tries:
    """The working folder belongs to somebody else."""
    for _ in range(min(count, 1)):
        work = ready.place.fresh()
        if os.getuid() == 0:
            ended = ready.run(enter=lambda: os.setuid(_NOBODY))
        else:
            work.chmod(0o500)
            (work / "home").chmod(0o500)
            ended = ready.run()
            work.chmod(0o755)
            (work / "home").chmod(0o700)
        yield "somebody else's", "it was done without permission" if ended.code == 0 else _after(ready, ended)


def no_temporary_folder(ready: Ready, seed: int, count: int) -> Tries:
    """There is no folder for temporary files but the working folder itself."""

    def enter() -> None:
        tempfile.tempdir = None
        os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "/nonexistent"))
        tempfile._candidate_tempdir_list = lambda: ["/nonexistent"]  # type: ignore[attr-defined]

    for _ in range(min(count, 1)):
        ready.place.fresh()
        yield "TMPDIR=/nonexistent", _after(ready, ready.run(enter=enter))


def vanishing_inputs(ready: Ready, seed: int, count: int) -> Tries:
    """Everything that the command reads is gone from one file operation on."""
    chance, inputs = random.Random(seed), ready.place.inputs.root
    away = inputs.with_name("away")
    for _ in range(count):
        point = chance.randint(1, ready.operations)
        ready.place.fresh()

        def before(operation: int, point: int = point) -> None:
            if operation == point:
                inputs.rename(away)

        ended = ready.run(before=before)
        if away.exists():
            away.rename(inputs)
        loss = _after(ready, ended)
        if ended.code == 0 and loss and _all_listed(ready):
            loss = ""
        yield f"inputs gone before operation {point} of {ready.operations}", loss


def _all_listed(ready: Ready) -> bool:
    """Whether what is missing in the result is listed with a reason."""
    listed = "".join(path.read_text(encoding="utf-8") for path in ready.work.rglob("rejected.csv"))
    return "cannot be read" in listed or "does not exist" in listed or "vanished" in listed


def vanishing_outputs(ready: Ready, seed: int, count: int) -> Tries:
    """The output folder is removed at a file operation."""
    chance = random.Random(seed)
    target = "out" if "out" in ready.case.arguments else "home/models" if "models" in ready.case.arguments else ""
    target = target or "home/datasets"
    for _ in range(count):
        point = chance.randint(1, ready.operations)
        ready.place.fresh()

        def before(operation: int, point: int = point) -> None:
            if operation == point:
                shutil.rmtree(ready.work / target, ignore_errors=True)

        ended = ready.run(before=before)
        loss = no_sentence(ended, (0, 1, 2, 3)) if ended.code else ""
        loss = loss or ready.again()
        if loss == f"{target}/ missing":  # an empty folder, which was removed here
            loss = ""
        yield f"{target} removed before operation {point} of {ready.operations}", loss


def clock(ready: Ready, seed: int, count: int) -> Tries:
    """The clock stands in the past, or every file comes from the future."""
    for index in range(min(count, 2)):
        now = (86400.0, 4e9)[index]
        work = ready.place.fresh()
        for path in work.rglob("*"):
            os.utime(path, (5e9 - now, 5e9 - now), follow_symlinks=False)

        def enter(now: float = now) -> None:
            time.time = lambda: now
            time.time_ns = lambda: int(now * 1e9)

        ended = ready.run(enter=enter)
        yield f"clock at {now:.0f}", _after(ready, ended)


def two_processes(ready: Ready, seed: int, count: int) -> Tries:
    """A second process gets the same command while the first stands still at a file operation."""
    chance = random.Random(seed)
    for _ in range(count):
        point = chance.randint(1, ready.operations)
        ready.place.fresh()

        def before(operation: int, point: int = point) -> None:
            if operation == point:
                os.kill(os.getpid(), signal.SIGSTOP)

        environment = ready.place.environment()
        one = start_command(ready.case.arguments, ready.work, environment=environment, before=before, label=".1")
        os.waitid(os.P_PID, one.process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        two = start_command(ready.case.arguments, ready.work, environment=environment, label=".2")
        until = time.monotonic() + 6
        while time.monotonic() < until and not os.waitid(os.P_PID, two.process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            time.sleep(0.05)
        os.kill(one.process, signal.SIGCONT)
        first, second = one.wait(), two.wait()
        said = [no_sentence(ended, (1, 2)) for ended in (first, second) if ended.code]
        if first.code and second.code:
            said.append(f"neither did it: {first.text[-200:]} {second.text[-200:]}")
        yield f"first stood at operation {point} of {ready.operations}", next(filter(None, said), "") or ready.again()


def little_memory(ready: Ready, seed: int, count: int) -> Tries:
    """Only so many MiB more than the program itself takes (RLIMIT_AS)."""
    chance = random.Random(seed)
    for _ in range(count):
        more = int(2 ** chance.uniform(0, 9))
        ready.place.fresh()

        def enter(more: int = more) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * os.sysconf("SC_PAGE_SIZE") + more * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        yield f"{more} MiB", _after(ready, ready.run(enter=enter))


def _size_of(ready: Ready) -> int:
    ready.place.fresh()
    ready.run()
    return _size(ready.work)


def _size(folder: Path) -> int:
    return sum(-(-path.lstat().st_size // 4096) * 4096 for path in folder.rglob("*"))


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*"))


CAMPAIGNS: dict[str, Callable[[Ready, int, int], Tries]] = {
    "disk full from a file operation on": full_disk_at_an_operation,
    "disk full, small tmpfs": full_disk,
    "device fails from a file operation on": failing_device,
    "read-only tree": read_only_tree,
    "no permission": no_permission,
    "no temporary folder": no_temporary_folder,
    "inputs vanish": vanishing_inputs,
    "outputs vanish": vanishing_outputs,
    "clock": clock,
    "two processes on one folder": two_processes,
    "little memory": little_memory,
}
