"""``run`` and ``demo`` under torchrun itself leave what one process leaves, to the byte: both on the usual recipe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_every_stage import PLAN, RUN, contents, write_network, write_photos

DEMO = (
    "demo",
    "--train-subjects",
    "8",
    "--test-subjects",
    "8",
    "--bootstrap",
    "20",
    "--out",
    "demo-out",
    "--device",
    "cpu",
)


def frbias(folder: Path, ranks: int, *arguments: str) -> dict[str, bytes]:
    """Run a command in a folder, with torchrun when there are several ranks; what it leaves."""
    place = folder / f"ranks-{ranks}"
    place.mkdir()
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "frbias", *arguments],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1", "FRBIAS_HOME": str(place / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return contents(place, ())


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.xdist_group("torchrun")
@pytest.mark.parametrize("command", ["run", "demo"])
def test_an_experiment_under_torchrun_is_that_of_one_process(command: str, tmp_path: Path) -> None:
    if command == "run":
        write_photos(tmp_path / "photos-train", "p", subjects=6, seed=0)
        write_photos(tmp_path / "photos-test", "q", subjects=5, seed=1)
        (tmp_path / "plan.toml").write_text(PLAN)
        write_network(tmp_path / "small.safetensors")
    arguments = RUN if command == "run" else DEMO
    alone, shared = (frbias(tmp_path, ranks, *arguments) for ranks in (1, 2))
    assert len(alone) > 20
    assert list(alone) == list(shared)
    assert [name for name in alone if alone[name] != shared[name]] == []
