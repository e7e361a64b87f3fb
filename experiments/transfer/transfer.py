"""Do recipes learned from renders help on photographs? Renders -> recipe -> FG-NET, LAG and LFW, in one command.

::

    python experiments/transfer/transfer.py --fgnet FGNET/images --lag LAG --lfw LFW --lfw-pairs pairs.txt

The three sets are folders that you have. For every seed, mesh people are rendered; every recipe of ``recipes.toml``
makes a recogniser from them; all are measured against the start model, and the table is printed and kept as
``table.json`` in ``--work``. What is finished is not made again. See README.md for the rules.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from photographs import LAG_RATES, LFW_RATES, Matrix, Rates, judge_fgnet, judge_lag, judge_lfw
from renders import Renders, frbias

from frbias.core.data.embeddings import Embeddings, read_embeddings
from frbias.core.foundation.files import write_json
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.verification.paired import Comparison

HERE = Path(__file__).resolve().parent
SETS = ("fgnet", "lag", "lfw")
Change = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True)
class Row:
    """One line of the table; differences are to the start model, paired.

    Attributes:
        recipe: Name in the recipes file; ``start`` for the start model.
        seed: Of renders and recipe; None for the start model.
        people: Rendered people.
        fnmr: FNMR on FG-NET by target FMR, of all and of each group, fractions.
        fnmr_difference: By target and group.
        rates: Those of each part of LAG, and of LFW, by name, fractions.
        rates_difference: The same.
    """

    recipe: str
    seed: int | None
    people: int
    fnmr: dict[str, dict[str, float | None]]
    fnmr_difference: dict[str, dict[str, Change | None]]
    rates: dict[str, dict[str, float]]
    rates_difference: dict[str, dict[str, Change]]


@dataclass(frozen=True, eq=False)
class Judged:
    """What photographs say of a recogniser: the comparison on FG-NET, and rates on parts of LAG and on LFW."""

    fgnet: Comparison
    rates: dict[str, Rates]


def tag_of(given: argparse.Namespace) -> str:
    """Name of the start model in the folders that depend on it."""
    return Path(given.weights).stem


def embedded(given: argparse.Namespace, name: str, weights: str, tag: str) -> Embeddings:
    """Embeddings of one of the sets, aligned and embedded once by a recogniser."""
    aligned, out = given.work / f"aligned-{name}", given.work / "embeddings" / f"{tag}-{name}"
    if not (out / "embeddings.parquet").is_file():
        frbias("align", getattr(given, name), "--out", aligned, "--workers", given.workers)
        frbias("embed", aligned, "--weights", weights, "--out", out)
    return read_embeddings(out / "embeddings.parquet")


def renders_of(given: argparse.Namespace) -> Renders:
    """Where renders come from."""
    return Renders(given.work, given.render_detector, given.workers)


def made(given: argparse.Namespace, name: str, recipe: dict[str, Any], seed: int, people: int) -> Path:
    """The recogniser that ``frbias finetune`` makes by a recipe; made once."""
    out = given.work / "made" / f"{tag_of(given)}-{name}-{given.render_detector}-{people}-{seed}"
    options = [word for k, v in recipe.items() if k != "command" for word in (f"--{k.replace('_', '-')}", str(v))]
    faces = renders_of(given).of(seed, people)
    frbias("finetune", "--data", faces, "--weights", given.weights, "--seed", seed, "--out", out, *options)
    return out


def vectors_of(
    given: argparse.Namespace, name: str, recipe: dict[str, Any], seed: int, people: int, start: dict[str, Embeddings]
) -> dict[str, Matrix]:
    """Embeddings of the three sets by what a recipe makes; through a map, they are the start model's mapped."""
    if recipe["command"] == "adapt":
        options = {key: value for key, value in recipe.items() if key != "command"}
        base = load_recogniser(given.weights)
        found = renders_of(given).learned(base, tag_of(given), options, seed, people)
        return {key: found.apply(one.matrix).astype(np.float64) for key, one in start.items()}
    weights = made(given, name, recipe, seed, people)
    tuned: Recogniser = load_recogniser(str(weights))
    if isinstance(tuned, AdaptedRecogniser):
        return {key: tuned.map.apply(one.matrix).astype(np.float64) for key, one in start.items()}
    tag = f"{tag_of(given)}-{name}-{people}-{seed}"
    return {key: embedded(given, key, str(weights), tag).matrix.astype(np.float64) for key in start}


def judged(given: argparse.Namespace, start: dict[str, Embeddings], vectors: dict[str, Matrix]) -> Judged:
    """What the photographs say."""
    rates = {
        f"LAG {first}-{last}": judge_lag(start["lag"], vectors["lag"], (first, last), given.bootstrap)
        for first, last in given.lag_letters
    }
    rates["LFW"] = judge_lfw(start["lfw"], vectors["lfw"], given.lfw_pairs, given.bootstrap)
    return Judged(judge_fgnet(start["fgnet"], vectors["fgnet"], given.fgnet_people, given.bootstrap), rates)


