"""Where nodes are done: processes that may be killed, jobs of a cluster, all ranks of a launch; costs and estimates."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_grids import Deadly, document, write_faces, write_grid

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.requests.align import AlignRequest
from frbias.experiment import doing
from frbias.experiment.costs import costs_of, estimate, note_cost
from frbias.experiment.doing import Outcome, attempt_node
from frbias.experiment.graph import Node
from frbias.experiment.grid import make_grid
from frbias.experiment.running import Manner, run_grid
from frbias.experiment.scheduling import cluster, do_elsewhere, do_here, processes, shared_among

RESOURCES = Resources(workers=1, threads=1)


def node(key: str, place: Path, request: AlignRequest, *needs: str, units: int = 4) -> Node:
    return Node("align", key, place / key, request, needs, "none", units)


def good(folder: Path) -> AlignRequest:
    faces = folder / "faces"
    if not faces.exists():
        write_faces(faces, ["a", "b"], ages=(20.0, 30.0))
    return AlignRequest(data=str(faces), detector="none")


def nothing(one: Node, outcome: Outcome) -> None:
    del one, outcome


def test_a_failure_skips_what_depends_on_it_alone(tmp_path: Path) -> None:
    bad = AlignRequest(data=str(tmp_path / "absent"), detector="none")
    nodes = {
        "bad": node("bad", tmp_path, bad),
        "after": node("after", tmp_path, good(tmp_path), "bad"),
        "other": node("other", tmp_path, good(tmp_path)),
    }
    told: list[str] = []
    found = do_here(nodes, Machine(RESOURCES), World(), lambda one, outcome: told.append(f"{one.key} {outcome.status}"))
    assert told == ["bad failed", "after skipped", "other done"]
    assert "absent" in found["after"].problem
    again = do_here(nodes, Machine(RESOURCES), World(), nothing)
    assert [outcome.status for outcome in again.values()] == ["failed", "skipped", "reused"]


@pytest.mark.slow
def test_a_killed_process_costs_its_node_and_no_other(tmp_path: Path) -> None:
    deadly = Deadly(data=str(tmp_path), detector="none", parent=os.getpid())
    nodes = {
        "deadly": node("deadly", tmp_path, deadly),
        "good": node("good", tmp_path, good(tmp_path)),
        "after": node("after", tmp_path, good(tmp_path), "good"),
    }
    with processes(RESOURCES, 2) as pool:
        found = do_elsewhere(nodes, pool, 2, nothing)
    assert {key: outcome.status for key, outcome in found.items()} == {
        "deadly": "failed", "good": "done", "after": "done",
    }  # fmt: skip
    assert "killed" in found["deadly"].problem


@pytest.mark.slow
def test_jobs_of_a_cluster(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    bad = AlignRequest(data=str(tmp_path / "absent"), detector="none")
    nodes = {"good": node("good", tmp_path, good(tmp_path)), "bad": node("bad", tmp_path, bad)}
    jobs = cluster("local", ["timeout_min=5"], tmp_path / "logs", RESOURCES)
    found = do_elsewhere(nodes, jobs, 2, nothing)
    assert {key: outcome.status for key, outcome in found.items()} == {"good": "done", "bad": "failed"}
    assert (tmp_path / "good" / "metadata.csv").is_file()


def test_refusals_of_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(UsageError, match="name=value"):
        cluster("local", ["timeout_min"], tmp_path, RESOURCES)
    with pytest.raises(UsageError, match="--cluster local"):
        cluster("local", ["no_such_parameter=3"], tmp_path, RESOURCES)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match="pip install"):
        cluster("slurm", [], tmp_path, RESOURCES)


def test_torchrun_takes_no_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="leave out --jobs"):
        run_grid(make_grid(document(tmp_path)), tmp_path / "out", manner=Manner(jobs=2))


def test_processes_share_the_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert shared_among(Resources(), cores).workers == 1
    assert shared_among(Resources(), 1).threads == cores
    assert shared_among(Resources(workers=3), 2).workers == 3


def test_estimates_come_from_this_machine_once_it_has_done_the_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    known = replace(node("one", tmp_path, good(tmp_path), units=10), stage="generate", what="mesh")
    strange = replace(node("two", tmp_path, good(tmp_path), "one", units=10), what="strange")
    nodes = {"one": known, "two": strange}
    first = costs_of(nodes.values())
    assert first["one"].seconds is not None
    assert not first["one"].measured_here
    assert first["two"].seconds is None
    assert estimate(nodes).unknown == ("align of strange",)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "file").write_bytes(b"x" * 500)
    note_cost(strange, Outcome("done", 20.0))
    note_cost(strange, Outcome("failed", 9000.0))
    with (tmp_path / "home" / "timings.jsonl").open("a") as stream:
        stream.write("not json\n")
    wide = {"one": known, **{str(k): replace(strange, key=str(k), units=20) for k in range(4)}}
    assert costs_of(wide.values())["0"].seconds == pytest.approx(40.0)
    assert costs_of(wide.values())["0"].bytes == pytest.approx(1000.0)
    own = first["one"].seconds
    assert estimate(wide, jobs=1).seconds == pytest.approx(own + 160)
    assert estimate(wide, jobs=2).seconds == pytest.approx((own + 160) / 2)
    assert estimate(wide, jobs=100).seconds == pytest.approx(own + 40)


def _files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.long
@pytest.mark.xdist_group("grid")
def test_interrupted_and_run_again_it_ends_with_the_same_files(tmp_path: Path) -> None:
    """Killed while it trains, then, with two processes, while it embeds."""
    ends = {}
    for name, kills in (("whole", []), ("killed", [("finetune/*/checkpoints", 1), ("embed/*", 2)])):
        folder = tmp_path / name
        folder.mkdir()
        content = document(folder, finetune={"lr": 0.05, "frozen": [1, 2, 3, 4], "epochs": 2, "save_every": 1})
        for part in ("train", "test"):
            content[part] = {"data": f"faces-{part}"}
        path = write_grid(folder / "grid.toml", {**content, "seeds": [1, 2]})
        environment = {**os.environ, "FRBIAS_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "frbias", "run", path.name, "--out", "out", "--workers", "1"]
        for pattern, jobs in kills:
            running = subprocess.Popen([*command, "--jobs", str(jobs)], cwd=folder, env=environment)
            try:
                while not list((folder / "out").glob(pattern)) and running.poll() is None:
                    time.sleep(0.02)
            finally:
                running.kill()
                running.wait()
        done = subprocess.run(
            [*command, "--json"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["failed"] == []
        ends[name] = _files(folder / "out")
    assert sorted(ends["whole"]) == sorted(ends["killed"])
    assert [name for name in ends["whole"] if ends["whole"][name] != ends["killed"][name]] == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "out"), "The disk is full (out); free some space and run the command"),
        (RuntimeError("write failed: No space left on device"), "The disk is full; free some space"),
        (MemoryError(), "There is not enough memory; close other programs"),
        (RuntimeError("gloo: connection closed by peer"), "Another process of the launch has ended"),
        (KeyError("a"), "Unexpected KeyError: 'a'"),
    ],
)
def test_what_the_machine_did_not_do_is_told_by_a_node_as_by_a_command(
    error: Exception, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setitem(doing._STAGES, "align", fails)
    found = attempt_node(Node("align", "a", tmp_path, AlignRequest(data="set")), Machine(Resources(workers=1)))
    assert found.status == "failed"
    assert found.problem.startswith(told)
