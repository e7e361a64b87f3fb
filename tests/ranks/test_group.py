"""One process group a process: stages one after the other share it, refusals are heard by all and said once."""

from pathlib import Path

import pytest
from launching import launch

from frbias.core.foundation import group
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import UsageError

pytestmark = pytest.mark.xdist_group("ranks")  # which share one process that starts launches
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


@pytest.mark.parametrize("ranks", [2, 3])
def test_twenty_stages_share_one_group(ranks: int, tmp_path: Path) -> None:
    ended = launch(ranks, "-c", MANY, folder=tmp_path)
    assert [code for code, _, _ in ended] == [0] * ranks, ended
    assert [out for _, out, _ in ended] == [f"done {rank}\n" for rank in range(ranks)]


def test_twenty_launches_one_after_another_end(tmp_path: Path) -> None:
    """None hangs: each opens its group, twenty stages share it, and it closes."""
    for turn in range(20):
        ended = launch(2 + turn % 2, "-c", MANY, folder=tmp_path)
        assert {code for code, _, _ in ended} == {0}, (turn, ended)


def test_a_refusal_of_the_leader_ends_all_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("not of frbias")
    scores = tmp_path / "scores.csv"
    scores.write_text("score,mated\n" + "".join(f"{k / 40},{k % 2}\n" for k in range(40)))
    ended = launch(2, "evaluate", "--scores", str(scores), "--out", "out", "--at-fmr", "0.5", folder=tmp_path)
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


LOST = """
import os, signal, sys, time
from frbias.cli.console import errors_as_sentences
from frbias.core.foundation.devices import world_from_environment
from frbias.core.foundation.group import process_group

world = world_from_environment()
with errors_as_sentences(), process_group(world) as barrier:
    barrier()
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL) if sys.argv[1] == "killed" else time.sleep(5)
    began = time.monotonic()
    try:
        barrier()
    finally:
        print(time.monotonic() - began)
"""


def test_a_killed_process_ends_the_others_with_a_sentence(tmp_path: Path) -> None:
    ended = launch(3, "-c", LOST, "killed", folder=tmp_path)
    assert [code for code, _, _ in ended] == [1, -9, 1], ended
    assert max(float(out) for _, out, _ in (ended[0], ended[2])) < 10
    assert ended[0][2] == "frbias: Another process of the launch has ended; run the same command again to go on.\n"


def test_a_silent_process_is_waited_for_as_long_as_the_user_says(tmp_path: Path) -> None:
    ended = launch(2, "-c", LOST, "silent", folder=tmp_path, FRBIAS_TIMEOUT="2")
    assert ended[0][0] == 1, ended
    assert "did not answer for 2 seconds (FRBIAS_TIMEOUT sets how long to wait)" in ended[0][2]


LED = """
import sys
from frbias.cli.console import errors_as_sentences
from frbias.core.foundation.devices import world_from_environment
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.group import led, process_group

calls = []

@led
def stage(number):
    calls.append(number)
    with process_group(world_from_environment()) as barrier:  # what it calls is not shared either
        barrier()
    if number < 0:
        raise UsageError("No.")
    return number + world_from_environment().size

with errors_as_sentences():
    assert stage(41) == 42
    print(len(calls))
    stage(-1)
"""


def test_a_led_stage_is_done_once_and_all_have_what_came_of_it(tmp_path: Path) -> None:
    ended = launch(2, "-c", LED, folder=tmp_path)
    assert ended == [(2, "1\n", "frbias: No.\n"), (2, "0\n", "")]
