"""Puts comparisons, rates, fairness and uncertainty together into one :class:`Evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.verification.ages import by_age_gap, by_age_pair
from frbias.core.verification.bootstrap import (
    Interval,
    Replicates,
    bootstrap,
    design_effects,
)
from frbias.core.verification.curves import HIGHEST_TARGET, curve_targets, det_curves, distributions, fairness_curve
from frbias.core.verification.facts import bootstrap_facts, comparison_facts, group_facts, overall, sample_facts
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, group_by_age
from frbias.core.verification.measures.fairness import Measure, all_measures
from frbias.core.verification.measures.noise import NoiseFloor, noise_floor
from frbias.core.verification.measures.rates import (
    DEFAULT_CONVENTION,
    check_target,
    error_budget,
)
from frbias.core.verification.protocols import protocol_distributions
from frbias.core.verification.results import AtTarget, Evaluation, GroupAtTarget, Rate
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
    """

    targets: tuple[float, ...] = DEFAULT_TARGETS
    alpha: float = 0.5
    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95
    curves: bool = True
    failure_to_acquire: float | None = None
    threads: int = 0

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
    grouping = groups if isinstance(groups, Grouping) else group_by_age(years, groups)
    _check_lengths(len(matrix), groups=len(grouping.codes))
    chosen = tuple(float(t) for t in targets)
    dropped = (
        np.empty(0, dtype=np.int64) if drop_duplicates is None else near_duplicates(matrix, subjects, drop_duplicates)
    )
    if dropped.size:
        kept = np.setdiff1d(np.arange(len(matrix)), dropped)
        matrix, subjects, years = matrix[kept], np.asarray(subjects)[kept], years[kept]
        grouping = replace(grouping, codes=grouping.codes[kept])
    options = EvaluationOptions(chosen, alpha, bootstrap, seed, confidence, curves, failure_to_acquire, threads)
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
    if curves and grouping.protocol is not None:
        shapes = done.curves["distributions"]
        shapes["classes"] = protocol_distributions(
            grouping.protocol, comparisons, matrix, np.asarray(subjects), years, np.array(shapes["edges"])
        )
    left_out = {"limit": drop_duplicates, "dropped": len(dropped), "rows": dropped.tolist()}
    return replace(done, samples={**done.samples, "near_duplicates": None if drop_duplicates is None else left_out})


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
    results = tuple(
        _at_target(comparisons, target, tau, replicates, options, ages)
        for target, tau in zip(usable, thresholds, strict=True)
    )
    return Evaluation(
        name=name,
        samples=sample_facts(comparisons, grouping, options.failure_to_acquire),
        groups=group_facts(comparisons, grouping),
        comparisons=comparison_facts(comparisons),
        alpha=options.alpha,
        confidence=options.confidence,
        overall=overall(comparisons, eer),
        targets=results,
        refused=refused,
        curves=_curves(comparisons, curve_at, replicates, options, ages),
        bootstrap=bootstrap_facts(replicates, options.confidence),
        replicates=replicates,
        provenance=provenance or {},
        source=comparisons,
    )


def _usable_targets(targets: Sequence[float], non_mated: int) -> tuple[tuple[float, ...], tuple[dict[str, Any], ...]]:
    usable, refused, sentences = [], [], []
    for target in targets:
        try:
            check_target(target, non_mated)
            usable.append(target)
        except UsageError as error:
            refused.append({"target": target, "reason": "budget_below_one", "smallest_usable": 1 / non_mated})
            sentences.append(error.message)
    if not usable:
        raise UsageError(sentences[-1])
    return tuple(usable), tuple(refused)


def _replicates(comparisons: Comparisons, targets: Sequence[float], options: EvaluationOptions) -> Replicates | None:
    if not options.replicates or not comparisons.subject_names:
        return None
    return bootstrap(
        comparisons, sorted(set(targets)), replicates=options.replicates, seed=options.seed, threads=options.threads
    )


