"""What an evaluation says about its samples, groups, comparisons and bootstrap, as JSON values."""

from typing import Any

import numpy as np

from frbias.core.verification.bootstrap import METHOD, Replicates
from frbias.core.verification.groups import Grouping
from frbias.core.verification.measures.rates import EqualErrorRate, d_prime
from frbias.core.verification.results import Overall
from frbias.core.verification.scores.comparisons import Comparisons


def overall(comparisons: Comparisons, eer: EqualErrorRate) -> Overall:
    """EER, d' and moments of the evaluated comparisons."""
    mated = comparisons.mated.score[comparisons.in_evaluated_group].astype(np.float64)
    mean, spread = float(mated.mean()), float(mated.std())
    other_mean, other_spread = comparisons.tally.moments(comparisons.classes.pool)
    return Overall(
        eer,
        d_prime(mean, spread, other_mean, other_spread),
        {"mean": mean, "std": spread},
        {"mean": other_mean, "std": other_spread},
    )


def sample_facts(comparisons: Comparisons, grouping: Grouping, failure_to_acquire: float | None) -> dict[str, Any]:
    """Numbers of samples and subjects."""
    return {
        "samples": None if comparisons.weights is None else len(grouping.codes),
        "subjects": len(comparisons.subject_names) or None,
        "without_group": grouping.ungrouped if comparisons.weights is not None else None,
        "failure_to_acquire": failure_to_acquire,
    }


def group_facts(comparisons: Comparisons, grouping: Grouping) -> dict[str, Any]:
    """Evaluated groups with their numbers, excluded groups with the reason, gaps."""
    non_mated, mated = comparisons.non_mated_counts, comparisons.mated_counts
    weights = comparisons.weights
    evaluated, excluded = [], []
    for g, name in enumerate(comparisons.groups):
        facts: dict[str, Any] = {"name": name}
        if weights is not None:
            facts |= {"samples": int(weights[:, g].sum()), "subjects": int((weights[:, g] > 0).sum())}
        if comparisons.evaluated[g]:
            evaluated.append({**facts, "mated": int(mated[g]), "non_mated": int(non_mated[g])})
        else:
            lacking = "no_mated_comparisons" if mated[g] == 0 else "no_non_mated_comparisons"
            excluded.append({**facts, "reason": lacking})
    return {
        "by": grouping.by,
        "rule": grouping.rule,
        "protocol": grouping.protocol,
        "evaluated": evaluated,
        "excluded": excluded,
        "gaps": list(grouping.gaps),
    }


def comparison_facts(comparisons: Comparisons) -> dict[str, Any]:
    """Numbers of comparisons, the rule they follow and how they were checked."""
    inside = comparisons.in_evaluated_group
    return {
        "non_mated_rule": comparisons.rule,
        "matched_age_years": comparisons.matched_age,
        "non_mated": comparisons.pooled_non_mated,
        "non_mated_everywhere": int(comparisons.tally.counts.sum()),
        "mated": int(inside.sum()),
        "mated_everywhere": len(comparisons.mated.score),
        "score_dtype": str(comparisons.tally.score.dtype),
        "self_check": comparisons.self_check,
        "every_score_held": comparisons.tally.complete(np.arange(comparisons.classes.count)),
    }


def bootstrap_facts(replicates: Replicates | None, confidence: float) -> dict[str, Any] | None:
    """What was drawn how often, None without a bootstrap."""
    if replicates is None:
        return None
    return {
        "method": METHOD,
        "unit": "subject",
        "replicates": replicates.count,
        "subjects": replicates.subjects,
        "seed": replicates.seed,
        "confidence": confidence,
        "replicates_missing_a_group": replicates.missing_a_group,
    }
