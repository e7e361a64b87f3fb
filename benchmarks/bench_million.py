"""A synthetic table of a million images: read, write, hash, plan and journal, each beside what pandas takes to read it.

``python benchmarks/bench_million.py [--rows 1000000]``; ends with 1 when one of them takes more than four times as long as
``pandas.read_csv`` on the same file in the same run, or when the process needs more than 1.5 GB. Each in a process of its
own, two turns, of which the faster counts. Then verification of 200,000 512-D embeddings (``--verify``; minutes) beside the
blocked product in the same process; 1 too when it has less than 0.75 of that rate, or needs more than 2 GB.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SLOWEST, MOST_BYTES = 4.0, 1.5e9
VERIFY_FLOOR, VERIFY_BYTES = 0.75, 2e9
WAYS = ("read", "write", "hash", "plan", "journal")
UNIT = 8
TURNS = 2


def make_table(root: Path, rows: int) -> None:
    """Ten images a person, with five face points, as a detector gives them."""
    from frbias.core.data.samples import POINT_COLUMNS, SampleTable, write_samples

    rng, who = np.random.default_rng(0), np.arange(rows) // 10
    frame = pd.DataFrame(
        {
            "file_name": [f"s{w:06d}/s{w:06d}_{k % 10}.png" for k, w in enumerate(who)],
            "subject": [f"s{w:06d}" for w in who],
            "age": rng.integers(0, 80, rows).astype(np.float64),
            "sex": np.where(rng.random(rows) < 0.5, "m", "f"),
            "detector_score": rng.random(rows).round(6),
            **{name: (rng.random(rows) * 112).round(3) for name in POINT_COLUMNS},
        }
    )
    write_samples(SampleTable(root, frame))


def make_journal(out: Path, table_of: Path) -> None:
    """Units of an alignment that was cut off when all but the table was written; names of files, no files."""
    from frbias.core.data.journal import append
    from frbias.core.data.samples import read_samples
    from frbias.core.foundation.folders import JOURNAL

    frame = read_samples(table_of).frame
    (out / JOURNAL).mkdir(parents=True)
    for folder in dict.fromkeys(name.rpartition("/")[0] for name in frame["file_name"]):
        (out / folder).mkdir()
    for name in frame["file_name"]:
        (out / name).touch()
    records = frame.to_dict("records")
    os.fsync = lambda handle: None  # type: ignore[assignment]  # writing is not what is measured
    with (out / JOURNAL / "rank-0.jsonl").open("wb") as stream:
        for start in range(0, len(records), UNIT):
            append(
                stream, f"{start:08d}", [{str(k): v for k, v in r.items()} for r in records[start : start + UNIT]], []
            )


def one(way: str, root: Path) -> tuple[float, float]:
    """Seconds and bytes that something takes in this process."""
    from frbias.core.data.journal import Journal, read_journal
    from frbias.core.data.samples import read_samples, write_samples
    from frbias.core.stages.align import AlignProducer
    from frbias.core.stages.requests.align import AlignOptions

    def rows_of(journal: Journal) -> pd.DataFrame:
        return journal.frame(list(journal))

    table = None if way in ("pandas", "read", "journal") else read_samples(root / "set")
    work: dict[str, Callable[[], object]] = {
        "pandas": lambda: pd.read_csv(root / "set" / "metadata.csv"),
        "read": lambda: read_samples(root / "set"),
        "write": lambda: table and write_samples(table, root / "written"),
        "hash": lambda: table and table.content_hash(),
        "plan": lambda: table and AlignProducer(table, AlignOptions(detector="points")).plan(),
        "journal": lambda: rows_of(read_journal(root / "out")),
    }
    began = time.perf_counter()
    kept = work[way]()
    seconds = time.perf_counter() - began
    del kept
    return seconds, peak_memory()


def peak_memory() -> int:
    """Bytes that this program had at most; what the one that started it had is not among them, as in ``ru_maxrss``."""
    try:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(line.split()[1]) * 1024


def in_process(way: str, root: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--one", way, str(root)], capture_output=True, text=True, check=True
    )
    seconds, size = done.stdout.split()
    return float(seconds), float(size)


def table(rows: int) -> bool:
    """Measure all of them; whether each is within its bounds."""
    good = True
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_table(root / "set", rows)
        make_journal(root / "out", root / "set")
        (root / "written").mkdir()
        size = (root / "set" / "metadata.csv").stat().st_size
        print(f"{rows:,} rows, {size / 1e6:.0f} MB of CSV")
        for way in WAYS:
            turns = [(in_process("pandas", root), in_process(way, root)) for _ in range(TURNS)]
            floor = min(seconds for (seconds, _), _ in turns)  # the better turn of each: what else runs takes from both
            seconds, taken = min(one[0] for _, one in turns), max(one[1] for _, one in turns)
            good &= seconds <= SLOWEST * floor and taken <= MOST_BYTES
            print(
                f"  {way:8s} {seconds:6.2f} s   pandas reads it in {floor:5.2f} s: {seconds / floor:4.1f}x   {taken / 1e9:.2f} GB"
            )
    return good


def verification(count: int) -> bool:
    """Verification of ``count`` embeddings against the rate of the blocked product alone."""
    from frbias.core.verification.evaluation import evaluate_embeddings

    if count < 3 * 4096:
        raise SystemExit("--verify needs at least 12,288 embeddings, or 0")
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, count // 12, count)
    ages = rng.integers(0, 80, count).astype(np.float64)
    vectors = rng.standard_normal((count, 512), np.float32)
    vectors += 12 * rng.standard_normal((count // 12, 512), np.float32)[subjects]

    def product_rate(block: int = 2048, tiles: int = 40) -> float:
        began = time.perf_counter()
        for number in range(tiles):
            first = (number * block) % (count - 2 * block)
            vectors[first : first + block] @ vectors[first + block : first + 2 * block].T
        return tiles * block * block / (time.perf_counter() - began)

    rate = product_rate()
    began = time.perf_counter()
    evaluate_embeddings(vectors, subjects, ages, bootstrap=0, name="synthetic")
    pairs = count * (count - 1) / 2
    found = pairs / (time.perf_counter() - began)
    size = peak_memory()
    rate = max(rate, product_rate())  # before and after: other work may come and go
    print(
        f"verification of {count:,} x 512: {found / 1e6:,.0f} million pairs/s, {found / rate:.2f} of the blocked product's "
        f"{rate / 1e6:,.0f}; {size / 1e9:.2f} GB; 1,000,000 would take {5e11 / found / 3600:.1f} h on this machine"
    )
    return found >= VERIFY_FLOOR * rate and size <= VERIFY_BYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--verify", type=int, default=200_000)
    parser.add_argument("--one", nargs=2)
    options = parser.parse_args()
    if options.one:
        print(*one(options.one[0], Path(options.one[1])))
        return 0
    print(f"load {os.getloadavg()[0]:.1f} before")
    good = table(options.rows) if options.rows else True
    if options.verify and options.rows:  # in a process of its own, whose memory is its own
        alone = [sys.executable, __file__, "--rows", "0", "--verify", str(options.verify)]
        good &= subprocess.run(alone, check=False).returncode == 0
    elif options.verify:
        good &= verification(options.verify)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
