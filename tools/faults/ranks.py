"""Campaign: one process of a torchrun launch is killed. The others end within seconds, and the launch can be repeated."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from faults.killing import Before, Ended, Running, difference, no_sentence, start_command, tree
from faults.place import LEFT_OUT, Place, Ready, make_ready
from faults.stages import Case, cases
from faults.table import Outcome

_NAMES = ("generate", "align", "embed", "evaluate of images, cached", "finetune")
_SECONDS = 60.0


def run_ranks(place: Place, seed: int, count: int) -> Outcome:
    """Kill one of two ranks ``count`` times at file operations of that rank, forked like all other commands."""
    chance, outcome = random.Random(seed), Outcome("one of two ranks killed")
    chosen = [case for case in cases(place.inputs) if case.name in _NAMES]
    for number, case in enumerate(chosen):
        some = count // len(chosen) + (number < count % len(chosen))
        if not some:
            continue
        ready = make_ready(place, case)
        whole = _launch(ready)
        problem = next((ended.text[-400:] for ended in whole if ended.code), "")
        if problem:
            return outcome.plus(f"{case.name}, nobody killed", problem)
        wanted = tree(place.work, LEFT_OUT)
        for _ in range(some):
            victim = chance.randrange(2)
            point = chance.randint(1, max(whole[victim].operations, 1))
            loss = _loss(ready, victim, point, wanted)
            outcome = outcome.plus(f"{case.name}, rank {victim} before its operation {point}", loss)
            if outcome.lost:
                return outcome
    return outcome


def _loss(ready: Ready, victim: int, point: int, wanted: dict[str, str]) -> str:
    ready.place.fresh()
    running = _start(ready, victim, point)
    started = time.monotonic()
    running[victim].wait()
    killed = time.monotonic()
    other = running[1 - victim].wait(_SECONDS)
    if other.late:
        return f"the other process was still there {_SECONDS:.0f} s after the kill (which came after {killed - started:.0f} s)"
    said = no_sentence(other) if other.code else ""
    again = _launch(ready, fresh=False)
    problem = next((f"again: {ended.code} {ended.text[-400:]}" for ended in again if ended.code), "")
    return said or problem or difference(wanted, tree(ready.work, LEFT_OUT))


def _launch(ready: Ready, *, fresh: bool = True) -> list[Ended]:
    if fresh:
        ready.place.fresh()
    return [running.wait() for running in _start(ready)]


def _start(ready: Ready, victim: int = -1, point: int = 0) -> list[Running]:
    def before(operation: int) -> None:
        if operation == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    started = []
    for rank in range(2):
        launch = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        environment = {**ready.place.environment(), **launch, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        what: Before | None = before if rank == victim else None
        started.append(
            start_command(ready.case.arguments, ready.work, environment=environment, before=what, label=f".{rank}")
        )
    return started


def run_torchrun(place: Place, seed: int, count: int) -> Outcome:
    """The same with torchrun itself, and a kill at any moment of the work."""
    chance, outcome = random.Random(seed), Outcome("one process of torchrun killed")
    case = next(case for case in cases(place.inputs) if case.name == "align")
    ready = make_ready(place, case)
    for _ in range(count):
        rank, after = chance.randrange(2), chance.uniform(0, 0.5)
        loss = _loss_of_torchrun(ready, case, rank, after)
        outcome = outcome.plus(f"rank {rank}, {after:.2f} s after the folder was claimed", loss)
        if outcome.lost:
            break
    return outcome


def _loss_of_torchrun(ready: Ready, case: Case, rank: int, after: float) -> str:
    work = ready.place.fresh()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "frbias"]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **ready.place.environment(), "PYTHONPATH": root}
    with (ready.place.root / "torchrun.log").open("w") as log:
        launch = subprocess.Popen([*command, *case.arguments], cwd=work, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + 300
        while not (work / "out" / "provenance.json").exists() and launch.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(after)
        for process in _children(launch.pid, rank):
            os.kill(process, signal.SIGKILL)
        try:
            launch.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            launch.kill()
            return f"the launch was still there {_SECONDS:.0f} s after the kill"
    return ready.again()


def _children(parent: int, rank: int) -> list[int]:
    """Processes started by ``parent`` that have this rank."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            of = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if of == parent and f"RANK={rank}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except (OSError, IndexError):
            continue
    return found
