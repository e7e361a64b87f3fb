"""The rates of an evaluation as a flat table, one row per target FMR and group."""

import csv
import io
from typing import Any

from frbias.core.verification.counted import GroupAtTarget, Rate
from frbias.core.verification.results import AtTarget, Evaluation

COLUMNS = (
    "target", "tau", "achieved_fmr", "group",
    "non_mated", "false_matches", "fmr", "fmr_low", "fmr_high", "fmr_interval",
    "mated", "false_non_matches", "fnmr", "fnmr_low", "fnmr_high", "fnmr_interval",
    "failure_to_acquire", "far", "frr", "flags",
)  # fmt: skip


def rates_csv(evaluation: Evaluation) -> str:
    """CSV text with counts, rates, the intervals that are shown everywhere, and small-sample flags."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in evaluation.targets:
        writer.writerows(["" if v is None else v for v in _row(record, group)] for group in record.groups)
    return stream.getvalue()


def _row(record: AtTarget, group: GroupAtTarget) -> tuple[Any, ...]:
    whole = group.transactions
    flags = [f"fmr:{f}" for f in group.fmr.flags] + [f"fnmr:{f}" for f in group.fnmr.flags]
    return (
        record.target,
        record.tau,
        record.fmr.value,
        group.name,
        *_rate(group.fmr),
        *_rate(group.fnmr),
        whole.failure_to_acquire,
        whole.far,
        whole.frr,
        " ".join(flags),
    )


def _rate(rate: Rate) -> tuple[Any, ...]:
    return rate.trials, rate.errors, rate.value, rate.interval.low, rate.interval.high, rate.interval.method
