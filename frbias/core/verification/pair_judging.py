"""Judging a list of pairs: accuracy over folds, TAR at FAR, EER and d', with intervals, for all pairs and per group."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.verification.accuracy import fold_accuracy, pooled_fold_accuracy, replicate_accuracies
from frbias.core.verification.bootstrap import percentile_interval
from frbias.core.verification.measures.rates import (
    check_target,
    d_prime,
    deviation,
    equal_error_rate,
    error_counts,
    threshold_at_fmr,
)
from frbias.core.verification.pair_draws import Weights, replicate_tars, weights_of_pairs, weights_of_subjects
from frbias.core.verification.pair_results import PairGroup, PairOptions, PairResult, ScoredPairs, TarAtFar

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

WEIGHTS_LIMIT = 60_000_000


def judge_pairs(pairs: ScoredPairs, options: PairOptions | None = None) -> PairResult:
    """Everything a list of pairs says, for all pairs and for every group.

    Raises:
        BadInputError: A group, or the list, lacks mated or non-mated pairs, or has fewer than two folds.
        UsageError: The rule of thresholds is unknown, or a target is no fraction.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> same = np.arange(400) % 2 == 0
        >>> distances = np.where(same, 0.8, 1.9) + rng.normal(scale=0.25, size=400)
        >>> found = judge_pairs(ScoredPairs(distances, same, np.arange(400) // 40), PairOptions(replicates=0))
        >>> round(found.everything.accuracy.mean, 4), found.everything.accuracy.pairs.tolist()[:2]
        (0.995, [40, 40])
    """
    chosen = options or PairOptions()
    if any(not 0 < target < 1 for target in chosen.targets):
        raise UsageError("Target FARs are fractions between 0 and 1, e.g. --at-far 0.01,0.001.")
    weights, unit = _weights(pairs, chosen)
    whole = np.ones(len(pairs.mated), dtype=np.bool_)
    everything = _judge("all", pairs, whole, weights, chosen, None)
    if pairs.groups is None:
        return PairResult(everything, (), unit, chosen)
    names, codes = pairs.groups
    pooled = _at_one_threshold(pairs, codes, chosen.rule)
    groups = tuple(
        _judge(name, pairs, codes == number, weights, chosen, None if pooled is None else float(pooled[number]))
        for number, name in enumerate(names)
        if (codes == number).any()
    )
    return PairResult(everything, groups, unit, chosen)


def _at_one_threshold(pairs: ScoredPairs, codes: Int64, rule: str) -> Float | None:
    inside = codes >= 0
    if pairs.folds is None:
        return None
    return pooled_fold_accuracy(
        pairs.distances[inside], pairs.mated[inside], _dense(pairs.folds[inside]), codes[inside], rule=rule
    )


def _judge(
    name: str, pairs: ScoredPairs, chosen: Bool, weights: Weights | None, options: PairOptions, pooled: float | None
) -> PairGroup:
    distances, mated = pairs.distances[chosen], pairs.mated[chosen]
    for kind, count in (("mated", int(mated.sum())), ("non-mated", int((~mated).sum()))):
        if not count:
            raise BadInputError(f"The group {name!r} has no {kind} pair, so its accuracy means nothing.")
    folds = None if pairs.folds is None else _dense(pairs.folds[chosen])
    drawn = None if weights is None else weights[:, chosen]
    cosines = 1 - distances / 2
    genuine, impostor = cosines[mated], cosines[~mated]
    interval = None
    if drawn is not None and folds is not None:
        values = replicate_accuracies(distances, mated, folds, drawn, rule=options.rule)
        interval = percentile_interval(values, confidence=options.confidence)
    usable, refused = _usable(options.targets, len(impostor))
    return PairGroup(
        name,
        len(genuine),
        len(impostor),
        None if folds is None else fold_accuracy(distances, mated, folds, rule=options.rule),
        interval,
        pooled,
        equal_error_rate(genuine, impostor),
        d_prime(float(genuine.mean()), deviation(genuine), float(impostor.mean()), deviation(impostor)),
        _tars(cosines, mated, drawn, usable, options.confidence),
        refused,
    )


def _tars(
    cosines: Float, mated: Bool, weights: Weights | None, targets: Sequence[float], confidence: float
) -> tuple[TarAtFar, ...]:
    genuine, impostor = cosines[mated], cosines[~mated]
    drawn = None if weights is None else replicate_tars(cosines, mated, weights, targets)
    found = []
    for column, target in enumerate(targets):
        tau = threshold_at_fmr(impostor, target)
        false_matches, rejected = error_counts(genuine, impostor, [tau])
        interval = None if drawn is None else percentile_interval(drawn[:, column], confidence=confidence)
        accepted = len(genuine) - int(rejected[0])
        found.append(TarAtFar(target, tau, int(false_matches[0]), len(impostor), accepted, len(genuine), interval))
    return tuple(found)


def _usable(targets: Sequence[float], non_mated: int) -> tuple[tuple[float, ...], tuple[tuple[float, str], ...]]:
    usable, refused = [], []
    for target in targets:
        try:
            check_target(target, non_mated)
            usable.append(target)
        except UsageError as error:
            refused.append((target, error.message))
    return tuple(usable), tuple(refused)


def _weights(pairs: ScoredPairs, options: PairOptions) -> tuple[Weights | None, str]:
    if not options.replicates:
        return None, "none asked for"
    if options.replicates * len(pairs.mated) > WEIGHTS_LIMIT:
        return None, f"none: more than {WEIGHTS_LIMIT} weights; ask for fewer replicates"
    if pairs.subjects is not None:
        return weights_of_subjects(*pairs.subjects, options.replicates, options.seed), "subjects"
    parts = np.zeros(len(pairs.mated), dtype=np.int64) if pairs.folds is None else pairs.folds
    return weights_of_pairs(parts, options.replicates, options.seed), "pairs"


def _dense(folds: Int64) -> Int64:
    return np.unique(folds, return_inverse=True)[1].astype(np.int64)