def _at_target(
    comparisons: Comparisons,
    target: float,
    tau: Any,
    replicates: Replicates | None,
    options: EvaluationOptions,
    ages: Float | None,
) -> AtTarget:
    chosen = np.flatnonzero(comparisons.evaluated)
    accepted = comparisons.tally.at_least(tau, comparisons.counted)
    matches, rejected = accepted @ comparisons.classes.member, comparisons.false_non_matches(tau)
    non_mated, mated = comparisons.non_mated_counts, comparisons.mated_counts
    position = None if replicates is None else replicates.targets.index(target)
    fmr_bands, fnmr_bands = _bands(replicates, position, options)
    groups = tuple(
        GroupAtTarget(
            comparisons.groups[g],
            Rate(int(matches[g]), int(non_mated[g]), fmr_bands.get(g), options.confidence),
            Rate(int(rejected[g]), int(mated[g]), fnmr_bands.get(g), options.confidence),
        )
        for g in map(int, chosen)
    )
    fmr, fnmr = np.array([g.fmr.value for g in groups]), np.array([g.fnmr.value for g in groups])
    fnmr_band, tau_band, intervals = None, None, {}
    if replicates is not None and position is not None:
        fnmr_band = replicates.interval(replicates.overall_fnmr(position), position, options.confidence)
        tau_band = replicates.interval(replicates.tau[:, position], position, options.confidence)
        values = replicates.measures(position, alpha=options.alpha)
        intervals = {k: replicates.interval(v, position, options.confidence) for k, v in values.items()}
    gaps, younger, older = _mated_ages(comparisons, ages)
    return AtTarget(
        target=target,
        convention=DEFAULT_CONVENTION,
        tau=float(tau),
        tau_interval=tau_band,
        budget=error_budget(target, comparisons.pooled_non_mated),
        fmr=Rate(int(accepted[comparisons.classes.pool].sum()), comparisons.pooled_non_mated, None, options.confidence),
        fnmr=Rate(int(rejected[chosen].sum()), int(mated[chosen].sum()), fnmr_band, options.confidence),
        groups=groups,
        measures=all_measures(fmr, fnmr, alpha=options.alpha, target=target),
        intervals=intervals,
        floors=_floors(groups, target, replicates, position, options),
        age_gaps=[] if gaps is None else by_age_gap(comparisons.mated.score, gaps, tau),
        cross_age=None if gaps is None else by_age_pair(comparisons.mated.score, younger, older, tau),
        cross_groups=_cross_groups(comparisons, accepted),
        failure_to_acquire=options.failure_to_acquire,
    )


def _bands(
    replicates: Replicates | None, position: int | None, options: EvaluationOptions
) -> tuple[dict[int, Interval], dict[int, Interval]]:
    if replicates is None or position is None:
        return {}, {}
    both = replicates.fmr(position), replicates.fnmr(position)
    fmr, fnmr = (
        {g: replicates.interval(values[:, g], position, options.confidence) for g in range(values.shape[1])}
        for values in both
    )
    return fmr, fnmr


def _floors(
    groups: Sequence[GroupAtTarget],
    target: float,
    replicates: Replicates | None,
    position: int | None,
    options: EvaluationOptions,
) -> tuple[NoiseFloor, ...]:
    if len(groups) < 2:
        return ()
    non_mated, mated = np.array([g.fmr.trials for g in groups]), np.array([g.fnmr.trials for g in groups])
    shared = sum(g.fmr.errors for g in groups) / int(non_mated.sum())
    missed = sum(g.fnmr.errors for g in groups) / int(mated.sum())
    settings: dict[str, Any] = {"fmr": shared, "fnmr": missed, "alpha": options.alpha, "seed": options.seed}
    floors = [noise_floor(non_mated, mated, **settings)]
    if replicates is not None and position is not None:
        chosen = replicates.evaluated
        fmr_effect = design_effects(replicates.fmr(position)[:, chosen], non_mated, shared)
        fnmr_effect = design_effects(replicates.fnmr(position)[:, chosen], mated, missed)
        floors.append(noise_floor(non_mated / fmr_effect, mated / fnmr_effect, kind="clustered", **settings))
    return tuple(floors)


def _mated_ages(comparisons: Comparisons, ages: Float | None) -> tuple[Float | None, Float, Float]:
    empty = np.empty(0)
    if ages is None or not np.isfinite(ages).any() or not len(comparisons.mated.first):
        return None, empty, empty
    first, second = ages[comparisons.mated.first], ages[comparisons.mated.second]
    return np.abs(first - second), np.minimum(first, second), np.maximum(first, second)


def _cross_groups(comparisons: Comparisons, accepted: npt.NDArray[np.int64]) -> dict[str, Any] | None:
    """Non-mated comparisons between every pair of groups at the threshold, when each pair has its own class."""
    if not comparisons.classes.cross or len(comparisons.groups) < 2:
        return None
    table = comparisons.classes.table[1:, 1:]
    counts, matches = comparisons.tally.counts[table], accepted[table]
    rates = [
        [int(m) / int(n) if n else None for m, n in zip(row, total, strict=True)]
        for row, total in zip(matches, counts, strict=True)
    ]
    return {
        "groups": list(comparisons.groups),
        "non_mated": counts.tolist(),
        "false_matches": matches.tolist(),
        "fmr": rates,
    }


def _curves(
    comparisons: Comparisons,
    targets: tuple[float, ...],
    replicates: Replicates | None,
    options: EvaluationOptions,
    ages: Float | None,
) -> dict[str, Any]:
    if not options.curves:
        return {}
    gaps, _, _ = _mated_ages(comparisons, ages)
    return {
        "det": det_curves(comparisons),
        "distributions": distributions(comparisons, gaps),
        "fairness": fairness_curve(comparisons, targets, replicates, alpha=options.alpha, seed=options.seed),
    }


def _shortage(comparisons: Comparisons) -> str:
    return ", ".join(f"{name}: {m} mated" for name, m in zip(comparisons.groups, comparisons.mated_counts, strict=True))


def _check_lengths(expected: int, **lengths: int) -> None:
    for what, length in lengths.items():
        if length != expected:
            raise BadInputError(f"There are {expected} embeddings but {length} {what}.")


__all__ = [
    "DEFAULT_TARGETS",
    "Evaluation",
    "EvaluationOptions",
    "Measure",
    "evaluate",
    "evaluate_embeddings",
]
