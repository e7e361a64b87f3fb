"""Paired comparison of recognisers on the same samples: differences with intervals from the same bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.verification.bootstrap import Interval, percentile_interval
from frbias.core.verification.evaluation import evaluate_embeddings
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.binning import NotHeldError
from frbias.core.verification.scores.comparisons import Comparisons

Float = npt.NDArray[np.float64]
SCHEMA = "frbias.comparison"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Difference:
    """Other minus baseline of one quantity.

    Attributes:
        baseline, other: The two values, None when undefined.
        interval: Paired bootstrap interval of the difference, or None without a bootstrap.
        lower_is_better: Which direction is an improvement.
        improved: Share of usable replicates in which the other is strictly better.
    """

    baseline: float | None
    other: float | None
    interval: Interval | None
    lower_is_better: bool
    improved: float | None

    @property
    def value(self) -> float | None:
        """Other minus baseline."""
        return None if self.baseline is None or self.other is None else self.other - self.baseline

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or ``no clear difference`` when the interval holds 0 or there is none."""
        if self.interval is None or self.interval.low is None or self.interval.high is None:
            return "no interval"
        if self.interval.low <= 0 <= self.interval.high:
            return "no clear difference"
        return "better" if (self.interval.high < 0) == self.lower_is_better else "worse"

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "baseline": self.baseline,
            "other": self.other,
            "difference": self.value,
            "direction": "lower is better" if self.lower_is_better else "higher is better",
            "bootstrap": None if self.interval is None else self.interval.to_json(),
            "improved_share": self.improved,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class PairedAtTarget:
    """Differences at one target FMR, each model at its own threshold.

    Attributes:
        target: Target FMR.
        differences: ``garbe``, ``gini_fmr``, ``gini_fnmr``, ``fdr``, ``ir``, ``fnmr``, ``tar``.
        group_fmr, group_fnmr: By group name.
        at_baseline_tau: Counts of the other model at the baseline's threshold, None when not available.
    """

    target: float
    differences: dict[str, Difference]
    group_fmr: dict[str, Difference]
    group_fnmr: dict[str, Difference]
    at_baseline_tau: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "target": self.target,
            **{name: difference.to_json() for name, difference in self.differences.items()},
            "groups": [
                {"name": name, "fmr": self.group_fmr[name].to_json(), "fnmr": self.group_fnmr[name].to_json()}
                for name in self.group_fnmr
            ],
            "at_baseline_tau": self.at_baseline_tau,
        }


