"""What came out of a grid, as tidy tables: one row for every number of every cell, and one for every setting.

``cells.csv`` has what each run measured; ``table.csv`` pools the runs of a setting: the mean over seeds, with an interval
of the two-level bootstrap over subjects and seeds (:mod:`frbias.core.verification.replication`), of the fine-tuned
recogniser and of its difference from the baseline, paired. The p-values of one quantity at one target over all settings
are one family, corrected by Holm's method.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import atomic_path, read_object, write_text
from frbias.core.stages.outcomes import COMPARISON_NAME, DRAWS_NAME
from frbias.core.verification.differences import BETTER, NO_INTERVAL, UNCLEAR, WORSE, Difference
from frbias.core.verification.measures.table import LOWER_IS_BETTER
from frbias.core.verification.paired import Comparison
from frbias.core.verification.replication import CORRECTION, Replicated, holm, replicated
from frbias.experiment.grid import Cell

Float = npt.NDArray[np.float64]
_NUMBERS = (
    "target", "baseline", "finetuned", "finetuned_low", "finetuned_high", "difference", "low", "high",
    "sd_between_runs", "p", "p_holm",
)  # fmt: skip
SIGNIFICANT = 0.05


Key = tuple[float | None, str]
"""Target FMR (None for what needs no threshold) and name of a quantity."""


@dataclass(frozen=True)
class Run:
    """What a finished cell measured.

    Attributes:
        cell: Name of the cell.
        setting: Name of its setting.
        choices: What distinguishes the setting.
        seed: Seed of the run, or None.
        differences: Every quantity of both recognisers.
        draws: The same in every draw of subjects, shape (r, 2): baseline, fine-tuned.
    """

    cell: str
    setting: str
    choices: Mapping[str, str]
    seed: int | None
    differences: dict[Key, Difference]
    draws: dict[Key, Float]


def read_run(cell: Cell, folder: Path) -> Run:
    """Read what a comparison left in ``folder``.

    Raises:
        BadInputError: It is damaged.
    """
    comparison = Comparison.from_json(read_object(folder / COMPARISON_NAME))
    found: dict[Key, Difference] = {(None, name): one for name, one in comparison.overall.items()}
    for at in comparison.targets:
        found |= {(at.target, name): one for name, one in at.differences.items()}
        for group in at.groups:
            found |= {(at.target, f"fmr {group.name}"): group.fmr, (at.target, f"fnmr {group.name}"): group.fnmr}
    return Run(cell.name, cell.setting, cell.choices, cell.seed, found, read_draws(folder / DRAWS_NAME))


def read_draws(path: Path) -> dict[Key, Float]:
    """Every quantity in every draw of subjects, shape (r, 2): baseline, fine-tuned.

    Raises:
        BadInputError: The file is damaged.
    """
    draws: dict[Key, Float] = {}
    try:
        frame = pd.read_parquet(path)
        for _, part in frame.groupby(["target", "measure"], dropna=False, sort=False):
            target, name = float(part["target"].iloc[0]), str(part["measure"].iloc[0])
            draws[None if np.isnan(target) else target, name] = part[["baseline", "other"]].to_numpy(np.float64)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise BadInputError(
            f"{path} is damaged ({reason_of(error)}); make the comparison again with --force."
        ) from error
    return draws


def cells_table(runs: Iterable[Run]) -> pd.DataFrame:
    """One row for every quantity of every run: baseline, fine-tuned, difference, its interval over subjects."""
    rows = [
        {
            "cell": run.cell,
            "setting": run.setting,
            **run.choices,
            "seed": run.seed,
            "target": target,
            "measure": name,
            "baseline": one.baseline,
            "finetuned": one.other,
            "difference": one.value,
            "low": one.interval.low if one.interval else None,
            "high": one.interval.high if one.interval else None,
            "verdict": one.verdict,
            "better": one.direction,
        }
        for run in runs
        for (target, name), one in run.differences.items()
    ]
    return _numeric(pd.DataFrame(rows))


def settings_table(runs: Sequence[Run], *, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """One row for every quantity of every setting, pooled over its runs.

    Args:
        runs: What the finished cells measured.
        confidence: Coverage of the intervals.
        seed: Seed of the second level of the bootstrap.
    """
    settings: dict[str, list[Run]] = {}
    for run in runs:
        settings.setdefault(run.setting, []).append(run)
    rows = [_pooled(own, key, confidence, seed) for own in settings.values() for key in own[0].differences]
    families: dict[Key, list[dict[str, Any]]] = {}
    for row in rows:
        families.setdefault((row["target"], row["measure"]), []).append(row)
    for family in families.values():
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True):
            row |= {"p_holm": adjusted, "correction": CORRECTION, "family": len(family)}
            row["verdict"] = _verdict(row)
    return _numeric(pd.DataFrame(rows))


def _pooled(runs: Sequence[Run], key: Key, confidence: float, seed: int) -> dict[str, Any]:
    """A quantity of one setting."""
    found = [run.differences[key] for run in runs]
    empty = np.empty((0, 2))
    draws = [run.draws.get(key, empty) for run in runs]
    tuned = _replicated([one.other for one in found], [d[:, 1] for d in draws], confidence, seed)
    with np.errstate(invalid="ignore"):  # infinite ratios
        moved = [d[:, 1] - d[:, 0] for d in draws]
    change = _replicated([one.value for one in found], moved, confidence, seed)
    start = [one.baseline for one in found]
    return {
        "setting": runs[0].setting,
        **runs[0].choices,
        "target": key[0],
        "measure": key[1],
        "runs": len(runs),
        "baseline": None if None in start else float(np.mean([one or 0.0 for one in start])),
        "finetuned": tuned and tuned.mean,
        "finetuned_low": tuned and tuned.interval.low,
        "finetuned_high": tuned and tuned.interval.high,
        "difference": change and change.mean,
        "low": change and change.interval.low,
        "high": change and change.interval.high,
        "sd_between_runs": change and change.spread,
        "interval_over": "seeds and subjects" if len(runs) > 1 else "subjects",
        "better": found[0].direction,
        "p": change and change.p,
    }


def _replicated(
    values: Sequence[float | None], draws: Sequence[Float], confidence: float, seed: int
) -> Replicated | None:
    if None in values:
        return None
    return replicated([value or 0.0 for value in values], np.stack(draws), confidence=confidence, seed=seed)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["p_holm"] is None:
        return NO_INTERVAL
    if row["p_holm"] > SIGNIFICANT:
        return UNCLEAR
    return BETTER if (row["difference"] < 0) == (row["better"] == LOWER_IS_BETTER) else WORSE


def _numeric(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({name: "float64" for name in frame.columns if name in _NUMBERS})


def write_table(frame: pd.DataFrame, stem: Path) -> None:
    """Write ``stem.csv`` and ``stem.parquet``."""
    write_text(stem.with_suffix(".csv"), frame.to_csv(index=False, lineterminator="\n"))
    with atomic_path(stem.with_suffix(".parquet")) as temporary:
        frame.to_parquet(temporary, index=False)


def remove_tables(*stems: Path) -> None:
    """Remove what :func:`write_table` wrote."""
    for stem in stems:
        for suffix in (".csv", ".parquet"):
            stem.with_suffix(suffix).unlink(missing_ok=True)
