"""A fine-tuning step with stem, 1, 2, 3 frozen: the thesis way beside the cached frozen prefix, in one run.

    python benchmarks/bench_training.py [--backbone iresnet50] [--batch 25] [--threads 2] [--repeats 7] [--rounds 3]

*thesis way*: gradients of the frozen stages switched off, the network in training mode, every image through all of it
in every step, torch's plain SGD.
*cached prefix*: features of the frozen stages from the memory-mapped cache, and the rest as ``frbias finetune`` does it.

Every way runs in a process of its own, in turns; the best time counts. ``frbias`` tells glibc to keep freed memory
(``frbias.core.foundation.memory``); a plain torch script does not. The thesis way is therefore shown with and without that.
The exit code is 1 when a floor is missed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from frbias.core.data.samples import make_table
from frbias.core.foundation.devices import World
from frbias.core.foundation.memory import keep_freed_memory
from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.recognisers.trainable.weights import build
from frbias.core.training.cache import Features, Prefix, cached_features, has_amx
from frbias.core.training.freezing import freeze, freezing, set_modes
from frbias.core.training.losses import MarginLoss
from frbias.core.training.options import FinetuneOptions, stages_named
from frbias.core.training.pixels import FaceSet
from frbias.core.training.schedule import make_optimiser, parameter_groups
from frbias.core.training.step import TrainStep

FROZEN = stages_named("1,2,3")
# Least times faster than the usual way; that of bf16 where the processor has AMX.
FLOORS = {"cached prefix": 3.5, "cached prefix, bf16": 6.0}


def fresh(backbone: str, amp: str) -> tuple[TrainStep, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = calibrated(build(backbone))
    loss = MarginLoss(70, model.embedding_dim)
    freeze(model, FROZEN)
    set_modes(model, FROZEN, frozen_bn="eval", trained_bn="eval")
    options = FinetuneOptions(frozen=FROZEN)
    optimiser = make_optimiser(parameter_groups(model, loss, options), options)
    return TrainStep(model, freezing(FROZEN).tail, loss, keep=0.0, amp=amp), optimiser


@torch.no_grad()
def calibrated(model: Backbone) -> Backbone:
    """BatchNorm statistics of random pictures, so that random weights give ordinary features."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(torch.rand(8, 3, 112, 112) * 2 - 1)
    return model


def finish(loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def thesis_way(backbone: str, faces: FaceSet, labels: torch.Tensor) -> Callable[[], None]:
    torch.manual_seed(0)
    model = calibrated(build(backbone))
    loss = MarginLoss(70, model.embedding_dim)
    freeze(model, FROZEN)
    model.train()
    parameters = [*model.parameters(), *loss.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4)

    def run() -> None:
        embeddings = model(model.preprocess(torch.from_numpy(faces.pixels)))
        finish(loss(embeddings, labels), optimiser)

    return run


def uncached_way(backbone: str, faces: FaceSet, labels: torch.Tensor) -> Callable[[], None]:
    step, optimiser = fresh(backbone, "off")
    features = Features(faces, Prefix(step.model, freezing(FROZEN).prefix, "fp32"))
    rows = np.arange(len(labels))

    def run() -> None:
        finish(step(features.batch(rows, np.zeros_like(rows)), labels, None)[0], optimiser)

    return run


def cached_way(backbone: str, faces: FaceSet, labels: torch.Tensor, amp: str) -> Callable[[], None]:
    step, optimiser = fresh(backbone, amp)
    prefix = Prefix(step.model, freezing(FROZEN).prefix, "fp32")
    features = cached_features(faces, prefix, [0, 1], "fp16", world=World(), barrier=lambda: None)
    rows = np.arange(len(labels))
    views = rows % 2

    def run() -> None:
        finish(step(features.batch(rows, views), labels, None)[0], optimiser)

    return run


WAYS: dict[str, Callable[[str, FaceSet, torch.Tensor], Callable[[], None]]] = {
    "thesis way": thesis_way,
    "thesis way, freed memory kept": thesis_way,
    "prefix without gradient": uncached_way,
    "cached prefix": lambda *given: cached_way(*given, "off"),
    "cached prefix, bf16": lambda *given: cached_way(*given, "bf16"),
}


def time_one(way: str, backbone: str, batch: int, threads: int, repeats: int) -> float:
    """Best seconds of a step, measured in this process."""
    torch.set_num_threads(threads)
    if way != "thesis way":
        keep_freed_memory()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch, 112, 112, 3), dtype=np.uint8)
    table = make_table(Path("."), [{"file_name": f"{i}.png", "subject": str(i), "age": 20.0} for i in range(batch)])
    faces, labels = FaceSet(table, pixels, [], "benchmark"), torch.arange(batch) % 70
    with tempfile.TemporaryDirectory() as home:
        os.environ["FRBIAS_HOME"] = home
        step = WAYS[way](backbone, faces, labels)
        best = float("inf")
        for _ in range(repeats + 1):
            start = time.perf_counter()
            step()
            best = min(best, time.perf_counter() - start)
    return best


def child(way: str, given: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--way", way, "--backbone", given.backbone, "--batch", str(given.batch)]
    command += ["--threads", str(given.threads), "--repeats", str(given.repeats)]
    environment = os.environ if way == "thesis way" else {**os.environ, "THP_MEM_ALLOC_ENABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr}")
    return float(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="iresnet50")
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(time_one(given.way, given.backbone, given.batch, given.threads, given.repeats))
        return 0
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(given.rounds):
        for way in WAYS:
            best[way] = min(best[way], child(way, given))
    print(f"{given.backbone}, batch {given.batch}, frozen stem,1,2,3, {given.threads} threads, {platform.machine()}")
    print(
        f"AMX: {'yes' if has_amx() else 'no (bf16 has no matrix unit on this processor)'}; load {os.getloadavg()[0]:.1f}"
    )
    usual = best["thesis way"]
    for name, seconds in best.items():
        print(f"{name:30s} {seconds:7.3f} s/step  {usual / seconds:5.2f}x")
    print(json.dumps({"seconds": best, "amx": has_amx(), "load": os.getloadavg()[0]}))
    wanted = {name: floor for name, floor in FLOORS.items() if "bf16" not in name or has_amx()}
    missed = [
        f"{name}: {usual / best[name]:.2f}x, at least {floor:g}x"
        for name, floor in wanted.items()
        if usual / best[name] < floor
    ]
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
