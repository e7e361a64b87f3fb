"""The files of a run that people and other tools read: settings, split, metrics."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import write_text
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.pixels import FaceSet
from frbias.core.training.split import Split

METRICS_NAME, CONFIG_NAME, SPLIT_NAME = "metrics.jsonl", "config.toml", "split.csv"


def write_config(run: Path, options: FinetuneOptions) -> None:
    """Write the settings as TOML that ``frbias finetune --config`` reads."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in options.as_written().items()]
    write_text(run / CONFIG_NAME, "\n".join(["[finetune]", *lines]) + "\n")


def check_config(run: Path, options: FinetuneOptions) -> None:
    """Refuse a run whose record of its settings was changed afterwards; a run without one is taken as it is.

    Raises:
        BadInputError: ``config.toml`` says something else than the run was made with.
    """
    path = run / CONFIG_NAME
    if not path.is_file():
        return
    advice = f"put it back, or train anew with other options (another --out, or --force); {path} is a record only"
    try:
        section = tomllib.loads(path.read_text(encoding="utf-8"))["finetune"]
        there = type(options).read(section).identity()
    except (UsageError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path} was changed after the run began and cannot be read; {advice}.") from error
    for name, value in options.identity().items():
        if there[name] != value:
            raise BadInputError(
                f"{path} was changed after the run began ({name} is {there[name]} there, {value} in the run); {advice}."
            )


def write_split(run: Path, faces: FaceSet, split: Split) -> None:
    """Write who is trained on and who is held out: file_name, subject, use."""
    use = pd.Series("left_out", index=range(len(faces.table)), dtype=object)
    use.iloc[split.train] = "train"
    use.iloc[split.validation] = "validation"
    frame = pd.DataFrame(
        {"file_name": faces.table.frame["file_name"], "subject": faces.table.frame["subject"], "use": use}
    )
    write_text(run / SPLIT_NAME, frame.to_csv(index=False, lineterminator="\n"))


class MetricsLog:
    """``metrics.jsonl``: one line per epoch, appended; epoch 0 is the start model.

    Args:
        run: The run folder.
        after: Keep the lines up to this epoch and drop later ones, which a killed process may have left; -1 drops all.
    """

    def __init__(self, run: Path, *, after: int) -> None:
        self.path = run / METRICS_NAME
        self.records = [r for r in read_metrics(run) if r["epoch"] <= after]
        write_text(self.path, "".join(_line(r) for r in self.records))

    def append(self, record: dict[str, Any]) -> None:
        """Add a line."""
        self.records.append(record)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(record))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Records of ``metrics.jsonl``; what follows a line cut off by a kill, or damaged, is left out."""
    try:
        lines = (run / METRICS_NAME).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
            break
        records.append(record)
    return records


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"