@dataclass(frozen=True)
class Comparison:
    """A baseline and another recogniser on the same samples."""

    baseline: Evaluation
    other: Evaluation
    targets: tuple[PairedAtTarget, ...]

    def at(self, target: float) -> PairedAtTarget:
        """Differences at one target; KeyError when it was not evaluated."""
        for result in self.targets:
            if result.target == target:
                return result
        raise KeyError(target)

    def to_json(self, *, curves: bool = True) -> dict[str, Any]:
        """The document of ``docs/evaluation.md``."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "difference": "other minus baseline, each at its own threshold for the target FMR",
            "paired": self.baseline.replicates is not None,
            "baseline": self.baseline.to_json(curves=curves),
            "other": self.other.to_json(curves=curves),
            "targets": [target.to_json() for target in self.targets],
        }


def compare_embeddings(
    baseline: npt.NDArray[np.float32],
    other: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    ages: npt.ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("baseline", "other"),
    **options: Any,
) -> Comparison:
    """Evaluate two sets of embeddings of the same samples (same rows) and compare them, paired.

    Args:
        baseline, other: Embeddings, shapes (n, d1) and (n, d2).
        subjects: Identity per row.
        ages: Years per row.
        names: Titles.
        options: Options of :func:`evaluate_embeddings`.

    Raises:
        BadInputError: The two do not have the same number of rows.
    """
    if len(baseline) != len(other):
        raise BadInputError(f"A paired comparison needs the same samples: {len(baseline)} and {len(other)} rows.")
    first, second = (
        evaluate_embeddings(matrix, subjects, ages, name=name, **options)
        for matrix, name in zip((baseline, other), names, strict=True)
    )
    return compare_evaluations(first, second)


def compare_evaluations(baseline: Evaluation, other: Evaluation) -> Comparison:
    """Compare two evaluations of the same samples made with the same options.

    Raises:
        BadInputError: Groups, targets, alpha or bootstrap draws differ.
    """
    _check_pair(baseline, other)
    shared = {t.target for t in other.targets}
    targets = tuple(_paired(baseline, other, t.target) for t in baseline.targets if t.target in shared)
    return Comparison(baseline, other, targets)


def _paired(baseline: Evaluation, other: Evaluation, target: float) -> PairedAtTarget:
    a, b = baseline.at(target), other.at(target)
    draws = _draws(baseline, target), _draws(other, target)

    def difference(name: str, one: float | None, two: float | None, lower: bool) -> Difference:
        if draws[0] is None or draws[1] is None:
            return Difference(one, two, None, lower, None)
        with np.errstate(invalid="ignore"):
            change = draws[1][name] - draws[0][name]
        usable = change[np.isfinite(change)]
        better = usable < 0 if lower else usable > 0
        interval = percentile_interval(change, confidence=baseline.confidence)
        return Difference(one, two, interval, lower, float(better.mean()) if usable.size else None)

    rows = {
        name: difference(name, a.measures[name].value, b.measures[name].value, name != "fdr")
        for name in ("garbe", "gini_fmr", "gini_fnmr", "fdr", "ir")
    }
    rows["fnmr"] = difference("fnmr", a.fnmr.value, b.fnmr.value, True)
    rows["tar"] = difference("tar", 1 - a.fnmr.value, 1 - b.fnmr.value, False)
    pairs = list(zip(a.groups, b.groups, strict=True))
    return PairedAtTarget(
        target,
        rows,
        {x.name: difference(f"fmr {x.name}", x.fmr.value, y.fmr.value, True) for x, y in pairs},
        {x.name: difference(f"fnmr {x.name}", x.fnmr.value, y.fnmr.value, True) for x, y in pairs},
        _at_baseline_tau(other, a.tau),
    )


def _draws(evaluation: Evaluation, target: float) -> dict[str, Float] | None:
    replicates = evaluation.replicates
    if replicates is None or target not in replicates.targets:
        return None
    position = replicates.targets.index(target)
    found = replicates.measures(position, alpha=evaluation.alpha)
    found["fnmr"] = replicates.overall_fnmr(position)
    found["tar"] = 1 - found["fnmr"]
    fmr, fnmr = replicates.fmr(position), replicates.fnmr(position)
    for column, group in zip(np.flatnonzero(replicates.evaluated), evaluation.groups["evaluated"], strict=True):
        found[f"fmr {group['name']}"] = fmr[:, column]
        found[f"fnmr {group['name']}"] = fnmr[:, column]
    return found


def _at_baseline_tau(other: Evaluation, tau: float) -> dict[str, Any] | None:
    source = other.source
    if source is None:
        return None
    threshold = source.tally.score.dtype.type(tau)
    accepted = _accepted(source, threshold)
    chosen = np.flatnonzero(source.evaluated)
    matches, rejected = accepted @ source.classes.member, source.false_non_matches(threshold)
    non_mated, mated = source.non_mated_counts, source.mated_counts
    false_matches = int(accepted[source.classes.pool].sum())
    return {
        "tau": float(threshold),
        "false_matches": false_matches,
        "fmr": false_matches / source.pooled_non_mated,
        "false_non_matches": int(rejected[chosen].sum()),
        "fnmr": int(rejected[chosen].sum()) / int(mated[chosen].sum()),
        "groups": [
            {
                "name": source.groups[g],
                "false_matches": int(matches[g]),
                "fmr": int(matches[g]) / int(non_mated[g]),
                "false_non_matches": int(rejected[g]),
                "fnmr": int(rejected[g]) / int(mated[g]),
            }
            for g in chosen
        ],
    }


def _accepted(source: Comparisons, threshold: Any) -> npt.NDArray[np.int64]:
    try:
        return source.tally.at_least(threshold, source.counted)
    except NotHeldError as error:
        if source.refine is None:
            raise
        return source.refine(error.bins).tally.at_least(threshold, source.counted)


def _check_pair(baseline: Evaluation, other: Evaluation) -> None:
    first, second = (
        [(g["name"], g["mated"], g["non_mated"]) for g in e.groups["evaluated"]] for e in (baseline, other)
    )
    if first != second:
        raise BadInputError(
            f"{baseline.name} and {other.name} were not evaluated on the same comparisons; "
            "a paired comparison needs the same samples and groups."
        )
    if baseline.alpha != other.alpha:
        raise BadInputError("The two evaluations use different alpha.")
    one, two = baseline.replicates, other.replicates
    if (one is None) != (two is None) or (
        one is not None
        and two is not None
        and (one.seed, one.subjects, one.count) != (two.seed, two.subjects, two.count)
    ):
        raise BadInputError(
            "The two evaluations use different bootstrap draws; give both the same seed and replicates."
        )
