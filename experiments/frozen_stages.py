"""Which stages to freeze: SFace fine-tuned on mesh faces, evaluated on mesh people it has not seen.

Needs two aligned sets, made with::

    frbias generate --backend mesh --subjects 150 --ages 5,16,30,50,70 --variants 1 --seed 7 --out train_raw
    frbias generate --backend mesh --subjects 90 --first-subject 1000 --ages 5,16,30,50,70 --variants 2 --seed 7 --out test_raw
    frbias align train_raw --out train
    frbias align test_raw --out test

Then ``python frozen_stages.py train`` makes the runs (each can be cut and goes on), and
``python frozen_stages.py table`` compares them with the start model, paired, and prints the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHOICES = ("1,2,3,4", "1,2,3", "1,2", "1", "none")
SEEDS = (0, 1, 2)
SETTINGS = [
    "--recipe",
    "thesis",
    "--epochs",
    "2",
    "--batch-size",
    "25",
    "--lr",
    "0.01",
    "--warmup",
    "0.3",
    "--validation",
    "0",
    "--watch",
    "loss",
]
TARGET = 1e-2


def run_folder(frozen: str, seed: int, tag: str) -> Path:
    """Folder of one run."""
    return Path("runs") / f"frozen-{frozen.replace(',', '')}{tag}-seed{seed}"


def train(choices: list[str], extra: list[str], tag: str, prefix: list[str]) -> None:
    """Make the runs that are not there yet."""
    for seed in SEEDS:
        for frozen in choices:
            command = [sys.executable, "-m", "frbias", "finetune", "--frozen", frozen, "--seed", str(seed), *SETTINGS]
            command += ["--data", "train", "--out", str(run_folder(frozen, seed, tag)), *extra]
            while subprocess.run([*prefix, *command], check=False).returncode not in (0, 1, 2, 3):
                pass


def table(tags: list[str]) -> None:
    """Evaluate every finished run against the start model and print one row each."""
    from frbias.core.data.samples import read_samples
    from frbias.core.training.pixels import read_faces
    from frbias.core.verification.paired import compare_embeddings

    faces = read_faces(read_samples(Path("test")))
    start = embeddings(faces, "sface", "none")
    rows: list[dict[str, Any]] = []
    for tag, frozen, seed in ((t, c, s) for t in tags for c in CHOICES for s in SEEDS):
        folder = run_folder(frozen, seed, tag)
        if (
            not (folder / "provenance.json").is_file()
            or not json.loads((folder / "provenance.json").read_text())["complete"]
        ):
            continue
        tuned = embeddings(faces, str(folder), frozen)
        found = compare_embeddings(
            start,
            tuned,
            faces.table.subjects,
            faces.table.ages,
            names=("SFace", folder.name),
            targets=(TARGET,),
            seed=0,
        )
        if not rows:
            rows.append(row("start model", None, found.baseline, None))
        rows.append(row(frozen + tag, seed, found.other, found.at(TARGET).differences["garbe"]))
        Path("table.json").write_text(json.dumps(rows, indent=1))
    print_table(rows)


def embeddings(faces: Any, weights: str, frozen: str) -> Any:
    """Embeddings of all faces, kept in ``embeddings``; frozen stages, equal in all runs of a choice, are computed once."""
    import numpy as np

    kept = Path("embeddings") / f"{Path(weights).name}.npy"
    if kept.is_file():
        return np.load(kept)
    from frbias.core.foundation.devices import World
    from frbias.core.recognisers.loading import load_trainable
    from frbias.core.training.cache import Features, Prefix, cached_features
    from frbias.core.training.freezing import freezing
    from frbias.core.training.options import stages_named
    from frbias.core.training.step import tail_embeddings

    model, ways = load_trainable(weights, "finetune").model.requires_grad_(False), freezing(stages_named(frozen))
    prefix = Prefix(model, ways.prefix, "fp32")
    features = Features(faces, prefix)
    if ways.prefix:
        features = cached_features(faces, prefix, [0], "fp32", world=World(), barrier=lambda: None)
    rows = np.arange(len(faces.table))
    chunks = [rows[i : i + 50] for i in range(0, len(rows), 50)]
    parts = [tail_embeddings(model, features.batch(c, np.zeros_like(c)), ways.tail, "off").numpy() for c in chunks]
    kept.parent.mkdir(exist_ok=True)
    np.save(kept, np.concatenate(parts))
    return np.load(kept)


def row(name: str, seed: int | None, evaluation: Any, difference: Any) -> dict[str, Any]:
    """The numbers of one run."""
    at = evaluation.at(TARGET)
    garbe = at.measures["garbe"]
    return {
        "frozen": name,
        "seed": seed,
        "eer": evaluation.overall.eer.value,
        "d_prime": evaluation.overall.d_prime,
        "fnmr": {g.name: g.fnmr.value for g in at.groups},
        "fmr": {g.name: g.fmr.value for g in at.groups},
        "mated": {g.name: g.fnmr.trials for g in at.groups},
        "garbe": garbe.value,
        "garbe_difference": None if difference is None else difference.value,
        "interval": None
        if difference is None or difference.interval is None
        else [difference.interval.low, difference.interval.high],
        "verdict": None if difference is None else difference.verdict,
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a Markdown table."""
    groups = list(rows[0]["fnmr"])
    heads = ["frozen", "seed", "EER %", "d'", *(f"FNMR {g} %" for g in groups), "GARBE", "GARBE - start (95 %)"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for r in rows:
        fnmr = " | ".join(f"{100 * r['fnmr'][g]:.1f}" for g in groups)
        change = (
            ""
            if r["interval"] is None
            else f"{r['garbe_difference']:+.3f} [{r['interval'][0]:+.3f}, {r['interval'][1]:+.3f}]"
        )
        garbe = "undefined" if r["garbe"] is None else f"{r['garbe']:.3f}"
        seed = "" if r["seed"] is None else r["seed"]
        lines.append(
            f"| {r['frozen']} | {seed} | {100 * r['eer']:.2f} | {r['d_prime']:.2f} | {fnmr} | {garbe} | {change} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Make the runs or tabulate them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "table"))
    parser.add_argument("--choices", default=";".join(CHOICES), help="frozen choices, separated by ;")
    parser.add_argument("--tags", default="", help="suffixes of runs to tabulate, separated by commas")
    parser.add_argument("--tag", default="", help="suffix of the runs that are made")
    parser.add_argument("--prefix", default="", help="command put before every training, e.g. 'nice'")
    parser.add_argument("--extra", default="", help="further options of frbias finetune, e.g. --extra='--cache on'")
    given = parser.parse_args()
    if given.what == "train":
        train(given.choices.split(";"), given.extra.split(), given.tag, given.prefix.split())
    else:
        table(given.tags.split(","))


if __name__ == "__main__":
    main()
