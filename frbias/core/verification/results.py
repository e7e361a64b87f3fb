"""What an evaluation says, as frozen records that turn into one versioned JSON document.

The document's schema is described in ``docs/evaluation.md``. Every number of a report, a table or a figure is a
number of this document. A value that is undefined is ``null`` and has a reason beside it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from frbias.core.verification.bootstrap import Interval, Replicates
from frbias.core.verification.measures.fairness import Measure
from frbias.core.verification.measures.intervals import clopper_pearson, flags, wilson
from frbias.core.verification.measures.noise import NoiseFloor
from frbias.core.verification.measures.rates import EqualErrorRate
from frbias.core.verification.scores.comparisons import Comparisons

SCHEMA = "frbias.evaluation"
SCHEMA_VERSION = 1
HEADLINE = ("garbe", "gini_fmr", "gini_fnmr", "fdr", "ir")

DEFINITIONS_TEXT = {
    "score": "comparison score, larger is more similar; accepted iff score >= tau",
    "fmr": "false match rate: non-mated comparisons with score >= tau / non-mated comparisons (fraction)",
    "fnmr": "false non-match rate: mated comparisons with score < tau / mated comparisons (fraction)",
    "tar": "true accept rate: 1 - fnmr (fraction)",
    "tau": "one global threshold for all groups; convention 'at_most': the smallest observed non-mated score whose "
    "pooled FMR does not exceed the target, or just above the largest non-mated score when none does",
    "budget": "floor(target x pooled non-mated comparisons), computed exactly; targets of budget 0 are refused",
    "groups": "a mated comparison belongs to a group when both samples are in it; mated comparisons across groups are "
    "reported by age gap only",
    "garbe": "alpha x Gini(FMR) + (1 - alpha) x Gini(FNMR) over groups of equal weight; 0 fair, 1 worst",
    "gini": "n/(n-1) x sum |x_i - x_j| / (2 n^2 mean); undefined (mean_zero) when no group has an error",
    "fdr": "1 - (alpha x range(FMR) + (1 - alpha) x range(FNMR)); 1 fair, 0 worst",
    "ir": "(max/min FMR)^alpha x (max/min FNMR)^(1 - alpha); 1 fair, unbounded",
    "wilson": "Wilson score interval of independent comparisons: a lower bound of the uncertainty",
    "bootstrap": "percentile interval over subjects drawn with replacement, tau set anew in every replicate",
    "noise_floor": "the measure's distribution when all groups are equal; a value below p95 is within chance",
    "flags": "rule_of_3: no error observed; below_rule_of_30: fewer than 30 errors, the rate is imprecise",
}


@dataclass(frozen=True)
class Rate:
    """Errors over trials with intervals.

    Attributes:
        errors, trials: Counts.
        interval: Subject bootstrap interval, or None without a bootstrap.
        confidence: Coverage of the binomial intervals.
    """

    errors: int
    trials: int
    interval: Interval | None = None
    confidence: float = 0.95

    @property
    def value(self) -> float:
        """Errors / trials."""
        return self.errors / self.trials

    @property
    def flags(self) -> list[str]:
        """Small-sample flags."""
        return flags(self.errors, self.trials)

    @property
    def bounds(self) -> tuple[float, float]:
        """The bootstrap interval; the Wilson interval without a bootstrap or without errors (which no draw can add)."""
        if (
            self.errors
            and self.interval is not None
            and self.interval.low is not None
            and self.interval.high is not None
        ):
            return self.interval.low, self.interval.high
        return wilson(self.errors, self.trials, confidence=self.confidence)

    def to_json(self, name: str) -> dict[str, Any]:
        """Members ``name``, ``name_wilson``, ``name_clopper_pearson``, ``name_bootstrap`` and ``name_flags``."""
        return {
            name: self.value,
            f"{name}_wilson": list(wilson(self.errors, self.trials, confidence=self.confidence)),
            f"{name}_clopper_pearson": list(clopper_pearson(self.errors, self.trials, confidence=self.confidence)),
            f"{name}_bootstrap": None if self.interval is None else self.interval.to_json(),
            f"{name}_flags": self.flags,
        }


@dataclass(frozen=True)
class GroupAtTarget:
    """One group's errors at the global threshold."""

    name: str
    fmr: Rate
    fnmr: Rate

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "name": self.name,
            "non_mated": self.fmr.trials,
            "mated": self.fnmr.trials,
            "false_matches": self.fmr.errors,
            "false_non_matches": self.fnmr.errors,
            **self.fmr.to_json("fmr"),
            **self.fnmr.to_json("fnmr"),
        }


