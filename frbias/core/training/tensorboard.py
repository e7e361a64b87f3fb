"""Metrics of a run as TensorBoard events, for those who have it installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import UsageError


def check_tensorboard() -> None:
    """Make sure that events can be written.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise UsageError("--tensorboard needs the package tensorboard: pip install 'frbias[tensorboard]'.") from None


def with_tensorboard(run: Path, observe: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """An observer that writes every record to ``run/tensorboard`` and passes it on to ``observe``."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run / "tensorboard"))

    def write(record: dict[str, Any]) -> None:
        for name, value in _scalars(record).items():
            writer.add_scalar(name, value, record["step"])
        writer.flush()
        observe(record)

    return write


def replay(run: Path, records: list[dict[str, Any]]) -> None:
    """Write the records of a finished run to ``run/tensorboard``, unless there are events already."""
    if not any((run / "tensorboard").glob("events*")):
        write = with_tensorboard(run, lambda record: None)
        for record in records:
            write(record)


def _scalars(record: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= {f"{name}/{k}": float(v) for k, v in value.items() if v is not None}
        elif isinstance(value, float):
            found[f"train/{name}"] = value
    return found
