"""Ranks of a torchrun launch count the same, to the bit, as one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from populations import population
from frbias.core.foundation.devices import world_from_environment
from frbias.core.foundation.group import process_group
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.scores import engine, laps

engine.LAP = laps.LAP = 1
kept = laps.Laps(Path(sys.argv[2])) if len(sys.argv) > 2 else None
matrix, who, ages = population(images=1300, subjects=100)
world = world_from_environment()
with process_group(world):
    done = evaluate_embeddings(
        matrix, who, ages, groups="0-14,15-39,40+", bootstrap=50, curves=False, threads=1,
        budget=Budget(all_scores=0, tail=10**7), world=world, laps=kept,
    )
    if world.leader:
        print(json.dumps(done.to_json()))
"""


def run(ranks: int, *laps: str) -> dict:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(ranks):
        place = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, **{k: str(v) for k, v in place.items()}}
        command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), *laps]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    return json.loads(outputs[0])


def test_two_ranks_equal_one_and_go_on_behind_its_laps(tmp_path: Path) -> None:
    """One process is cut off after two of six laps (the others are removed); two go on."""
    alone = run(1, str(tmp_path))
    laps = sorted(tmp_path.rglob("*.npz"))
    assert len(laps) == 6
    for lap in laps[2:]:
        lap.unlink()
    before = [lap.stat().st_mtime_ns for lap in laps[:2]]
    assert run(2, str(tmp_path)) == alone
    assert [lap.stat().st_mtime_ns for lap in laps[:2]] == before
    assert sorted(tmp_path.rglob("*.npz")) == laps
