"""Do recipes learned from renders help on photographs? Renders -> recipe -> FG-NET, LAG and LFW, in one command.

::

    python experiments/transfer/transfer.py --fgnet FGNET/images --lag LAG --lfw LFW --lfw-pairs pairs.txt

The three sets are folders that you have. For every seed, mesh people are rendered; every recipe of ``recipes.toml``
makes a recogniser from them; all are measured against the start model, and the table is printed and kept as
``table.json`` in ``--work``. What is finished is not made again. See README.md for the rules.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from photographs import LagRates, LfwRates, Matrix, judge_fgnet, judge_lag, judge_lfw

from frbias.core.data.embeddings import Embeddings, read_embeddings
from frbias.core.data.samples import read_samples, write_samples
from frbias.core.foundation.files import write_json
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.verification.paired import Comparison

HERE = Path(__file__).resolve().parent
SETS = ("fgnet", "lag", "lfw")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        recipe: Name in the recipes file; ``start`` for the start model.
        seed: Of renders and recipe; None for the start model.
        people: Rendered people.
        fnmr: FNMR by target FMR, of all and of each group, fractions.
        difference: (value, low, high) of FNMR against the start model, paired, by target and group.
        lag, lfw: Their rates.
    """

    recipe: str
    seed: int | None
    people: int
    fnmr: dict[str, dict[str, float | None]]
    difference: dict[str, dict[str, tuple[float, float, float] | None]]
    lag: LagRates
    lfw: LfwRates


def frbias(*words: object) -> None:
    """Run ``frbias`` with these words."""
    subprocess.run([sys.executable, "-m", "frbias", *(str(word) for word in words)], check=True)


def tag_of(given: argparse.Namespace) -> str:
    """Name of the start model in the folders that depend on it."""
    return Path(given.weights).stem


def embedded(given: argparse.Namespace, name: str, weights: str, tag: str) -> Embeddings:
    """Embeddings of one of the sets, aligned and embedded once by a recogniser."""
    aligned, out = given.work / f"aligned-{name}", given.work / "embeddings" / f"{tag}-{name}"
    if not (out / "embeddings.parquet").is_file():
        frbias("align", getattr(given, name), "--out", aligned)
        frbias("embed", aligned, "--weights", weights, "--out", out)
    return read_embeddings(out / "embeddings.parquet")


def renders(given: argparse.Namespace, seed: int, people: int) -> Path:
    """Default renders of so many people, aligned: the first ones of the most that were asked for."""
    most = max(given.people)
    aligned = given.work / f"renders-{most}-{seed}-aligned"
    if not (aligned / "metadata.csv").is_file():
        raw = given.work / f"renders-{most}-{seed}"
        frbias("generate", "--subjects", most, "--seed", seed, "--out", raw)
        frbias("align", raw, "--out", aligned)
    return (
        aligned if people == most else first_people(aligned, given.work / f"renders-{people}-of-{most}-{seed}", people)
    )


def first_people(aligned: Path, out: Path, people: int) -> Path:
    """The set of the first ``people`` of an aligned set, made once; images are linked."""
    if not (out / "metadata.csv").is_file():
        table = read_samples(aligned)
        taken = set(sorted(set(table.subjects))[:people])
        rows = [row for row, subject in enumerate(table.subjects) if subject in taken]
        for name in (str(table.frame["file_name"].iloc[row]) for row in rows):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            if not (out / name).exists():
                os.link(aligned / name, out / name)
        write_samples(table.select(rows), out)
    return out


def made(given: argparse.Namespace, name: str, recipe: dict[str, Any], seed: int, people: int) -> Path:
    """The recogniser that a recipe makes; made once."""
    out = given.work / "made" / f"{tag_of(given)}-{name}-{people}-{seed}"
    options = [word for k, v in recipe.items() if k != "command" for word in (f"--{k.replace('_', '-')}", str(v))]
    faces: list[object] = [renders(given, seed, people)]
    if recipe["command"] == "finetune":
        faces = ["--data", *faces]
    frbias(recipe["command"], *faces, "--weights", given.weights, "--seed", seed, "--out", out, *options)
    return out


def vectors_of(given: argparse.Namespace, weights: Path, tag: str, start: dict[str, Embeddings]) -> dict[str, Matrix]:
    """Embeddings of the three sets by a made recogniser; of an adapted one, the start model's through its map."""
    found = load_recogniser(str(weights))
    if isinstance(found, AdaptedRecogniser):
        return {name: found.map.apply(one.matrix).astype(np.float64) for name, one in start.items()}
    return {name: embedded(given, name, str(weights), tag).matrix.astype(np.float64) for name in start}


