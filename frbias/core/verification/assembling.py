"""Puts comparisons, rates, fairness and uncertainty together into one :class:`Evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.acquisition import AcquisitionCounts
from frbias.core.verification.bootstrap import Replicates, bootstrap, separation_interval
from frbias.core.verification.curves import Curves, curve_targets, det_curves, distributions, fairness_curve
from frbias.core.verification.differentials import score_differentials
from frbias.core.verification.facts import (
    RefusedTarget,
    bootstrap_facts,
    comparison_facts,
    group_facts,
    record_of_test,
    sample_facts,
)
from frbias.core.verification.groups import Grouping
from frbias.core.verification.measures.rates import EqualErrorRate, check_target, d_prime, deviation
from frbias.core.verification.operating import MatedAges, at_target, mated_ages
from frbias.core.verification.results import AtTarget, Evaluation, Moments, Overall
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.holding import held_at

Float = npt.NDArray[np.float64]
DEFAULT_TARGETS = (0.1, 0.01, 0.001)


@dataclass(frozen=True)
class EvaluationOptions:
    """What to compute.

    Attributes:
        targets: Target FMRs, fractions in 0..1.
        alpha: Weight of FMR in GARBE, FDR and IR, 0..1.
        replicates: Subject bootstrap replicates; 0: none.
        seed: Seed of bootstrap and noise floor.
        confidence: Coverage of intervals.
        curves: Whether to compute the points of the figures.
        failure_to_acquire: Share of images without a usable face, None unknown.
        threads: Threads; 0: one per core.
        acquisition: Images tried and failed by group, as far as known.
    """

    targets: tuple[float, ...] = DEFAULT_TARGETS
    alpha: float = 0.5
    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95
    curves: bool = True
    failure_to_acquire: float | None = None
    threads: int = 0
    acquisition: tuple[AcquisitionCounts, ...] = ()

    def __post_init__(self) -> None:
        if not self.targets or any(not 0 < t < 1 for t in self.targets):
            raise UsageError("Target FMRs are fractions between 0 and 1, e.g. --at-fmr 0.1,0.01,0.001.")
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"--alpha is a weight from 0 to 1, not {self.alpha}.")


def evaluate(
    comparisons: Comparisons,
    grouping: Grouping,
    options: EvaluationOptions,
    *,
    ages: Float | None = None,
    name: str = "scores",
    provenance: dict[str, Any] | None = None,
) -> Evaluation:
    """Evaluate comparisons, however they were made.

    Args:
        comparisons: Mated and non-mated comparisons.
        grouping: The grouping they were made with.
        options: What to compute.
        ages: Years per sample, for age gaps; None when unknown.
        name: Title.
        provenance: Where the scores come from.

    Raises:
        BadInputError: No group has both mated and non-mated comparisons.
        UsageError: No target FMR is usable.
    """
    if not comparisons.evaluated.any():
        raise BadInputError(
            f"No group of {grouping.by} has both mated and non-mated comparisons ({_shortage(comparisons)}); "
            "choose other groups or give more images per subject."
        )
    usable, refused = _usable_targets(options.targets, comparisons.pooled_non_mated)
    comparisons, eer, thresholds = held_at(comparisons, usable)
    curve_at = curve_targets(comparisons.pooled_non_mated) if options.curves else ()
    replicates = _replicates(comparisons, (*usable, *curve_at), options)
    gaps = mated_ages(comparisons, ages)
    results = _at_targets(comparisons, usable, thresholds, replicates, gaps, options)
    samples = sample_facts(comparisons, grouping, options.failure_to_acquire)
    groups, counts = group_facts(comparisons, grouping), comparison_facts(comparisons)
    drawn = bootstrap_facts(replicates, options.confidence)
    return Evaluation(
        name=name,
        alpha=options.alpha,
        confidence=options.confidence,
        samples=samples,
        groups=groups,
        comparisons=counts,
        overall=_overall(comparisons, eer, replicates, options.confidence),
        targets=results,
        refused=refused,
        bootstrap=drawn,
        test_record=record_of_test(samples, groups, counts, drawn),
        provenance=provenance or {},
        curves=_curves(comparisons, curve_at, replicates, gaps, options),
        replicates=replicates,
        source=comparisons,
    )


def _at_targets(
    comparisons: Comparisons,
    targets: Sequence[float],
    thresholds: Sequence[Any],
    replicates: Replicates | None,
    ages: MatedAges | None,
    options: EvaluationOptions,
) -> tuple[AtTarget, ...]:
    """The operating points, one a target."""
    return tuple(
        at_target(
            comparisons,
            target,
            tau,
            replicates,
            ages,
            alpha=options.alpha,
            seed=options.seed,
            confidence=options.confidence,
            failure_to_acquire=options.failure_to_acquire,
            acquisition=options.acquisition,
        )
        for target, tau in zip(targets, thresholds, strict=True)
    )


def _curves(
    comparisons: Comparisons,
    targets: tuple[float, ...],
    replicates: Replicates | None,
    ages: MatedAges | None,
    options: EvaluationOptions,
) -> Curves | None:
    if not options.curves:
        return None
    shown = fairness_curve(
        comparisons, targets, replicates, alpha=options.alpha, seed=options.seed, confidence=options.confidence
    )
    return Curves(det_curves(comparisons), distributions(comparisons, None if ages is None else ages.gap), shown)


def _overall(
    comparisons: Comparisons, eer: EqualErrorRate, replicates: Replicates | None, confidence: float
) -> Overall:
    """EER, d' and moments of the evaluated comparisons."""
    scores = comparisons.mated.score[comparisons.in_evaluated_group].astype(np.float64)
    mated = Moments(float(scores.mean()), deviation(scores))
    non_mated = Moments(*comparisons.tally.moments(comparisons.classes.pool))
    prime = d_prime(mated.mean, mated.std, non_mated.mean, non_mated.std)
    band = None
    if replicates is not None and replicates.separation is not None:
        eer = replace(eer, bootstrap=separation_interval(replicates.separation.eer, confidence=confidence))
        band = separation_interval(replicates.separation.d_prime, confidence=confidence)
    return Overall(
        eer,
        prime,
        mated,
        non_mated,
        d_prime_reason="no_spread" if prime is None else None,
        d_prime_bootstrap=band,
        score_differentials=score_differentials(comparisons, replicates, confidence=confidence),
    )


def _usable_targets(targets: Sequence[float], non_mated: int) -> tuple[tuple[float, ...], tuple[RefusedTarget, ...]]:
    usable, refused, sentences = [], [], []
    for target in targets:
        try:
            check_target(target, non_mated)
            usable.append(target)
        except UsageError as error:
            refused.append(RefusedTarget(target, "budget_below_one", 1 / non_mated))
            sentences.append(error.message)
    if not usable:
        raise UsageError(sentences[-1])
    return tuple(usable), tuple(refused)


def _replicates(comparisons: Comparisons, targets: Sequence[float], options: EvaluationOptions) -> Replicates | None:
    if not options.replicates or not comparisons.subject_names:
        return None
    return bootstrap(
        comparisons,
        sorted(set(targets)),
        replicates=options.replicates,
        seed=options.seed,
        threads=options.threads,
        separation=True,
    )


def _shortage(comparisons: Comparisons) -> str:
    return ", ".join(f"{name}: {m} mated" for name, m in zip(comparisons.groups, comparisons.mated_counts, strict=True))
