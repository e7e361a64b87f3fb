"""Ranks of a torchrun launch count the same, to the bit, as one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from populations import population
from frbias.core.foundation.devices import world_from_environment
from frbias.core.foundation.group import process_group
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.evaluation import evaluate_embeddings

matrix, who, ages = population(images=1300, subjects=100)
world = world_from_environment()
with process_group(world):
    done = evaluate_embeddings(
        matrix, who, ages, groups="0-14,15-39,40+", bootstrap=50, curves=False, threads=1,
        budget=Budget(all_scores=0, tail=10**7), world=world,
    )
    if world.leader:
        print(json.dumps(done.to_json()))
"""


def run(ranks: int) -> dict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(ranks):
        place = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{k: str(v) for k, v in place.items()}}
        command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    return json.loads(outputs[0])


def test_two_ranks_equal_one() -> None:
    assert run(2) == run(1)
