"""Whether the host can feed a GPU: embedding and training with the network stubbed out, beside the bare decoder.

``python benchmarks/bench_feeding.py [--images 20000]``; a floor that is missed ends with 1.

*Embedding*: everything of the stage but the forward pass (hashing, reading, decoding, tiling, parts on disk), against
``cv2.imdecode`` alone of the same bytes in memory on all cores, measured before and after in the same run. First turns know
nothing of the files and hash each; the very first one also loads what the process needs. Later turns find the hashes.
Both kinds are held to the floor.

*Training*: gathering and augmenting (``--augment fresh``) alone on all cores, against the same beside a stubbed step of a
batch of 512 that takes as long on the device as its images take on the host: what is lost is what is not overlapped.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import torch

from frbias.core.data.images import encode_png
from frbias.core.data.samples import SampleTable, make_table, write_samples
from frbias.core.foundation.devices import World, usable_cores
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.recognisers.base import Description
from frbias.core.stages.embed import embed_table
from frbias.core.training.augment import view
from frbias.core.training.batches import FRESH
from frbias.core.training.cache import Features, Prefix
from frbias.core.training.pixels import FaceSet

EMBEDDING_FLOOR, TRAINING_FLOOR = 0.85, 0.90
SIDE, DIMENSION, BATCH, TURNS, ROUNDS = 112, 512, 512, 4, 7
DESCRIPTION = Description("stub", DIMENSION, (SIDE, SIDE), False, "stub")


@dataclass(frozen=True)
class Stub:
    """A recogniser that takes no time."""

    name: str = "stub"
    sha256: str = "0"
    input_size: tuple[int, int] = (SIDE, SIDE)
    embedding_length: int = DIMENSION
    description: Description = DESCRIPTION

    def on(self, device: str) -> Self:
        return self

    def embed(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.broadcast_to(faces[:, :1, 0, 0].astype(np.float32) + 1, (len(faces), DIMENSION))


def faces(count: int) -> npt.NDArray[np.uint8]:
    """Smooth patterns with a little noise, about as large as PNG as a photographed face (20 kB)."""
    rng = np.random.default_rng(0)
    small = rng.uniform(30, 225, (count, 7, 7, 3)).astype(np.float32)
    smooth = np.stack([cv2.resize(s, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for s in small])
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def write_set(root: Path, count: int) -> SampleTable:
    """An aligned set of ``count`` images: 500 different ones, written again and again."""
    encoded = [encode_png(face) for face in faces(500)]
    rows = []
    for number in range(count):
        folder = f"s{number // 100:05d}"
        (root / folder).mkdir(parents=True, exist_ok=True)
        name = f"{folder}/{number:07d}.png"
        (root / name).write_bytes(encoded[number % len(encoded)])
        rows.append({"file_name": name, "subject": folder, "age": 20.0})
    table = make_table(root, rows)
    write_samples(table)
    return table


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def embedding(root: Path, images: int) -> tuple[float, float]:
    """Images/s of the stage as a share of the bare decoder's, the medians of first turns and of later ones."""
    table = write_set(root / "set", images)
    data = [np.frombuffer(path.read_bytes(), np.uint8) for path in table.paths]
    cv2.setNumThreads(1)

    def bare() -> None:
        with ThreadPoolExecutor(usable_cores()) as pool:
            for _ in pool.map(lambda part: [cv2.imdecode(d, cv2.IMREAD_COLOR) for d in part], parts):
                pass

    parts = [data[k : k + 256] for k in range(0, len(data), 256)]
    ratios: tuple[list[float], list[float]] = ([], [])
    before = seconds(bare)
    for number in range(2 * TURNS):
        kind, out = number % 2, root / f"out-{number}"
        if kind == 0:
            os.environ["FRBIAS_HOME"] = str(root / f"home-{number}")
        taken = seconds(lambda out=out: embed_table(table, Stub(), out, machine=Machine(Resources(device="cpu"))))
        after = seconds(bare)
        floor, before = (before + after) / 2, after  # other work comes and goes
        ratios[kind].append(floor / taken)
        known = "identity by size and time" if kind else f"every file hashed{'' if number else ', everything loaded'}"
        print(
            f"  imdecode alone {images / floor:8,.0f}/s   stage {images / taken:8,.0f}/s   {floor / taken:.2f}  ({known})"
        )
    return float(np.median(ratios[0])), float(np.median(ratios[1]))


class Stubbed(Prefix):
    """Preprocessing without any: what is gathered goes nowhere."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def of(self, faces: torch.Tensor) -> torch.Tensor:
        return faces


def training() -> float:
    """Images/s beside a stubbed step as a share of gathering and augmenting alone."""
    pixels = faces(2000)
    table = make_table(Path(), [{"file_name": f"{k}.png", "subject": "s", "age": 1} for k in range(len(pixels))])
    features = Features(FaceSet(table, pixels, [], ""), Stubbed())
    rng = np.random.default_rng(0)
    batches = [(rng.integers(0, len(pixels), BATCH), np.full(BATCH, FRESH + k)) for k in range(12)]
    cv2.setNumThreads(1)

    def augmented(rows: npt.NDArray[np.int64]) -> None:
        view(pixels[rows], rows, FRESH)

    def alone() -> None:
        with ThreadPoolExecutor(usable_cores()) as pool:
            for rows, _ in batches:
                list(pool.map(augmented, np.split(rows, 16)))

    ratios = []
    before = seconds(alone)
    for _ in range(ROUNDS):
        step = before / len(batches)

        def fed(step: float = step) -> None:
            for _ in features.feed(batches):
                time.sleep(step)  # the device computes, the host is free

        # the first batch is gathered before any step, as at the start of a training
        taken = seconds(fed) - step
        after = seconds(alone)
        floor, before = (before + after) / 2, after
        ratios.append(floor / taken)
        count = BATCH * len(batches)
        print(f"  alone {count / floor:8,.0f}/s   beside a step {count / taken:8,.0f}/s   {ratios[-1]:.2f}")
    return float(np.median(ratios))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8000)
    options = parser.parse_args()
    print(f"{usable_cores()} cores, load {os.getloadavg()[0]:.1f} before; world {World()}")
    with tempfile.TemporaryDirectory() as folder:
        print("embedding, forward pass stubbed out:")
        first, later = embedding(Path(folder), options.images)
    print(f"training, batches of {BATCH}, every image augmented anew:")
    augmenting = training()
    missed = 0
    for what, found, floor in (
        ("embedding, every file hashed", first, EMBEDDING_FLOOR),
        ("embedding, files known", later, EMBEDDING_FLOOR),
        ("training", augmenting, TRAINING_FLOOR),
    ):
        print(f"{what}: {found:.2f} of what the host can do (at least {floor})")
        missed += found < floor
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
