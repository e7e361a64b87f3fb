"""The generation loop with a small painted backend: resume, shards, workers, rejection."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from frbias.core.data.samples import read_samples
from frbias.core.data.units import Made, Task, WorkUnit
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.synth.backends import BACKENDS, backend_named
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.generate import generate_with
from frbias.synth.mesh.request import MeshRequest


@dataclass(frozen=True)
class Painter:
    """Paints noise that depends on subject and age alone; refuses age 13; can be slow."""

    subjects: int = 4
    pause: float = 0.0
    parallel: Literal["processes", "batches"] = "batches"
    ages: tuple[int, ...] = (3, 13, 30)
    name: str = "painter"

    def describe(self) -> dict[str, Any]:
        return {"subjects": self.subjects, "ages": list(self.ages)}

    def plan(self) -> list[WorkUnit]:
        return [
            WorkUnit(f"s{s}", tuple(Task(f"s{s}/s{s}_{a}.png", f"s{s}", a, {"seed": s}) for a in self.ages))
            for s in range(self.subjects)
        ]

    @property
    def notes(self) -> list[str]:
        return []

    def prepare(self) -> None:
        pass

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        for unit in units:
            time.sleep(self.pause)
            yield [self._paint(int(task.columns["seed"]), int(task.age)) for task in unit.tasks]  # type: ignore[arg-type]

    def _paint(self, subject: int, age: int) -> Made:
        if age == 13:
            return Made(None, reason="unlucky")
        pixels = np.random.default_rng([subject, age]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        return Made(pixels, {"yaw": subject + age / 10}, extra_files={f"notes/s{subject}_{age}.txt": b"hello"})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_images_table_and_rejections(tmp_path: Path) -> None:
    result = generate_with(Painter(), tmp_path / "set")
    assert (result.images, result.subjects, result.rejected, result.reused) == (8, 4, 4, 0)
    table = read_samples(tmp_path / "set")
    assert list(table.frame["file_name"][:2]) == ["s0/s0_3.png", "s0/s0_30.png"]
    assert list(table.frame["yaw"][:2]) == [0.3, 3.0]
    assert (tmp_path / "set/rejected.csv").read_text().splitlines()[1] == "s0/s0_13.png,unlucky,s0,13,"
    assert (tmp_path / "set/notes/s0_3.txt").read_bytes() == b"hello"
    assert not (tmp_path / "set/.journal").exists()


def test_same_bytes_for_any_batch_size_and_workers(tmp_path: Path) -> None:
    generate_with(Painter(), tmp_path / "one")
    generate_with(Painter(), tmp_path / "three", in_flight=3)
    generate_with(Painter(parallel="processes"), tmp_path / "pool", machine=Machine(Resources(workers=2)))
    assert contents(tmp_path / "one") == contents(tmp_path / "three") == contents(tmp_path / "pool")


def test_finished_work_is_not_redone(tmp_path: Path) -> None:
    generate_with(Painter(), tmp_path / "set")
    stamp = (tmp_path / "set/s0/s0_3.png").stat().st_mtime_ns
    again = generate_with(Painter(), tmp_path / "set")
    assert again.reused == 8
    assert (tmp_path / "set/s0/s0_3.png").stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match="subjects 4 there, 5 here"):
        generate_with(Painter(subjects=5), tmp_path / "set")
    assert generate_with(Painter(subjects=5), tmp_path / "set", force=True).images == 10


_SCRIPT = """
import sys; sys.path.insert(0, {here!r})
from pathlib import Path
from test_generation import Painter
from frbias.core.foundation.machine import Machine, Resources
from frbias.synth.generate import generate_with
generate_with(Painter(subjects=12, pause={pause}), Path({out!r}))
"""


def script(out: Path, pause: float) -> list[str]:
    return [sys.executable, "-c", _SCRIPT.format(here=str(Path(__file__).parent), pause=pause, out=str(out))]


def test_sigkill_and_resume_gives_the_uninterrupted_bytes(tmp_path: Path) -> None:
    generate_with(Painter(subjects=12), tmp_path / "whole")
    broken = tmp_path / "broken"
    process = subprocess.Popen(script(broken, 0.1))
    journal = broken / ".journal/rank-0.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b'"unit"') >= 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert journal.exists(), "the run ended before it could be killed"
    assert not (broken / "metadata.csv").exists()
    with journal.open("ab") as stream:  # a line torn in the middle, and a file that never got its name
        stream.write(b'{"unit": "s9", "rows": [')
    (broken / "s0" / ".frbias-tmp-torn.png").write_bytes(b"half")
    (broken / "s1" / "s1_30.png").unlink()  # journalled, then lost
    result = generate_with(Painter(subjects=12), broken)
    assert 0 < result.reused < 24
    assert contents(broken) == contents(tmp_path / "whole")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="lists child processes through /proc")
def test_workers_leave_with_a_killed_parent(tmp_path: Path) -> None:
    program = _SCRIPT.format(here=str(Path(__file__).parent), pause=0.3, out=str(tmp_path / "set"))
    program = program.replace("pause=0.3)", "pause=0.3, parallel='processes')").replace(
        "'))", "'), machine=Machine(Resources(workers=2)))"
    )
    (tmp_path / "run.py").write_text(
        "if __name__ == '__main__':\n" + "".join(f"    {x}\n" for x in program.splitlines())
    )
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")])
    journal = tmp_path / "set/.journal/rank-0.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b'"unit"') >= 2):
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    while time.monotonic() < deadline and any(_alive(child) for child in children):
        time.sleep(0.05)
    assert not [child for child in children if _alive(child)]


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_torchrun_shards_give_the_same_bytes(tmp_path: Path) -> None:
    generate_with(Painter(subjects=12), tmp_path / "whole")
    out = tmp_path / "shards"
    environment = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29431"}
    ranks = [
        subprocess.Popen(script(out, 0.0), env={**environment, "RANK": str(r), "LOCAL_RANK": str(r)}) for r in range(2)
    ]
    assert [p.wait(timeout=120) for p in ranks] == [0, 0]
    assert contents(out) == contents(tmp_path / "whole")


@dataclass(frozen=True)
class Confused(Painter):
    """Renders the last age first."""

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        for unit, made in zip(units, super().render(units), strict=True):
            yield [Made(m.image, m.columns, file_name=t.file_name) for m, t in zip(made, unit.tasks[::-1], strict=True)]


def test_pictures_in_another_order_than_planned_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="was planned"):
        generate_with(Confused(ages=(3, 30)), tmp_path / "set")


@dataclass(frozen=True)
class Fetching(Painter):
    """Workers find nothing unless it was prepared."""

    place: str = ""

    def prepare(self) -> None:
        Path(self.place).write_text("fetched")

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        assert Path(self.place).read_text() == "fetched"
        yield from super().render(units)


def test_what_workers_need_is_prepared_before_they_start(tmp_path: Path) -> None:
    fetching = Fetching(parallel="processes", place=str(tmp_path / "needed"))
    result = generate_with(fetching, tmp_path / "set", machine=Machine(Resources(workers=2)))
    assert result.images == 8


def test_every_generator_has_an_entry_that_fits() -> None:
    for name, backend in BACKENDS.items():
        assert (backend.name, backend.request.backend) == (name, name)
        module, _, function = backend.maker.partition(":")
        assert callable(getattr(import_module(module), function))
    with pytest.raises(UsageError, match="did you mean 'mesh'"):
        backend_named("mish")


def test_people_in_common() -> None:
    mesh = MeshRequest(subjects=10, first_subject=5).population()
    assert mesh.shares_people_with(MeshRequest(subjects=1, first_subject=14).population())
    assert not mesh.shares_people_with(MeshRequest(subjects=99, first_subject=15).population())
    assert not mesh.shares_people_with(MeshRequest(subjects=99, seed=1).population())
    assert mesh.shares_people_with(CuspRequest(input="mesh:6").population())
    assert not mesh.shares_people_with(CuspRequest(input="mesh:5").population())
    assert CuspRequest(input="photos").population().shares_people_with(CuspRequest(input="photos", seed=3).population())


def test_empty_plan_and_all_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nothing to generate"):
        generate_with(Painter(subjects=0), tmp_path / "none")
    with pytest.raises(BadInputError, match="unlucky"):
        generate_with(Painter(ages=(13,)), tmp_path / "unlucky")
