"""Paired comparison of recognisers on the same samples: differences with intervals from the same bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, Unpack

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.verification.differences import (
    Difference,
    GroupDifferences,
    KeptGroup,
    KeptThreshold,
    PairedAtTarget,
    difference_named,
)
from frbias.core.verification.evaluation import HowToEvaluate, evaluate_embeddings
from frbias.core.verification.headline import headline_target
from frbias.core.verification.measures.table import MEASURES, WITHOUT_THRESHOLD
from frbias.core.verification.records import Record, checked_object, read_fields
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.binning import NotHeldError
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.verdict import Verdict, judge
from frbias.core.verification.versions import check_version

Float = npt.NDArray[np.float64]
SCHEMA = "frbias.comparison"
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Comparison(Record):
    """A baseline and another recogniser on the same samples.

    Attributes:
        difference: What a difference is.
        paired: Whether there are paired intervals.
        verdict: The verdict at the headline's target FMR.
        overall: Differences of ``eer`` and ``d_prime``.
        targets: Differences at every target that both have.
        verdicts: The verdict at every one of them.
        baseline, other: The two evaluations.

    Example:
        >>> rng, who = np.random.default_rng(0), np.repeat(np.arange(40), 6)
        >>> people, ages = rng.normal(size=(40, 16))[who], np.tile([5, 8, 15, 18, 30, 50], 40)
        >>> bad, good = ((people + s * rng.normal(size=(240, 16))).astype(np.float32) for s in (1.5, 0.5))
        >>> found = compare_embeddings(bad, good, who, ages, groups="0-19,20+", targets=[0.1], bootstrap=0)
        >>> found.at(0.1).differences["fnmr"].value < 0
        True
    """

    difference: str
    paired: bool
    verdict: Verdict
    overall: dict[str, Difference]
    targets: tuple[PairedAtTarget, ...]
    verdicts: tuple[Verdict, ...]
    baseline: Evaluation
    other: Evaluation

    def at(self, target: float) -> PairedAtTarget:
        """Differences at one target; KeyError when it was not evaluated."""
        for result in self.targets:
            if result.target == target:
                return result
        raise KeyError(target)

    def verdict_at(self, target: float) -> Verdict:
        """Verdict at one target; KeyError when it was not evaluated."""
        for verdict in self.verdicts:
            if verdict.target == target:
                return verdict
        raise KeyError(target)

    def to_json(self, *, curves: bool = True) -> dict[str, Any]:
        """The document of ``docs/evaluation.md``."""
        parts = {"baseline": self.baseline.to_json(curves=curves), "other": self.other.to_json(curves=curves)}
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **super().to_json(), **parts}

    @classmethod
    def from_json(cls, value: Any, path: str = "") -> Self:
        """Read a comparison document.

        Raises:
            BadInputError: It is something else, of another schema version, or a member is wrong.
        """
        record = checked_object(value, path)
        check_version(record, SCHEMA, SCHEMA_VERSION)
        return cls(**read_fields(cls, record, path))


def compare_embeddings(
    baseline: npt.NDArray[np.float32],
    other: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    ages: npt.ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("baseline", "other"),
    **options: Unpack[HowToEvaluate],
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
    overall = _overall(baseline, other)
    verdicts = tuple(judge(baseline, other, overall, at) for at in targets)
    headline = headline_target((baseline, other))
    return Comparison(
        "other minus baseline, each at its own threshold for the target FMR",
        baseline.replicates is not None,
        next(verdict for verdict in verdicts if verdict.target == headline),
        overall,
        targets,
        verdicts,
        baseline,
        other,
    )


def _overall(baseline: Evaluation, other: Evaluation) -> dict[str, Difference]:
    values = {
        "eer": (baseline.overall.eer.value, other.overall.eer.value),
        "d_prime": (baseline.overall.d_prime, other.overall.d_prime),
    }
    apart = [e.replicates and e.replicates.separation for e in (baseline, other)]
    found = {}
    for name in WITHOUT_THRESHOLD:
        draws = (getattr(apart[0], name), getattr(apart[1], name)) if apart[0] and apart[1] else None
        found[name] = difference_named(name, values[name], draws, confidence=baseline.confidence)
    return found


def _paired(baseline: Evaluation, other: Evaluation, target: float) -> PairedAtTarget:
    a, b = baseline.at(target), other.at(target)
    one, two = draws_at(baseline, target), draws_at(other, target)

    def draws(name: str) -> tuple[Float, Float] | None:
        return None if one is None or two is None else (one[name], two[name])

    def of_group(name: str, x: float, y: float) -> Difference:
        return Difference.of(x, y, draws(name), lower=True, confidence=baseline.confidence)

    values: dict[str, tuple[float | None, float | None]] = {
        name: (a.measures[name].value, b.measures[name].value) for name in MEASURES if name in a.measures
    }
    values["fnmr"] = a.fnmr.value, b.fnmr.value
    values["tar"] = 1 - a.fnmr.value, 1 - b.fnmr.value
    return PairedAtTarget(
        target,
        {n: difference_named(n, pair, draws(n), confidence=baseline.confidence) for n, pair in values.items()},
        tuple(
            GroupDifferences(
                x.name,
                of_group(f"fmr {x.name}", x.fmr.value, y.fmr.value),
                of_group(f"fnmr {x.name}", x.fnmr.value, y.fnmr.value),
            )
            for x, y in zip(a.groups, b.groups, strict=True)
        ),
        _at_baseline_tau(other, a.tau),
    )


def draws_at(evaluation: Evaluation, target: float) -> dict[str, Float] | None:
    """Every quantity of a comparison in every bootstrap draw at one target, shape (r,) each; None without a bootstrap."""
    replicates = evaluation.replicates
    if replicates is None or target not in replicates.targets:
        return None
    position = replicates.targets.index(target)
    found = replicates.measures(position, alpha=evaluation.alpha)
    found["fnmr"] = replicates.overall_fnmr(position)
    found["tar"] = 1 - found["fnmr"]
    fmr, fnmr = replicates.fmr(position), replicates.fnmr(position)
    for column, group in zip(np.flatnonzero(replicates.evaluated), evaluation.groups.evaluated, strict=True):
        found[f"fmr {group.name}"] = fmr[:, column]
        found[f"fnmr {group.name}"] = fnmr[:, column]
    return found


def _at_baseline_tau(other: Evaluation, tau: float) -> KeptThreshold | None:
    source = other.source
    if source is None:
        return None
    threshold = source.tally.score.dtype.type(tau)
    accepted = _accepted(source, threshold)
    chosen = np.flatnonzero(source.evaluated)
    matches, rejected = accepted @ source.classes.member, source.false_non_matches(threshold)
    non_mated, mated = source.non_mated_counts, source.mated_counts
    false_matches, missed = int(accepted[source.classes.pool].sum()), int(rejected[chosen].sum())
    groups = [
        KeptGroup(
            source.groups[g],
            int(matches[g]),
            int(matches[g]) / int(non_mated[g]),
            int(rejected[g]),
            int(rejected[g]) / int(mated[g]),
        )
        for g in chosen
    ]
    return KeptThreshold(
        float(threshold),
        false_matches,
        false_matches / source.pooled_non_mated,
        missed,
        missed / int(mated[chosen].sum()),
        tuple(groups),
    )


def _accepted(source: Comparisons, threshold: Any) -> npt.NDArray[np.int64]:
    try:
        return source.tally.at_least(threshold, source.counted)
    except NotHeldError as error:
        if source.refine is None:
            raise
        return source.refine(error.bins).tally.at_least(threshold, source.counted)


def _check_pair(baseline: Evaluation, other: Evaluation) -> None:
    first, second = ([(g.name, g.mated, g.non_mated) for g in e.groups.evaluated] for e in (baseline, other))
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
