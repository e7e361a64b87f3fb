"""Puts comparisons, rates, fairness and uncertainty together into one :class:`Evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.verification.acquisition import AcquisitionCounts
from frbias.core.verification.bootstrap import Replicates, bootstrap, separation_interval
from frbias.core.verification.curves import (
    HIGHEST_TARGET,
    Curves,
    curve_targets,
    det_curves,
    distributions,
    fairness_curve,
)
from frbias.core.verification.differentials import score_differentials
from frbias.core.verification.facts import (
    NearDuplicates,
    RefusedTarget,
    bootstrap_facts,
    comparison_facts,
    group_facts,
    record_of_test,
    sample_facts,
)
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, grouping_named
from frbias.core.verification.measures.rates import EqualErrorRate, check_target, d_prime, deviation
from frbias.core.verification.operating import MatedAges, at_target, mated_ages
from frbias.core.verification.protocols import protocol_distributions
from frbias.core.verification.results import Evaluation, Moments, Overall
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.scores.engine import Budget, compare_all
from frbias.core.verification.scores.holding import held_at
from frbias.core.verification.scores.planning import near_duplicates

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


def evaluate_embeddings(
    matrix: npt.NDArray[np.float32],
    subjects: Sequence[Any] | npt.NDArray[Any],
    ages: npt.ArrayLike | None = None,
    *,
    groups: str | Grouping = DEFAULT_GROUPS,
    targets: Sequence[float] = DEFAULT_TARGETS,
    alpha: float = 0.5,
    bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    non_mated: str = "within",
    matched_age: float | None = None,
    drop_duplicates: float | None = None,
    failure_to_acquire: float | None = None,
    acquisition: Sequence[AcquisitionCounts] = (),
    curves: bool = True,
    name: str = "embeddings",
    budget: Budget | None = None,
    threads: int = 0,
    block: int = 2,
    world: World | None = None,
    product: Any = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Evaluate embeddings: every pair is compared, every count is exact.

    Args:
        matrix: Embeddings, shape (n, d), any scale.
        subjects: Identity per row.
        ages: Years per row, NaN unknown; None when groups are not of ages and ages are not known.
        groups: Age groups as text (bounds included) or a ready grouping.
        targets: Target FMRs as fractions; those the data cannot resolve are listed in ``refused``.
        alpha: Weight of FMR in GARBE, FDR and IR.
        bootstrap: Subject bootstrap replicates; 0: none.
        seed: Seed of everything random.
        confidence: Coverage of intervals.
        non_mated: Non-mated rule (``within``, ``any-probe``, ``all``).
        matched_age: Limit non-mated pairs to age-matched ones, tolerance in years.
        drop_duplicates: Leave out later images of a subject whose cosine to an earlier one reaches this value.
        failure_to_acquire: Share of images without a usable face.
        acquisition: Images tried and failed by group, see :mod:`frbias.core.verification.acquisition`.
        curves: Whether to compute the points of the figures.
        name: Title.
        budget: Limits of held scores.
        threads, block, world, product, progress: See :func:`compare_all`.

    Raises:
        BadInputError: The embeddings cannot be used, or no group has both kinds of comparison.
        UsageError: A group, a target or an option makes no sense, or no target is usable.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> subjects = np.repeat(np.arange(40), 6)
        >>> matrix = (rng.normal(size=(40, 16))[subjects] + rng.normal(size=(240, 16))).astype(np.float32)
        >>> result = evaluate_embeddings(
        ...     matrix, subjects, np.tile([5, 8, 15, 18, 30, 50], 40), groups="0-12,13-19,20-59", targets=[0.1],
        ...     bootstrap=0, curves=False,
        ... )
        >>> result.at(0.1).fmr.errors, result.at(0.1).fmr.trials, result.at(0.1).budget
        (936, 9360, 936)
        >>> [group.name for group in result.at(0.1).groups]
        ['0-12', '13-19', '20-59']
    """
    years = np.full(len(matrix), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
    _check_lengths(len(matrix), subjects=len(subjects), ages=len(years))
    grouping = groups if isinstance(groups, Grouping) else grouping_named(groups, {"age": years})
    _check_lengths(len(matrix), groups=len(grouping.codes))
    chosen = tuple(float(t) for t in targets)
    dropped = (
        np.empty(0, dtype=np.int64) if drop_duplicates is None else near_duplicates(matrix, subjects, drop_duplicates)
    )
    if dropped.size:
        kept = np.setdiff1d(np.arange(len(matrix)), dropped)
        matrix, subjects, years = matrix[kept], np.asarray(subjects)[kept], years[kept]
        grouping = replace(grouping, codes=grouping.codes[kept])
    options = EvaluationOptions(
        chosen, alpha, bootstrap, seed, confidence, curves, failure_to_acquire, threads, tuple(acquisition)
    )
    tails = [min(2 * t, 1.0) for t in (*chosen, *([HIGHEST_TARGET] if curves else []))] if bootstrap else []
    comparisons = compare_all(
        matrix,
        subjects,
        grouping,
        targets=chosen,
        rule=non_mated,
        ages=years,
        matched_age=matched_age,
        tails=tails,
        budget=budget,
        threads=threads,
        block=block,
        world=world,
        product=product,
        progress=progress,
    )
    done = evaluate(comparisons, grouping, options, ages=years, name=name)
    done = _with_classes(done, grouping, matrix, np.asarray(subjects), years)
    if drop_duplicates is None:
        return done
    left_out = NearDuplicates(drop_duplicates, len(dropped), tuple(dropped.tolist()))
    return replace(done, samples=replace(done.samples, near_duplicates=left_out))


def _with_classes(
    done: Evaluation,
    grouping: Grouping,
    matrix: npt.NDArray[np.float32],
    subjects: npt.NDArray[Any],
    ages: Float,
) -> Evaluation:
    """The evaluation with the score distributions that its protocol asks for."""
    if done.curves is None or grouping.protocol is None or done.source is None:
        return done
    edges = np.array(done.curves.distributions.edges)
    classes = protocol_distributions(grouping.protocol, done.source, matrix, subjects, ages, edges)
    shapes = replace(done.curves.distributions, classes=classes)
    return replace(done, curves=replace(done.curves, distributions=shapes))


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
    results = tuple(
        at_target(
            comparisons,
            target,
            tau,
            replicates,
            gaps,
            alpha=options.alpha,
            seed=options.seed,
            confidence=options.confidence,
            failure_to_acquire=options.failure_to_acquire,
            acquisition=options.acquisition,
        )
        for target, tau in zip(usable, thresholds, strict=True)
    )
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


def _check_lengths(expected: int, **lengths: int) -> None:
    for what, length in lengths.items():
        if length != expected:
            raise BadInputError(f"There are {expected} embeddings but {length} {what}.")


__all__ = ["DEFAULT_TARGETS", "Evaluation", "EvaluationOptions", "evaluate", "evaluate_embeddings"]