def row_of(name: str, seed: int | None, people: int, found: Judged, start: Judged) -> Row:
    """A line of the table."""
    comparison = found.fgnet
    side = comparison.baseline if seed is None else comparison.other
    fnmr: dict[str, dict[str, float | None]] = {}
    difference: dict[str, dict[str, Change | None]] = {}
    for paired in comparison.targets:
        at = side.at(paired.target)
        key = f"{paired.target:g}"
        fnmr[key] = {"all": at.fnmr.value, **{group.name: group.fnmr.value for group in at.groups}}
        changes = {"all": paired.differences["fnmr"], **{g.name: g.fnmr for g in paired.groups}}
        difference[key] = {
            group: None if d.value is None or d.interval is None else (d.value, d.interval.low, d.interval.high)
            for group, d in changes.items()
        }
    rates = {part: dict(zip(one.names, one.values.tolist(), strict=True)) for part, one in found.rates.items()}
    if seed is None:
        return Row(name, seed, people, fnmr, {}, rates, {})
    changed = {part: one.against(start.rates[part]) for part, one in found.rates.items()}
    return Row(name, seed, people, fnmr, difference, rates, changed)


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Every recipe and seed, the start model first."""
    start = {name: embedded(given, name, given.weights, tag_of(given)) for name in SETS}
    before = judged(given, start, {name: one.matrix.astype(np.float64) for name, one in start.items()})
    yield row_of("start", None, 0, before, before)
    recipes = tomllib.loads(given.recipes.read_text(encoding="utf-8"))
    for name in given.only or recipes:
        for people in given.people:
            for seed in given.seeds:
                vectors = vectors_of(given, name, recipes[name], seed, people, start)
                yield row_of(name, seed, people, judged(given, start, vectors), before)


def changed(change: Change) -> str:
    """A difference with its interval, in points."""
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(*(100 * value for value in change))


def line_of(row: Row) -> str:
    """A row in Markdown, in percent."""
    cells = [row.recipe, "" if row.seed is None else str(row.seed), str(row.people or "")]
    for target, fnmr in row.fnmr.items():
        values = ["-" if value is None else f"{100 * value:.1f}" for value in fnmr.values()]
        cells.append(f"{values[0]} [{', '.join(values[1:])}]")
        for group in ("all", "0-12"):
            change = row.fnmr_difference.get(target, {}).get(group)
            cells.append(changed(change) if change else "")
    for part, rates in row.rates.items():
        for name, value in rates.items():
            change = row.rates_difference.get(part, {}).get(name)
            cells.append(f"{100 * value:.2f}" + (f" {changed(change)}" if change else ""))
    return "| " + " | ".join(cells) + " |"


def header_of(given: argparse.Namespace) -> str:
    """The head of the table."""
    cells = ["recipe", "seed", "people", "FNMR at 1 %: all [groups]", "difference: all", "0-12"]
    cells += ["at 0.1 %", "difference: all", "0-12"]
    cells += [f"LAG {first}-{last} {name}" for first, last in given.lag_letters for name in LAG_RATES]
    cells += [f"LFW {name}" for name in LFW_RATES]
    return "| " + " | ".join(cells) + " |\n" + "|---" * len(cells) + "|\n"


def _range(text: str) -> tuple[str, str]:
    first, _, last = text.partition("-")
    return first, last or first


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"folder of {name.upper()}")
    parser.add_argument("--lfw-pairs", type=Path, required=True, help="pairs.txt of LFW")
    parser.add_argument("--work", type=Path, default=Path("transfer"), help="where everything is kept")
    parser.add_argument("--table", default="table.json", help="name of the table in --work")
    parser.add_argument("--weights", default="sface", help="start model, as for frbias embed")
    parser.add_argument("--recipes", type=Path, default=HERE / "recipes.toml")
    parser.add_argument("--only", type=lambda t: t.split(","), help="names of recipes; all")
    parser.add_argument("--seeds", type=lambda t: [int(s) for s in t.split(",")], default=[0, 1, 2])
    parser.add_argument("--people", type=lambda t: [int(n) for n in t.split(",")], default=[50], help="rendered people")
    parser.add_argument("--render-detector", default="yunet", help="how renders are aligned: yunet, or points (theirs)")
    parser.add_argument("--fgnet-people", type=_range, default=("1", "40"), help="people of FG-NET; development 1-40")
    parser.add_argument(
        "--lag-letters",
        type=lambda t: [_range(part) for part in t.split(",")],
        default=[("a", "m")],
        help="people of LAG, one part or several: development a-m, confirmation n-z",
    )
    parser.add_argument("--bootstrap", type=int, default=1000, help="replicates")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0: one per core")
    given = parser.parse_args()
    given.fgnet_people = tuple(int(n) for n in given.fgnet_people)
    return given


def main() -> None:
    """Make, measure, print."""
    given = _parsed()
    kept = []
    sys.stdout.write(header_of(given))
    for row in rows(given):
        kept.append(asdict(row))
        write_json(
            given.work / given.table, {"rows": kept, "arguments": json.loads(json.dumps(vars(given), default=str))}
        )
        sys.stdout.write(line_of(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
