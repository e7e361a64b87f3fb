"""The folder of an evaluation or a comparison: ``evaluation.json``, ``rates.csv`` and figures."""

from pathlib import Path
from typing import Any

import pandas as pd

from frbias.core.files import write_json, write_text
from frbias.core.provenance import claim_folder
from frbias.core.reporting.figures import draw_all
from frbias.core.verification.evaluation import Evaluation
from frbias.core.verification.paired import Comparison

EVALUATION_NAME = "evaluation.json"
RATES_NAME = "rates.csv"
FIGURES_NAME = "figures"


def write_result(
    result: Evaluation | Comparison,
    out: Path,
    *,
    settings: dict[str, Any],
    inputs: dict[str, Any],
    force: bool = False,
) -> dict[str, Any]:
    """Write an evaluation or a comparison into the folder ``out`` and return its document.

    Args:
        result: What was measured.
        out: Output folder.
        settings: Options it depends on (groups, targets, bootstrap, seed, ...), JSON values.
        inputs: Hashes of what was read.
        force: Replace an earlier result in ``out``.

    Raises:
        UsageError: ``out`` holds something else.
    """
    stage = "compare" if isinstance(result, Comparison) else "evaluate"
    document = result.to_json()
    folder = claim_folder(out, stage=stage, arguments=settings, inputs=inputs, force=force)
    write_json(out / EVALUATION_NAME, document)
    write_text(out / RATES_NAME, rates_table(document).to_csv(index=False, lineterminator="\n"))
    draw_all(document, out / FIGURES_NAME)
    folder.finish({"schema": document["schema"], "schema_version": document["schema_version"]})
    return document


def rates_table(document: dict[str, Any]) -> pd.DataFrame:
    """Rates per target and group of an evaluation, or of both sides of a comparison, one row each.

    Columns: ``system``, ``target_fmr``, ``tau``, ``group``, then counts, rates (fractions) and the bounds of the
    bootstrap interval (Wilson where there is none) of FMR and FNMR.
    """
    sides = [document[k] for k in ("baseline", "other")] if "baseline" in document else [document]
    return pd.DataFrame(
        [_row(side, target, group) for side in sides for target in side["targets"] for group in target["groups"]]
    )


def _row(side: dict[str, Any], target: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    row = {"system": side["name"], "target_fmr": target["target"], "tau": target["tau"], "group": group["name"]}
    row |= {key: group[key] for key in ("non_mated", "false_matches", "fmr")}
    row |= dict(zip(("fmr_low", "fmr_high"), _bounds(group, "fmr"), strict=True))
    row |= {key: group[key] for key in ("mated", "false_non_matches", "fnmr")}
    row |= dict(zip(("fnmr_low", "fnmr_high"), _bounds(group, "fnmr"), strict=True))
    return row


def _bounds(group: dict[str, Any], rate: str) -> tuple[float | None, float | None]:
    interval = group.get(f"{rate}_bootstrap") or {}
    if interval.get("low") is not None:
        return interval["low"], interval["high"]
    low, high = group[f"{rate}_wilson"]
    return low, high
