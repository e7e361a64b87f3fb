"""Campaign: kills at any moment of commands with worker processes, on a machine that is busy, on and off the disk."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from faults.killing import start_command
from faults.place import Place, Ready, make_ready
from faults.stages import Case, cases
from faults.table import Outcome

_BUSY = 3
_NAMES = ("generate", "align", "evaluate of images, cached", "finetune", "data import of an archive", "models add")


def run_load(place: Place, seed: int, count: int) -> Outcome:
    """Kill ``count`` times: every process of the command at once, at a moment chosen by chance."""
    chance, outcome = random.Random(seed), Outcome("kills at any moment, under load")
    chosen = [case for case in cases(place.inputs) if case.name in _NAMES]
    tries = [count // len(chosen) + (number < count % len(chosen)) for number in range(len(chosen))]
    for case, some in zip(chosen, tries, strict=True):
        if not some:
            continue
        ready = make_ready(place, case)
        parallel = replace(case, arguments=_with_workers(case.arguments))
        with _busy(place.root / "busy"):
            seconds = _seconds(replace(ready, case=parallel))
            for _ in range(some):
                after = chance.uniform(0, seconds)
                outcome = outcome.plus(
                    f"{case.name} after {after:.2f} of {seconds:.2f} s", _loss(ready, parallel, after)
                )
                if outcome.lost:
                    return outcome
    return outcome


def _with_workers(arguments: tuple[str, ...]) -> tuple[str, ...]:
    if "--workers" not in arguments:
        return arguments
    number = arguments.index("--workers") + 1
    return (*arguments[:number], "2", *arguments[number + 1 :])


def _seconds(ready: Ready) -> float:
    ready.place.fresh()
    started = time.monotonic()
    ready.run()
    return time.monotonic() - started


def _loss(ready: Ready, parallel: Case, after: float) -> str:
    ready.place.fresh()
    running = start_command(parallel.arguments, ready.work, environment=ready.place.environment())
    time.sleep(after)
    running.kill()
    ended = running.wait()
    if ended.code not in (0, -9):
        return f"it ended with {ended.code}: {ended.text[-300:]}"
    return ready.again()


@contextmanager
def _busy(folder: Path) -> Iterator[None]:
    """Processes that keep processors and disk busy."""
    folder.mkdir(exist_ok=True)
    children = []
    for number in range(_BUSY):
        child = os.fork()
        if child == 0:
            _toil(folder / str(number), on_disk=number == 0)
        children.append(child)
    try:
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _toil(path: Path, *, on_disk: bool) -> None:
    while True:
        if on_disk:
            with path.open("wb") as stream:
                stream.write(os.urandom(2**20))
                os.fsync(stream.fileno())
        else:
            sum(range(100_000))
