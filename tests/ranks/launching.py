"""Starts the processes of a torchrun launch without torchrun, so that each one's end can be looked at."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def start(ranks: int, *command: str, folder: Path, **environment: str) -> list[subprocess.Popen[str]]:
    """The running processes, rank 0 first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(ranks):
        place = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started.append(
            subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment, **{k: str(v) for k, v in place.items()}},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
        )
    return started


def launch(ranks: int, *command: str, folder: Path, **environment: str) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of every rank."""
    started = start(ranks, *command, folder=folder, **environment)
    outputs = [process.communicate(timeout=800) for process in started]
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]
