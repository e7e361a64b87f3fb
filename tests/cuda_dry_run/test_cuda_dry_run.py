"""frbias on a CUDA device that is not there (:mod:`device`): no mixed devices, the CPU's results, few waits of the host.

The cases run in a process of their own, because torch learns of the device there for good. What is counted is what costs
on a real GPU: a training step waits for nothing and takes one batch and one copy of labels to the device.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
PINNED = next(
    line.removeprefix("torch==").strip()
    for line in (HERE.parents[1] / "constraints.txt").read_text().splitlines()
    if line.startswith("torch==")
)
# case: copies to the device, copies back, other waits, at most
BOUNDS: Mapping[str, tuple[int, int, int]] = {
    "backbone_iresnet": (3, 0, 0),  # the faces, and the constants of the pixels
    "backbone_adaface": (3, 0, 0),
    "backbone_mobilefacenet": (3, 0, 0),
    "backbone_sface": (3, 0, 0),
    "embedding": (8, 6, 0),  # 3 batches, each face and its mirror image
    "training_cached": (2, 0, 0),  # of one step
    "training_uncached": (4, 0, 0),  # of one step in two parts
    "training_of_all": (2, 0, 0),
    "training_bf16": (2, 0, 0),
    "training_fp16": (0, 0, 0),  # not counted: its scaler has to look at the gradients
    "resuming": (0, 0, 0),
    "cusp": (8, 1, 0),  # two faces and three pictures of them
    "eg3d": (13, 1, 4),  # two people from two poses
    "age_estimator": (4, 2, 0),  # two batches
    "accelerator": (8, 8, 0),  # ten tiles, eight at a time: one copy each time; what was counted comes back once
    "planted": (0, 0, 0),
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    if torch.__version__.split("+")[0] != PINNED:
        pytest.skip(f"the pretended device stands on private parts of torch {PINNED}")
    folder = tmp_path_factory.mktemp("dry")
    command = [sys.executable, str(HERE / "dry_run.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.stdout, done.stderr[-3000:]
    return {line["case"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.xdist_group("cuda_dry_run")
def test_every_case_runs_as_on_the_cpu(lines: dict[str, dict[str, Any]]) -> None:
    assert {name: line["error"] for name, line in lines.items() if "error" in line} == {}
    assert lines.keys() == BOUNDS.keys()


@pytest.mark.xdist_group("cuda_dry_run")
@pytest.mark.parametrize("case", [name for name, bounds in BOUNDS.items() if any(bounds)])
def test_the_host_waits_and_copies_no_more_than_it_has_to(lines: dict[str, dict[str, Any]], case: str) -> None:
    counted = lines[case]["counted"]
    found = tuple(counted[kind]["total"] for kind in ("to_device", "back", "waits"))
    assert all(one <= most for one, most in zip(found, BOUNDS[case], strict=True)), counted
    assert found[0] > 0
