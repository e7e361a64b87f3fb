"""What an evaluation says, as frozen records that are written to and read from one versioned JSON document.

The document's schema is described in ``docs/evaluation.md``. Every number of a report, a table or a figure is a
number of this document. A value that is undefined is ``null`` and has a reason beside it.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from frbias.core.verification.ages import AgeGap, AgePairs
from frbias.core.verification.bootstrap import Replicates
from frbias.core.verification.counted import GroupAtTarget, Rate, Transactions
from frbias.core.verification.crossings import CrossGroups, ProjectedFpir
from frbias.core.verification.curves import Curves
from frbias.core.verification.differentials import ScoreDifferentials
from frbias.core.verification.facts import (
    BootstrapFacts,
    ComparisonFacts,
    GroupFacts,
    RecordOfTest,
    RefusedTarget,
    SampleFacts,
)
from frbias.core.verification.measures.fairness import Measure
from frbias.core.verification.measures.intervals import Interval
from frbias.core.verification.measures.noise import NoiseFloor
from frbias.core.verification.measures.rates import EqualErrorRate
from frbias.core.verification.measures.table import ACCURACIES, MEASURES, measures_shown, names_shown
from frbias.core.verification.records import Record, checked_object, member, read_fields
from frbias.core.verification.scores.comparisons import Comparisons
from frbias.core.verification.versions import check_version

SCHEMA = "frbias.evaluation"
SCHEMA_VERSION = 2

_WORDS = {
    "score": "comparison score, larger is more similar; accepted iff score >= tau",
    "fmr": "false match rate: non-mated comparisons with score >= tau / non-mated comparisons (fraction)",
    "fnmr": "false non-match rate: mated comparisons with score < tau / mated comparisons (fraction)",
    "tar": "true accept rate: 1 - fnmr (fraction)",
    "tau": "one global threshold for all groups; convention 'at_most': the smallest observed non-mated score whose "
    "pooled FMR does not exceed the target, or just above the largest non-mated score when none does",
    "budget": "floor(target x pooled non-mated comparisons), computed exactly; targets of budget 0 are refused",
    "groups": "a mated comparison belongs to a group when both samples are in it; mated comparisons across groups are "
    "reported by age gap only",
    "interval": "the one shown: the subject bootstrap's, or Wilson's without one and where all or none are errors",
    "wilson": "Wilson score interval of independent comparisons: a lower bound of the uncertainty",
    "bootstrap": "percentile interval over subjects drawn with replacement, tau set anew in every replicate",
    "noise_floor": "the measure's distribution when all groups are equal; a value below p95 is within chance",
    "flags": "rule_of_3: no error observed; below_rule_of_30: fewer than 30 errors, the rate is imprecise",
}


def definitions() -> dict[str, str]:
    """The terms of the document and the measures shown in it, in words."""
    shown = {d.name: d for d in (*measures_shown("headline"), *measures_shown("terminal"))}
    formulas = {
        name: f"{'' if d.label.lower() == name else d.label + ': '}{d.formula}; {d.best:g} is fair, {'unbounded' if d.worst is None else f'{d.worst:g} worst'}"
        for name, d in shown.items()
    }
    accuracies = {name: f"{a.formula}; {a.direction}" for name, a in ACCURACIES.items() if name not in _WORDS}
    return {**_WORDS, **accuracies, **formulas}


@dataclass(frozen=True)
class MeasureResult(Record):
    """One measure at a target: its value or the reason why there is none, its range, and its interval."""

    value: float | None
    best: float
    worst: float | None
    unit: str
    direction: str
    label: str
    reason: str | None = member(omit_none=True)
    limit: str | None = member(omit_none=True)
    bootstrap: Interval | None = member(omit_none=True)

    @classmethod
    def of(cls, name: str, measure: Measure, interval: Interval | None) -> Self:
        """The result of a measure of the table."""
        entry = MEASURES[name]
        return cls(
            measure.value, float(entry.best), None if entry.worst is None else float(entry.worst), entry.unit,
            entry.direction, entry.label, measure.reason, measure.limit, interval,
        )  # fmt: skip


@dataclass(frozen=True)
class AtTarget(Record):
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
        measures: Results of the measures by name.
        floors: Noise floors by kind (``independent``, ``clustered``).
        age_gaps: Mated comparisons by age gap.
        cross_age: Mated comparisons by pair of ages.
        cross_groups: Non-mated comparisons by pair of groups.
        fpir: False positive identification rates projected to galleries.
        failure_to_acquire: Share of images without a usable face, or None when unknown.
    """

    target: float
    convention: str
    tau: float
    tau_interval: Interval | None = member("tau_bootstrap")
    budget: int = member()
    fmr: Rate = member(own=True)
    fnmr: Rate = member(own=True)
    groups: tuple[GroupAtTarget, ...] = member()
    measures: dict[str, MeasureResult] = member()
    floors: dict[str, NoiseFloor] = member("noise_floor")
    age_gaps: tuple[AgeGap, ...] = member()
    cross_age: AgePairs | None = member()
    cross_groups: CrossGroups | None = member()
    fpir: tuple[ProjectedFpir, ...] = member("fpir_projected")
    failure_to_acquire: float | None = member()

    @property
    def floor(self) -> NoiseFloor | None:
        """The most honest noise floor there is."""
        return self.floors.get("clustered") or self.floors.get("independent")

    @property
    def transactions(self) -> Transactions:
        """FAR and FRR over all groups."""
        return Transactions.of(self.fmr.value, self.fnmr.value, self.failure_to_acquire)

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        rates = {**self.fmr.to_members("fmr", "achieved_fmr"), **self.fnmr.to_members("fnmr")}
        record = {**super().to_json(), **rates, "tar": 1 - self.fnmr.value, **self.transactions.to_json()}
        for name in names_shown("headline"):
            if name in self.measures:
                record[name] = self.measures[name].value
                if self.measures[name].reason is not None:
                    record[f"{name}_reason"] = self.measures[name].reason
        return record

    @classmethod
    def from_json(cls, value: Any, path: str = "") -> Self:
        """Read what :meth:`to_json` wrote."""
        record = checked_object(value, path)
        fields = read_fields(cls, record, path)
        fields["fmr"] = Rate.from_members(record, path, "fmr", "achieved_fmr")
        fields["fnmr"] = Rate.from_members(record, path, "fnmr")
        return cls(**fields)


