"""One process group a process: stages one after the other share it, refusals are heard by all and said once."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from frbias.core.foundation import group
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import UsageError

MANY = """
from frbias.core.foundation.devices import world_from_environment
from frbias.core.foundation.group import of_the_leader, process_group

world = world_from_environment()
for turn in range(20):
    with process_group(world) as barrier:
        barrier()
        assert of_the_leader((turn, world.rank), world) == (turn, 0)
        barrier()
print(f"done {world.rank}")
"""


def launch(ranks: int, *command: str, folder: Path) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of every rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(ranks):
        place = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started.append(
            subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **{k: str(v) for k, v in place.items()}},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
            )
        )
    outputs = [process.communicate(timeout=180) for process in started]
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


@pytest.mark.parametrize("ranks", [2, 3])
def test_twenty_stages_share_one_group(ranks: int, tmp_path: Path) -> None:
    ended = launch(ranks, "-c", MANY, folder=tmp_path)
    assert [code for code, _, _ in ended] == [0] * ranks, ended
    assert [out for _, out, _ in ended] == [f"done {rank}\n" for rank in range(ranks)]


def test_a_refusal_of_the_leader_ends_all_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("not of frbias")
    scores = tmp_path / "scores.csv"
    scores.write_text("score,mated\n" + "".join(f"{k / 40},{k % 2}\n" for k in range(40)))
    ended = launch(
        2, "-m", "frbias", "evaluate", "--scores", str(scores), "--out", "out", "--at-fmr", "0.5", folder=tmp_path
    )
    assert [code for code, _, _ in ended] == [2, 2], ended
    assert "holds something that frbias did not make" in ended[0][2]
    assert ended[1][2] == ""


def test_alone_there_is_no_group() -> None:
    world = World()
    with group.process_group(world) as barrier:
        barrier()
    assert group.of_the_leader("x", world) == "x"
    assert group.decided_by_the_leader(lambda: 3, world) == 3


def test_a_timeout_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(group.TIMEOUT_VARIABLE, "soon")
    with (
        pytest.raises(UsageError, match="FRBIAS_TIMEOUT='soon' is no number of seconds"),
        group.process_group(World(0, 2)),
    ):
        pass
