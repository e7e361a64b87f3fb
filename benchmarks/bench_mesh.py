"""The mesh generator: CPU time per image and its parts, and how a detector and a recogniser take its faces.

    python benchmarks/bench_mesh.py [--subjects 60] [--speed-only]

Speed is CPU time of one process. The floor of the rasteriser is OpenCV's polygon filler drawing the
same triangles back to front (painter's algorithm), in the same run.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from frbias.core.faces.align import align_arcface
from frbias.core.faces.detect import load_detector
from frbias.core.recognisers.loading import load_trainable
from frbias.synth.mesh.drawing import SUPERSAMPLING
from frbias.synth.mesh.faces import RenderedFace, Sitter
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.raster import rasterise

AGES = (5.0, 15.0, 25.0, 40.0, 55.0, 70.0)
VARIANTS = 2
FIRST = 1000


def cpu_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Least CPU time of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def speed() -> None:
    Sitter(0, 0).portray(30, 0)
    start = time.process_time()
    for subject in range(4):
        sitter = Sitter(0, FIRST + subject)
        for age in AGES:
            for variant in range(VARIANTS):
                sitter.portray(age, variant)
    each = (time.process_time() - start) / (4 * len(AGES) * VARIANTS)
    sitter = Sitter(0, FIRST)
    sitter.portray(30, 0)
    again = cpu_seconds(lambda: sitter.portray(30, 1))
    print(f"{'256 x 256 image, all in (6 ages x 2 variants a person)':58s} {each:.3f} CPU-s")
    print(f"{'  of it drawing one more view at the same age':58s} {again:.3f} CPU-s  {again / each:.0%}")
    rasteriser()


def rasteriser() -> None:
    head = load_head()
    size = 256 * SUPERSAMPLING
    scale = size / 3.0
    points = np.column_stack(
        [
            size / 2 + head.template[:, 0] * scale,
            size / 2 - (head.template[:, 1] - 7.1) * scale,
            10 - head.template[:, 2],
        ]
    ).astype(np.float32)
    ours = cpu_seconds(lambda: rasterise(points, head.triangles, (size, size)))

    def painter() -> None:
        canvas = np.full((size, size), -1, np.int32)
        order = np.argsort(-points[head.triangles, 2].mean(axis=1))
        corners = np.round(points[head.triangles, :2]).astype(np.int32)
        for number in order:
            cv2.fillConvexPoly(canvas, corners[number], int(number))

    theirs = cpu_seconds(painter, 3)
    print(f"{'z-buffer of the head, 39 760 triangles at 512 x 512':58s} {1e3 * ours:.1f} ms CPU")
    print(f"{'  floor: OpenCV fillConvexPoly, back to front':58s} {1e3 * theirs:.1f} ms CPU  ratio {ours / theirs:.2f}")


def quality(subjects: int) -> None:
    import torch

    model = load_trainable("sface", "the benchmark").model.eval()
    detector = load_detector("yunet")
    vectors, people, ages, scores = [], [], [], []
    count = 0
    for subject in range(FIRST, FIRST + subjects):
        sitter = Sitter(0, subject)
        for age in AGES:
            for variant in range(VARIANTS):
                face: RenderedFace = sitter.portray(age, variant)
                count += 1
                found = detector.detect(face.image)
                if not found:
                    continue
                best = max(found, key=lambda one: one.score)
                crop = align_arcface(face.image, best.points).image
                with torch.inference_mode():
                    vector = model(model.preprocess(torch.from_numpy(crop[None])))[0].numpy()
                vectors.append(vector / np.linalg.norm(vector))
                people.append(subject)
                ages.append(age)
                scores.append(best.score)
    print(
        f"YuNet finds {len(scores)} of {count} faces ({len(scores) / count:.2%}), median score {np.median(scores):.3f}"
    )
    report(np.array(vectors), np.array(people), np.array(ages))


def report(vectors: np.ndarray, people: np.ndarray, ages: np.ndarray) -> None:
    i, j = np.triu_indices(len(people), 1)
    cosine = np.einsum("pd,pd->p", vectors[i], vectors[j])
    mated, same_age = people[i] == people[j], ages[i] == ages[j]
    rows = [("same age", same_age), ("across ages", ~same_age), ("all", np.ones_like(mated))]
    rows += [(f"  at {age:g} years", same_age & (ages[i] == age)) for age in AGES]
    print(f"SFace cosine: {'':18s} mated  non-mated   EER")
    for name, chosen in rows:
        own, other = cosine[chosen & mated], cosine[chosen & ~mated]
        print(f"  {name:29s} {own.mean():.3f}    {other.mean():.3f}  {equal_error_rate(own, other):6.2%}")


def equal_error_rate(mated: np.ndarray, other: np.ndarray) -> float:
    thresholds = np.sort(np.concatenate([mated, other]))
    miss = np.searchsorted(np.sort(mated), thresholds, side="left") / len(mated)
    false = 1 - np.searchsorted(np.sort(other), thresholds, side="left") / len(other)
    best = np.abs(miss - false).argmin()
    return float(miss[best] + false[best]) / 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--speed-only", action="store_true")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    speed()
    if not chosen.speed_only:
        quality(chosen.subjects)