@dataclass(frozen=True)
class Moments(Record):
    """Mean and standard deviation (ddof 0) of scores."""

    mean: float
    std: float


@dataclass(frozen=True)
class Overall(Record):
    """Threshold-free facts of the evaluated comparisons."""

    eer: EqualErrorRate
    d_prime: float | None
    mated: Moments
    non_mated: Moments
    d_prime_reason: str | None = member(omit_none=True)
    d_prime_bootstrap: Interval | None = member(omit_none=True)
    score_differentials: ScoreDifferentials | None = member(omit_none=True)


@dataclass(frozen=True)
class Evaluation(Record):
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
        bootstrap: Facts about the bootstrap, None without one.
        test_record: What was manipulated, held fixed and left uncontrolled.
        provenance: Where the scores come from.
        curves: Points of the figures, None without.
        replicates: The replicates themselves (not in the JSON), for paired comparisons.
        source: The comparisons (not in the JSON), to count at other thresholds.

    Example:
        >>> import numpy as np
        >>> from frbias.core.verification.evaluation import evaluate_embeddings
        >>> rng, who = np.random.default_rng(0), np.repeat(np.arange(40), 6)
        >>> vectors = (rng.normal(size=(40, 16))[who] + rng.normal(size=(240, 16))).astype(np.float32)
        >>> ages = np.tile([5, 8, 15, 18, 30, 50], 40)
        >>> found = evaluate_embeddings(vectors, who, ages, groups="0-19,20+", targets=[0.1], bootstrap=0)
        >>> Evaluation.from_json(found.to_json()).at(0.1).fmr == found.at(0.1).fmr
        True
    """

    name: str
    alpha: float
    confidence: float
    samples: SampleFacts
    groups: GroupFacts
    comparisons: ComparisonFacts
    overall: Overall
    targets: tuple[AtTarget, ...]
    refused: tuple[RefusedTarget, ...] = member("refused_targets")
    bootstrap: BootstrapFacts | None = member()
    test_record: RecordOfTest = member()
    provenance: dict[str, Any] = member()
    curves: Curves | None = member(omit_none=True)
    replicates: Replicates | None = member(own=True, default=None)
    source: Comparisons | None = member(own=True, default=None)

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
        kept = self if curves else replace(self, curves=None)
        members = Record.to_json(kept)
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "definitions": definitions(), **members}

    @classmethod
    def from_json(cls, value: Any, path: str = "") -> Self:
        """Read an evaluation document.

        Raises:
            BadInputError: It is something else, of another schema version, or a member is wrong.
        """
        record = checked_object(value, path)
        check_version(record, SCHEMA, SCHEMA_VERSION)
        return cls(**read_fields(cls, record, path))
