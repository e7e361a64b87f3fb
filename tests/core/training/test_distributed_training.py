"""Two processes on the CPU (gloo) train what one process trains."""

import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.finetune import finetune
from frbias.core.stages.requests.finetune import FinetuneRequest


def test_two_processes_train_what_one_trains(people: SampleTable, weights: str, tmp_path: Path) -> None:
    request = FinetuneRequest(
        data=str(people.root), weights=weights,
        frozen=("stem", "1", "2", "3"), epochs=3, batch_size=8, validation=0.25, lr=0.001, keep=0.1, ema=0.5, cache="on",
    )  # fmt: skip
    alone = finetune(request, tmp_path / "alone", machine=Machine(Resources(device="cpu")))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29713"]
    command += ["-m", "frbias", "finetune", "--frozen", "1,2,3", "--epochs", "3", "--batch-size", "8", "--lr", "0.001"]
    command += ["--validation", "0.25", "--keep", "0.1", "--ema", "0.5", "--cache", "on", "--device", "cpu"]
    command += ["--weights", weights, "--data", str(people.root), "--out", str(tmp_path / "together")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    together = load_file(tmp_path / "together" / "checkpoints" / "last" / "backbone.safetensors")
    one, start = load_file(tmp_path / "alone" / "checkpoints" / "last" / "backbone.safetensors"), load_file(weights)
    way = sum(float((start[k].float() - one[k].float()).square().sum()) for k in one)
    apart = sum(float((together[k].float() - one[k].float()).square().sum()) for k in one)
    assert way > 0
    assert apart <= 1e-3**2 * way
    assert (tmp_path / "together" / "metrics.jsonl").read_text().count("\n") == len(alone.metrics) == 4
