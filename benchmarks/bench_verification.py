"""Evaluation against the bare product of the embeddings, and against pyeer and evalify on the same task.

    python benchmarks/bench_verification.py [--sizes 1002,5000,20000] [--huge] [--peer-time SECONDS]

Every size is measured in this one run: the floor ``E @ E.T`` (float32, all cores, the matrix written out), the
complete evaluation by frbias (all pairs, groups, every measure at three targets, noise floors, age tables; figures
excluded, and once more with the points of all figures) in a process of its own (peak memory above an idle interpreter that has imported frbias is printed too), and the
peers in environments of their own, which ``make bench`` makes (``tools/setup_peers.py``; evalify pins an old pandas).
FRBIAS_PYEER_PYTHON and FRBIAS_EVALIFY_PYTHON name others.

pyeer is given the finished scores; evalify makes them itself from the embeddings, all pairs. Times are the smallest
of the repetitions, which alternate between floor and evaluation. The exit code is 1 when a goal is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PEERS = Path(__file__).resolve().parent.parent / ".peers"
DIMENSION, PER_SUBJECT, GROUPS = 512, 12.2, "0-9,10-19,20-39,40-69"
TARGETS = (0.1, 0.01, 0.001)
GOALS = {1002: "<= 0.3 s, >= 5x peers", 5000: "<= 5x floor, >= 40x peers", 20000: "<= 2.5x floor, <= 600 MB"}
# Most seconds, times the bare product, MB; least times faster than each peer.
LIMITS = {1002: (0.3, None, None, 5.0), 5000: (None, 5.0, None, 40.0), 20000: (None, 2.5, 600.0, None)}
PAIRED_SECONDS = 5.0
HUGE_LIMITS = (0.5, 1500.0)  # least share of the bare rate, most MB
PYEER = """
import sys, time, json, numpy as np
from pyeer.eer_info import get_eer_stats
data = np.load(sys.argv[1])
genuine, impostor = data["genuine"], data["impostor"]
start = time.perf_counter(); get_eer_stats(genuine, impostor)
print(json.dumps({"seconds": time.perf_counter() - start}))
"""
EVALIFY = """
import sys, time, json, numpy as np
from evalify import Experiment
data = np.load(sys.argv[1])
start = time.perf_counter()
# ("full", "full") is every non-mated pair; "full" alone takes one image of each class.
everything = dict(same_class_samples="full", different_class_samples=("full", "full"))
experiment = Experiment(metrics=("cosine_similarity",), **everything)
done = experiment.run(data["matrix"], data["subjects"], batch_size=100_000)
assert len(done) == len(data["matrix"]) * (len(data["matrix"]) - 1) // 2, f"evalify made {len(done)} pairs"
experiment.threshold_at_fpr(0.001) if hasattr(experiment, "threshold_at_fpr") else experiment.find_threshold_at_fpr(0.001)
experiment.eer()
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def population(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    subjects = rng.integers(0, max(2, round(count / PER_SUBJECT)), count)
    ages = np.floor(rng.gamma(1.6, 9.5, count)).clip(0, 69)
    centres = rng.standard_normal((subjects.max() + 1, DIMENSION), dtype=np.float32)
    matrix = centres[subjects] + 2.2 * rng.standard_normal((count, DIMENSION), dtype=np.float32)
    return matrix, subjects, ages


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def evaluate_once(count: int, bootstrap: int, repetitions: int, curves: bool) -> dict[str, float]:
    """Run by a process of its own: times and peak memory of the complete evaluation."""
    from frbias.core.verification.evaluation import evaluate_embeddings

    warm = population(400)
    evaluate_embeddings(*warm, groups=GROUPS, bootstrap=bootstrap, curves=curves)
    matrix, subjects, ages = population(count)
    idle = peak_mb()
    times, done = [], None
    for _ in range(repetitions):
        del done  # the peak is that of one evaluation
        start = time.perf_counter()
        done = evaluate_embeddings(
            matrix, subjects, ages, groups=GROUPS, targets=TARGETS, bootstrap=bootstrap, curves=curves
        )
        times.append(time.perf_counter() - start)
    garbe = done.at(0.01).measures["garbe"].value
    return {"seconds": min(times), "peak_mb": peak_mb(), "idle_mb": idle, "garbe": -1.0 if garbe is None else garbe}


def paired_once(count: int) -> dict[str, float]:
    """1000 paired replicates for two models, everything included."""
    from frbias.core.verification.paired import compare_embeddings

    matrix, subjects, ages = population(count)
    other = matrix + 0.3 * np.random.default_rng(1).standard_normal(matrix.shape, dtype=np.float32)
    compare_embeddings(matrix[:400], other[:400], subjects[:400], ages[:400], groups=GROUPS)
    start = time.perf_counter()
    compare_embeddings(matrix, other, subjects, ages, groups=GROUPS, targets=TARGETS, bootstrap=1000)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def floor_once(count: int, repetitions: int) -> dict[str, float]:
    """The bare product: float32 ``E @ E.T`` of unit vectors."""
    matrix, _, _ = population(count)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        product = matrix @ matrix.T
        times.append(time.perf_counter() - start)
        del product
    return {"seconds": min(times)}


def blocked_once(count: int, side: int = 2048) -> dict[str, float]:
    """The bare blocked product of a large set (upper triangle of blocks), timed on part of the blocks."""
    matrix, _, _ = population(count)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    out, pairs, spent = np.empty((side, side), np.float32), 0, 0.0
    for first in range(0, min(count, 8 * side) - side + 1, side):
        for second in range(first, min(count, 16 * side) - side + 1, side):
            start = time.perf_counter()
            np.matmul(matrix[first : first + side], matrix[second : second + side].T, out=out)
            spent += time.perf_counter() - start
            pairs += side * side
    return {"pairs_per_second": pairs / spent}


def child(task: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peer(name: str, program: str, file: Path, limit: float) -> float | str:
    python = os.environ.get(f"FRBIAS_{name.upper()}_PYTHON", str(PEERS / f"peer-{name}" / "bin" / "python"))
    if not Path(python).is_file():
        return "not installed (python tools/setup_peers.py)"
    try:
        done = subprocess.run(
            [python, "-c", program, str(file)], capture_output=True, text=True, check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"longer than {limit:.0f} s"
    if done.returncode:
        return f"{name} failed: {done.stderr.strip().splitlines()[-1]}"
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def peers_of(count: int, limit: float) -> dict[str, float | str]:
    matrix, subjects, _ = population(count)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    first, second = np.triu_indices(count, k=1)
    scores = np.concatenate([np.einsum("ij,ij->i", unit[a], unit[b]) for a, b in _parts(first, second)])
    mated = subjects[first] == subjects[second]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "set.npz"
        np.savez(file, matrix=matrix, subjects=subjects, genuine=scores[mated], impostor=scores[~mated])
        return {
            "pyeer (given the scores)": peer("pyeer", PYEER, file, limit),
            "evalify (all pairs)": peer("evalify", EVALIFY, file, limit),
        }


def _parts(first: np.ndarray, second: np.ndarray, size: int = 200_000) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(first[k : k + size], second[k : k + size]) for k in range(0, len(first), size)]


def report(count: int, peer_limit: float) -> list[str]:
    """Print one size; gives the goals that were missed."""
    repetitions = 7 if count <= 2000 else 3 if count <= 8000 else 2
    pairs = count * (count - 1) // 2
    runs = [(child("floor", count, repetitions), child("evaluate", count, 0, repetitions, "plain")) for _ in range(3)]
    floor = min(f["seconds"] for f, _ in runs)
    best = min((e for _, e in runs), key=lambda e: e["seconds"])
    ratio = best["seconds"] / floor
    most_seconds, most_ratio, most_mb, least_faster = LIMITS.get(count, (None,) * 4)
    missed = [
        f"{count:,}: {name} {value:.3g}, at most {most:g}"
        for name, value, most in (
            ("seconds", best["seconds"], most_seconds),
            ("times the bare product", ratio, most_ratio),
            ("MB", best["peak_mb"], most_mb),
        )
        if most is not None and value > most
    ]
    print(f"\n{count:,} embeddings, {pairs:,} pairs, {DIMENSION}-D          goal: {GOALS.get(count, '-')}")
    print(f"  bare E @ E.T                 {floor:9.4f} s")
    print(f"  frbias, complete             {best['seconds']:9.4f} s   {ratio:6.2f}x the bare product")
    print(
        f"  frbias, peak memory          {best['peak_mb']:9.0f} MB  ({best['idle_mb']:.0f} MB before the first evaluation)"
    )
    if count <= 8000:
        drawn = child("evaluate", count, 0, repetitions, "curves")
        print(f"  frbias, with figures' points {drawn['seconds']:9.4f} s   DET, distributions, fairness over FMR")
    if count <= 2000:
        paired = child("paired", count)
        print(f"  frbias, 1000 paired draws    {paired['seconds']:9.4f} s   two models, everything     goal: <= 5 s")
        if paired["seconds"] > PAIRED_SECONDS:
            missed.append(f"{count:,}: 1000 paired draws in {paired['seconds']:.1f} s, at most {PAIRED_SECONDS:g}")
        booted = child("evaluate", count, 1000, 3, "curves")
        print(f"  frbias, 1000 draws           {booted['seconds']:9.4f} s   one model, everything")
    if count <= 8000:
        for name, seconds in peers_of(count, peer_limit).items():
            if isinstance(seconds, str):
                print(f"  {name:28} {seconds}")
                continue
            faster = seconds / best["seconds"]
            print(f"  {name:28} {seconds:9.4f} s   frbias is {faster:.1f}x faster")
            if least_faster is not None and faster < least_faster:
                missed.append(f"{count:,}: {faster:.1f}x faster than {name}, at least {least_faster:g}")
    return missed


def report_huge(count: int = 100_000) -> list[str]:
    """Print the largest size; gives the goals that were missed."""
    floor = child("blocked", count)["pairs_per_second"]
    done = child("evaluate", count, 0, 1, "plain")
    rate = count * (count - 1) / 2 / done["seconds"]
    print(f"\n{count:,} embeddings, {count * (count - 1) // 2:,} pairs          goal: >= 0.5x the rate, <= 1500 MB")
    print(f"  bare blocked product         {floor / 1e6:9.1f} million pairs/s")
    print(f"  frbias, complete             {rate / 1e6:9.1f} million pairs/s   {rate / floor:.2f}x the bare rate")
    print(f"  frbias, time and peak memory {done['seconds']:9.1f} s, {done['peak_mb']:.0f} MB")
    missed = []
    if rate / floor < HUGE_LIMITS[0]:
        missed.append(f"{count:,}: {rate / floor:.2f}x the bare rate, at least {HUGE_LIMITS[0]:g}")
    if done["peak_mb"] > HUGE_LIMITS[1]:
        missed.append(f"{count:,}: {done['peak_mb']:.0f} MB, at most {HUGE_LIMITS[1]:g}")
    return missed


TASKS = {
    "floor": lambda a: floor_once(int(a[0]), int(a[1])),
    "evaluate": lambda a: evaluate_once(int(a[0]), int(a[1]), int(a[2]), a[3] == "curves"),
    "paired": lambda a: paired_once(int(a[0])),
    "blocked": lambda a: blocked_once(int(a[0])),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1002,5000,20000")
    parser.add_argument("--huge", action="store_true", help="also 100,000 embeddings (5 billion pairs; a minute)")
    parser.add_argument("--peer-time", type=float, default=150, help="seconds a peer may take")
    parser.add_argument("--task", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        print(json.dumps(TASKS[given.task[0]](given.task[1:])))
        return 0
    print(f"Verification, {len(os.sched_getaffinity(0))} cores")
    missed = [line for size in filter(None, given.sizes.split(",")) for line in report(int(size), given.peer_time)]
    if given.huge:
        missed += report_huge()
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
