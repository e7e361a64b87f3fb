"""Launches as torchrun makes them, without torchrun, so that each process' end can be looked at; see :mod:`forked`."""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path


@cache
def _starter() -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("forked.py"))]
    kept = {name: value for name, value in os.environ.items() if name != "FRBIAS_TIMEOUT"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, env={**kept, "OMP_NUM_THREADS": "1"}, text=True, **pipes)
    atexit.register(process.kill)
    return process


def launch_all(
    ranks: int, commands: Sequence[Sequence[str]], *, folder: Path, **environment: str
) -> list[tuple[int, str, str]]:
    """Run commands one after the other in every rank: (exit code, stdout, stderr) of each, rank 0 first."""
    job = {"ranks": ranks, "place": str(folder), "commands": commands, "environment": environment}
    starter = _starter()
    assert starter.stdin is not None
    assert starter.stdout is not None
    starter.stdin.write(json.dumps(job) + "\n")
    starter.stdin.flush()
    codes = json.loads(starter.stdout.readline())
    said = [[Path(f"{folder}-{rank}.{kind}").read_text() for kind in ("out", "err")] for rank in range(ranks)]
    return [(code, out, err) for code, (out, err) in zip(codes, said, strict=True)]


def launch(ranks: int, *command: str, folder: Path, **environment: str) -> list[tuple[int, str, str]]:
    """:func:`launch_all` of one command."""
    return launch_all(ranks, [command], folder=folder, **environment)
