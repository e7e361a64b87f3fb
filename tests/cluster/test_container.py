"""The Dockerfile and the Slurm recipe as far as they can be tried without a daemon or a cluster."""

import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
SBATCH = ROOT / "experiments" / "cluster" / "frbias.sbatch"
KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "ARG", "USER", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in text.splitlines() if line.strip()]


def place(instruction: str, part: str) -> int:
    """Position of the first instruction with that word in it."""
    return next(k for k, (name, rest) in enumerate(instructions()) if name == instruction and part in rest)


def test_only_known_instructions_and_a_pinned_base() -> None:
    assert {name for name, _ in instructions()} <= KNOWN
    name, base = instructions()[0]
    assert name == "FROM"
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)


def test_what_changes_least_comes_first() -> None:
    system, pins, torch = place("RUN", "apt-get"), place("COPY", "constraints.txt"), place("RUN", "TORCH_INDEX")
    needs, libraries = place("COPY", "pyproject.toml"), place("RUN", "-c constraints.txt")
    source, itself = place("COPY", "frbias frbias"), place("RUN", "--no-deps")
    assert [system, pins, torch, needs, libraries, source, itself] == sorted(
        [system, pins, torch, needs, libraries, source, itself]
    )
    before_source = [rest for name, rest in instructions()[:source] if name == "COPY"]
    assert before_source == ["constraints.txt ./", "pyproject.toml README.md LICENSE ./"]


def test_good_manners() -> None:
    apt = instructions()[place("RUN", "apt-get")][1]
    assert "apt-get update" in apt
    assert "--no-install-recommends" in apt
    assert "rm -rf /var/lib/apt/lists" in apt
    users = [rest for name, rest in instructions() if name == "USER"]
    assert users == ["frbias"]
    assert instructions()[-2] == ("ENTRYPOINT", '["frbias"]')
    for name, rest in instructions():
        if name == "RUN":
            assert subprocess.run(["bash", "-n", "-c", rest], check=False).returncode == 0, rest


def test_everything_copied_is_there_and_not_left_out() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name, rest in instructions():
        for source in shlex.split(rest)[:-1] if name == "COPY" else []:
            assert (ROOT / source).exists(), source
            assert source in kept, source


def test_the_pinned_torch_is_found_as_the_dockerfile_looks_for_it() -> None:
    found = subprocess.run(
        ["grep", "^torch==", "constraints.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+\n", found.stdout)


def test_the_slurm_recipe_starts_torchrun_with_the_command(tmp_path: Path) -> None:
    """With srun, scontrol and torchrun that only say what they were given."""
    for tool, script in {
        "scontrol": 'case "$1" in show) echo node7; echo node8;; *) echo "scontrol $*" >> said;; esac',
        "srun": 'shift; exec "$@"',
        "torchrun": 'echo "torchrun $* threads=$OMP_NUM_THREADS home=$FRBIAS_HOME" >> said',
    }.items():
        (tmp_path / tool).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / tool).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin", "USER": "me", "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "5", "SLURM_RESTART_COUNT": "2",
        "SLURM_CPUS_PER_TASK": "32", "SLURM_GPUS_ON_NODE": "4", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2",
    }  # fmt: skip
    command = ["bash", str(SBATCH), "embed", "set", "--out", "with space"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text() == (
        "torchrun --nnodes 2 --nproc-per-node gpu --max-restarts 3 --rdzv-backend c10d --rdzv-endpoint node7:29500 "
        f"--rdzv-id 5-2 -m frbias embed set --out with space threads=8 home={tmp_path}/frbias-me\n"
    )
    wanted = {line.split()[1].split("=")[0] for line in SBATCH.read_text().splitlines() if line.startswith("#SBATCH")}
    assert {"--requeue", "--open-mode", "--signal", "--nodes", "--gpus-per-node"} <= wanted
