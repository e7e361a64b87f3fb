"""What a list of pairs says about a recogniser: accuracy over folds, TAR at FAR, EER and d', for all pairs and per group.

``tar_at_far`` is 1 - FNMR at the ``at_most`` threshold of the target among the non-mated pairs of the group itself (every
group at its own threshold, as RFW and the like are reported). Over two or more groups the accuracies are summed up as in
RFW (Wang et al., ICCV 2019: mean, standard deviation divided by g - 1, skewed error ratio = largest / smallest error) and
FRCSyn (Melzi et al., WACV workshops 2024: trade-off = mean - standard deviation), once with every group's own
thresholds and once with one threshold for all groups, which is what a deployed system has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.verification.accuracy import (
    FoldAccuracy,
)
from frbias.core.verification.measures.fairness import accuracy_ser, accuracy_std
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.measures.rates import (
    EqualErrorRate,
)

Float = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

SCHEMA = "frbias.pairs"
SCHEMA_VERSION = 1
DEFAULT_TARGETS = (0.01, 0.001)


@dataclass(frozen=True)
class PairOptions:
    """How a list of pairs is judged.

    Attributes:
        targets: Target FARs, fractions between 0 and 1.
        rule: Thresholds of the accuracy, ``grid`` or ``exact``.
        replicates: Bootstrap replicates; 0: none.
        seed: Seed of the draws.
        confidence: Coverage of intervals.
    """

    targets: tuple[float, ...] = DEFAULT_TARGETS
    rule: str = "grid"
    replicates: int = 1000
    seed: int = 0
    confidence: float = 0.95


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs with their distances.

    Attributes:
        distances: Squared Euclidean distances of unit embeddings, 0..4, shape (n,).
        mated: True for pairs of one person, shape (n,).
        folds: Fold of every pair, 0..k-1, shape (n,); None: no accuracy is computed.
        groups: Group names and each pair's position in them (-1 none), or None.
        subjects: Subject codes of the first and second image of each pair, or None when unknown.
    """

    distances: Float
    mated: Bool
    folds: Int64 | None
    groups: tuple[tuple[str, ...], Int64] | None = None
    subjects: tuple[Int64, Int64] | None = None


@dataclass(frozen=True)
class TarAtFar:
    """TAR at one target FAR.

    Attributes:
        target: Target FAR.
        threshold: Cosine from which a pair is accepted.
        false_matches, non_mated: What the achieved FAR is made of.
        accepted, mated: What TAR is made of.
        interval: Bootstrap interval of TAR, None without.
    """

    target: float
    threshold: float
    false_matches: int
    non_mated: int
    accepted: int
    mated: int
    interval: Interval | None

    @property
    def tar(self) -> float:
        """True accept rate, 0..1."""
        return self.accepted / self.mated

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "target_far": self.target,
            "threshold": self.threshold,
            "achieved_far": self.false_matches / self.non_mated,
            "false_matches": self.false_matches,
            "non_mated": self.non_mated,
            "tar": self.tar,
            "accepted": self.accepted,
            "mated": self.mated,
            "tar_bootstrap": None if self.interval is None else self.interval.to_json(),
        }


@dataclass(frozen=True)
class PairGroup:
    """Results of one set of pairs.

    Attributes:
        name: Group name; ``all`` for every pair.
        mated, non_mated: Numbers of pairs.
        accuracy: Accuracy over folds at the group's own thresholds; None without folds.
        accuracy_interval: Bootstrap interval of its mean, None without.
        one_threshold: Accuracy when one threshold serves all groups, None for ``all``.
        eer: Equal error rate.
        d_prime: Decidability index of the cosines.
        tar_at_far: One entry per usable target.
        refused: Targets that the pairs cannot resolve, with the reason.
    """

    name: str
    mated: int
    non_mated: int
    accuracy: FoldAccuracy | None
    accuracy_interval: Interval | None
    one_threshold: float | None
    eer: EqualErrorRate
    d_prime: float | None
    tar_at_far: tuple[TarAtFar, ...]
    refused: tuple[tuple[float, str], ...]

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "name": self.name,
            "mated": self.mated,
            "non_mated": self.non_mated,
            "accuracy": None if self.accuracy is None else self.accuracy.to_json(),
            "accuracy_bootstrap": None if self.accuracy_interval is None else self.accuracy_interval.to_json(),
            "accuracy_at_one_threshold": self.one_threshold,
            "eer": self.eer.to_json(),
            "d_prime": self.d_prime,
            "tar_at_far": [one.to_json() for one in self.tar_at_far],
            "refused_targets": [{"target_far": target, "reason": why} for target, why in self.refused],
        }


@dataclass(frozen=True)
class GroupSummary:
    """Accuracies of groups, in percent, as RFW and FRCSyn sum them up.

    Attributes:
        names: Groups.
        accuracies: Accuracy of each in percent.
    """

    names: tuple[str, ...]
    accuracies: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON object: mean, std, skewed error ratio, trade-off, worst group."""
        mean, spread, ratio = (
            float(np.mean(self.accuracies)),
            accuracy_std(self.accuracies),
            accuracy_ser(self.accuracies),
        )
        worst = int(np.argmin(self.accuracies))
        return {
            "mean": mean,
            "std": spread.value,
            "skewed_error_ratio": ratio.value,
            "skewed_error_ratio_reason": ratio.reason,
            "trade_off": None if spread.value is None else mean - spread.value,
            "worst": {"name": self.names[worst], "accuracy": self.accuracies[worst]},
            "unit": "%",
        }


@dataclass(frozen=True)
class PairResult:
    """What a list of pairs says.

    Attributes:
        everything: All pairs together.
        groups: Per group; empty without groups.
        bootstrap: ``subjects``, ``pairs``, or the reason why there is none.
        options: How it was judged.
    """

    everything: PairGroup
    groups: tuple[PairGroup, ...]
    bootstrap: str
    options: PairOptions

    @property
    def own_thresholds(self) -> GroupSummary | None:
        """Groups at their own thresholds; None with fewer than two."""
        return _summary([(g.name, None if g.accuracy is None else g.accuracy.mean) for g in self.groups])

    @property
    def one_threshold(self) -> GroupSummary | None:
        """Groups when one threshold serves all; None with fewer than two."""
        return _summary([(g.name, g.one_threshold) for g in self.groups])

    def to_json(self) -> dict[str, Any]:
        """The document of ``docs/protocols.md``."""
        own, one = self.own_thresholds, self.one_threshold
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "thresholds": self.options.rule,
            "confidence": self.options.confidence,
            "bootstrap": {"unit": self.bootstrap, "replicates": self.options.replicates, "seed": self.options.seed},
            "all": self.everything.to_json(),
            "groups": [group.to_json() for group in self.groups],
            "groups_at_own_thresholds": None if own is None else own.to_json(),
            "groups_at_one_threshold": None if one is None else one.to_json(),
        }


def _summary(accuracies: Sequence[tuple[str, float | None]]) -> GroupSummary | None:
    found = [(name, 100 * value) for name, value in accuracies if value is not None]
    return GroupSummary(tuple(n for n, _ in found), tuple(a for _, a in found)) if len(found) > 1 else None