def judged(given: argparse.Namespace, start: dict[str, Embeddings], vectors: dict[str, Matrix]) -> Any:
    """FG-NET's comparison, LAG's and LFW's rates."""
    return (
        judge_fgnet(start["fgnet"], vectors["fgnet"], given.fgnet_people, given.bootstrap),
        judge_lag(start["lag"], vectors["lag"], given.lag_letters),
        judge_lfw(start["lfw"], vectors["lfw"], given.lfw_pairs),
    )


def row_of(name: str, seed: int | None, people: int, found: Any) -> Row:
    """A line of the table from what :func:`judged` gives."""
    comparison: Comparison = found[0]
    side = comparison.baseline if seed is None else comparison.other
    fnmr: dict[str, dict[str, float | None]] = {}
    difference: dict[str, dict[str, tuple[float, float, float] | None]] = {}
    for paired in comparison.targets:
        at = side.at(paired.target)
        key = f"{paired.target:g}"
        fnmr[key] = {"all": at.fnmr.value, **{group.name: group.fnmr.value for group in at.groups}}
        changes = {"all": paired.differences["fnmr"], **{g.name: g.fnmr for g in paired.groups}}
        difference[key] = {
            group: None if d.value is None or d.interval is None else (d.value, d.interval.low, d.interval.high)
            for group, d in changes.items()
        }
    return Row(name, seed, people, fnmr, {} if seed is None else difference, *found[1:])


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Every recipe and seed, the start model first."""
    start = {name: embedded(given, name, given.weights, tag_of(given)) for name in SETS}
    yield row_of("start", None, 0, judged(given, start, {n: e.matrix.astype(np.float64) for n, e in start.items()}))
    recipes = tomllib.loads(given.recipes.read_text(encoding="utf-8"))
    for name in given.only or recipes:
        for people in given.people:
            for seed in given.seeds:
                weights = made(given, name, recipes[name], seed, people)
                vectors = vectors_of(given, weights, f"{tag_of(given)}-{name}-{people}-{seed}", start)
                yield row_of(name, seed, people, judged(given, start, vectors))


def line_of(row: Row) -> str:
    """A row in Markdown, in percent."""
    cells = [row.recipe, "" if row.seed is None else str(row.seed), str(row.people or "")]
    for target, fnmr in row.fnmr.items():
        values = ["-" if value is None else f"{100 * value:.1f}" for value in fnmr.values()]
        cells.append(f"{values[0]} [{', '.join(values[1:])}]")
        for group in ("all", "0-12"):
            change = row.difference.get(target, {}).get(group)
            cells.append("{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * v for v in change)) if change else "")
    cells += [f"{100 * value:.1f}" for value in asdict(row.lag).values()]
    cells += [f"{100 * value:.2f}" for value in asdict(row.lfw).values()]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| recipe | seed | people | FNMR at 1 %: all [groups] | difference: all | 0-12 | at 0.1 % | difference: all | 0-12 "
    "| LAG young-old 1 % | 0.1 % | young-young 1 % | old-old 0.1 % | LFW accuracy | TAR 0.1 % |\n" + "|---" * 15 + "|\n"
)


def _range(text: str) -> tuple[str, str]:
    first, _, last = text.partition("-")
    return first, last or first


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"folder of {name.upper()}")
    parser.add_argument("--lfw-pairs", type=Path, required=True, help="pairs.txt of LFW")
    parser.add_argument("--work", type=Path, default=Path("transfer"), help="where everything is kept")
    parser.add_argument("--weights", default="sface", help="start model, as for frbias embed")
    parser.add_argument("--recipes", type=Path, default=HERE / "recipes.toml")
    parser.add_argument("--only", type=lambda t: t.split(","), help="names of recipes; all")
    parser.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[0, 1, 2])
    parser.add_argument("--people", type=lambda t: [int(n) for n in t.split(",")], default=[50], help="rendered people")
    parser.add_argument("--fgnet-people", type=_range, default=("1", "40"), help="people of FG-NET; development 1-40")
    parser.add_argument("--lag-letters", type=_range, default=("a", "m"), help="people of LAG; development a-m")
    parser.add_argument("--bootstrap", type=int, default=1000, help="replicates")
    given = parser.parse_args()
    given.fgnet_people = tuple(int(n) for n in given.fgnet_people)
    kept = []
    sys.stdout.write(HEADER)
    for row in rows(given):
        kept.append(asdict(row))
        write_json(
            given.work / "table.json", {"rows": kept, "arguments": json.loads(json.dumps(vars(given), default=str))}
        )
        sys.stdout.write(line_of(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