@dataclass(frozen=True)
class AtTarget:
    """Everything at one target FMR.

    Attributes:
        target: Target FMR.
        convention: Threshold convention.
        tau: Threshold.
        tau_interval: Its bootstrap interval.
        budget: False matches allowed.
        fmr: Pooled false matches over the comparisons that set the threshold.
        fnmr: Mated comparisons of the evaluated groups together.
        groups: Per group.
        measures: Fairness measures by name.
        intervals: Bootstrap intervals of measures by name.
        floors: Noise floors (``independent``, ``clustered``).
        age_gaps: Mated comparisons by age gap.
        cross_age: Mated comparisons by pair of ages.
        cross_groups: Non-mated comparisons by pair of groups.
        failure_to_acquire: Share of images without a usable face, or None when unknown.
    """

    target: float
    convention: str
    tau: float
    tau_interval: Interval | None
    budget: int
    fmr: Rate
    fnmr: Rate
    groups: tuple[GroupAtTarget, ...]
    measures: dict[str, Measure]
    intervals: dict[str, Interval]
    floors: tuple[NoiseFloor, ...]
    age_gaps: list[dict[str, Any]] = field(default_factory=list)
    cross_age: dict[str, Any] | None = None
    cross_groups: dict[str, Any] | None = None
    failure_to_acquire: float | None = None

    def floor(self) -> NoiseFloor | None:
        """The most honest noise floor there is."""
        return self.floors[-1] if self.floors else None

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "target": self.target,
            "convention": self.convention,
            "tau": self.tau,
            "tau_bootstrap": None if self.tau_interval is None else self.tau_interval.to_json(),
            "budget": self.budget,
            "achieved_fmr": self.fmr.value,
            "false_matches": self.fmr.errors,
            "non_mated": self.fmr.trials,
            "fmr_flags": self.fmr.flags,
            "false_non_matches": self.fnmr.errors,
            "mated": self.fnmr.trials,
            **self.fnmr.to_json("fnmr"),
            "tar": 1 - self.fnmr.value,
            **self._transactions(),
            **self._headline(),
            "groups": [group.to_json() for group in self.groups],
            "measures": {name: self._measure(name, value) for name, value in self.measures.items()},
            "noise_floor": {floor.kind: floor.to_json() for floor in self.floors},
            "age_gaps": self.age_gaps,
            "cross_age": self.cross_age,
            "cross_groups": self.cross_groups,
        }

    def _headline(self) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name in HEADLINE:
            measure = self.measures[name]
            record[name] = measure.value
            if not measure.defined:
                record[f"{name}_reason"] = measure.reason
        return record

    def _measure(self, name: str, measure: Measure) -> dict[str, Any]:
        record = measure.to_json(name)
        if name in self.intervals:
            record["bootstrap"] = self.intervals[name].to_json()
        return record

    def _transactions(self) -> dict[str, Any]:
        if self.failure_to_acquire is None:
            return {"failure_to_acquire": None, "far": None, "frr": None}
        from frbias.core.verification.measures.rates import transaction_rates

        far, frr = transaction_rates(self.fmr.value, self.fnmr.value, self.failure_to_acquire)
        return {"failure_to_acquire": self.failure_to_acquire, "far": far, "frr": frr}


@dataclass(frozen=True)
class Overall:
    """Threshold-free facts of the evaluated comparisons."""

    eer: EqualErrorRate
    d_prime: float | None
    mated: dict[str, float]
    non_mated: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        record: dict[str, Any] = {"eer": self.eer.to_json(), "d_prime": self.d_prime}
        if self.d_prime is None:
            record["d_prime_reason"] = "no_spread"
        return {**record, "mated": self.mated, "non_mated": self.non_mated}


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        name: What was evaluated (a model or a file), for titles.
        samples: Facts about samples and subjects.
        groups: Facts about the groups, the evaluated ones and the excluded ones with reasons.
        comparisons: Facts about the comparisons.
        alpha: Weight of FMR in GARBE, FDR and IR.
        confidence: Nominal coverage of every interval.
        overall: EER and d'.
        targets: Results at every usable target FMR.
        refused: Targets that the data cannot resolve.
        curves: Points of the figures.
        bootstrap: Facts about the bootstrap, None without one.
        replicates: The replicates themselves (not in the JSON), for paired comparisons.
        provenance: Where the scores come from.
        source: The comparisons (not in the JSON), to count at other thresholds.
    """

    name: str
    samples: dict[str, Any]
    groups: dict[str, Any]
    comparisons: dict[str, Any]
    alpha: float
    confidence: float
    overall: Overall
    targets: tuple[AtTarget, ...]
    refused: tuple[dict[str, Any], ...]
    curves: dict[str, Any]
    bootstrap: dict[str, Any] | None
    replicates: Replicates | None = field(repr=False, default=None)
    provenance: dict[str, Any] = field(default_factory=dict)
    source: Comparisons | None = field(repr=False, default=None)

    def at(self, target: float) -> AtTarget:
        """Results at one target FMR; KeyError when it was not evaluated."""
        for result in self.targets:
            if result.target == target:
                return result
        raise KeyError(target)

    def described(self, provenance: dict[str, Any]) -> "Evaluation":
        """The same evaluation, saying where its scores come from."""
        return replace(self, provenance=provenance)

    def to_json(self, *, curves: bool = True) -> dict[str, Any]:
        """The document of ``docs/evaluation.md``; ``curves=False`` leaves the points of the figures out."""
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "definitions": DEFINITIONS_TEXT,
            "alpha": self.alpha,
            "confidence": self.confidence,
            "samples": self.samples,
            "groups": self.groups,
            "comparisons": self.comparisons,
            "overall": self.overall.to_json(),
            "targets": [target.to_json() for target in self.targets],
            "refused_targets": list(self.refused),
            "bootstrap": self.bootstrap,
            "provenance": self.provenance,
        }
        return {**record, "curves": self.curves} if curves else record
