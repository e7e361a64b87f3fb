"""What an evaluation says about its samples, groups, comparisons and bootstrap."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from frbias.core.verification.bootstrap import Replicates
from frbias.core.verification.groups import Grouping
from frbias.core.verification.measures.intervals import PERCENTILE
from frbias.core.verification.records import Record, member
from frbias.core.verification.scores.comparisons import Comparisons


@dataclass(frozen=True)
class NearDuplicates(Record):
    """Images left out because they nearly repeat an earlier one of the subject.

    Attributes:
        limit: Cosine from which an image counts as a repetition.
        dropped: Number of images left out.
        rows: Their rows.
    """

    limit: float
    dropped: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class DoubtfulSample(Record):
    """An image whose crop is not to be trusted.

    Attributes:
        file_name: The crop.
        source_file: The picture it is of; empty when unknown.
        group: Its group; empty when it is in none.
        reasons: What speaks against it.
        point_agreement, transform_residual, detector_score: See the schema of image sets.
    """

    file_name: str
    source_file: str
    group: str
    reasons: tuple[str, ...]
    point_agreement: float | None
    transform_residual: float | None
    detector_score: float | None


@dataclass(frozen=True)
class DoubtfulSamples(Record):
    """Images whose crops are not to be trusted, by what the alignment noted of them; they are evaluated all the same.

    Attributes:
        judged: Images of which anything is noted.
        count: Images that are doubtful.
        by_group: Number of doubtful images of every group that has one.
        rules: What counts as doubtful, by column.
        worst: The doubtful images, the worst first; at most ``MOST_LISTED``.
    """

    judged: int
    count: int
    by_group: dict[str, int]
    rules: dict[str, str]
    worst: tuple[DoubtfulSample, ...]


MOST_LISTED = 200


@dataclass(frozen=True)
class SampleFacts(Record):
    """Numbers of samples and subjects; None where comparisons came without them."""

    samples: int | None
    subjects: int | None
    without_group: int | None
    failure_to_acquire: float | None
    near_duplicates: NearDuplicates | None = None
    doubtful: DoubtfulSamples | None = member(omit_none=True)


@dataclass(frozen=True)
class EvaluatedGroup(Record):
    """A group with both kinds of comparison."""

    name: str
    mated: int
    non_mated: int
    samples: int | None = member(omit_none=True)
    subjects: int | None = member(omit_none=True)


@dataclass(frozen=True)
class ExcludedGroup(Record):
    """A group without mated or without non-mated comparisons, with the reason."""

    name: str
    reason: str
    samples: int | None = member(omit_none=True)
    subjects: int | None = member(omit_none=True)


@dataclass(frozen=True)
class GroupFacts(Record):
    """The groups.

    Attributes:
        by: What the groups are of.
        rule: How bounds are meant.
        protocol: Named protocol, None without one.
        evaluated, excluded: Groups.
        gaps: Ages that no group holds.
        note: Why there are no groups although some were asked for, None otherwise.
    """

    by: str
    rule: str
    protocol: str | None
    evaluated: tuple[EvaluatedGroup, ...]
    excluded: tuple[ExcludedGroup, ...]
    gaps: tuple[str, ...]
    note: str | None = member(omit_none=True)


@dataclass(frozen=True)
class ComparisonFacts(Record):
    """Numbers of comparisons, the rule they follow and how they were checked."""

    non_mated_rule: str
    matched_age_years: float | None
    non_mated: int
    non_mated_everywhere: int
    mated: int
    mated_everywhere: int
    score_dtype: str
    self_check: dict[str, Any] | None
    every_score_held: bool


@dataclass(frozen=True)
class BootstrapFacts(Record):
    """What was drawn how often."""

    method: str
    unit: str
    replicates: int
    subjects: int
    seed: int
    confidence: float
    replicates_missing_a_group: int


@dataclass(frozen=True)
class RefusedTarget(Record):
    """A target FMR that the comparisons cannot resolve."""

    target: float
    reason: str
    smallest_usable: float


@dataclass(frozen=True)
class RecordOfTest(Record):
    """What a reader of a test report has to know, in the words of ISO/IEC 19795-10; no conformance is claimed.

    Attributes:
        manipulated: What differs between the compared groups.
        held_fixed: What is the same for all.
        uncontrolled: What may differ with the groups and was not balanced.
        sample_sizes: Numbers of samples, subjects and comparisons.
        statistics: How uncertainty was estimated.
    """

    manipulated: tuple[str, ...]
    held_fixed: tuple[str, ...]
    uncontrolled: tuple[str, ...]
    sample_sizes: dict[str, int | None]
    statistics: tuple[str, ...]


def sample_facts(comparisons: Comparisons, grouping: Grouping, failure_to_acquire: float | None) -> SampleFacts:
    """Numbers of samples and subjects."""
    of_samples = comparisons.weights is not None
    return SampleFacts(
        len(grouping.codes) if of_samples else None,
        len(comparisons.subject_names) or None,
        grouping.ungrouped if of_samples else None,
        failure_to_acquire,
    )


def group_facts(comparisons: Comparisons, grouping: Grouping) -> GroupFacts:
    """Evaluated groups with their numbers, excluded groups with the reason, gaps."""
    non_mated, mated = comparisons.non_mated_counts, comparisons.mated_counts
    weights = comparisons.weights
    evaluated, excluded = [], []
    for g, name in enumerate(comparisons.groups):
        sizes = (None, None) if weights is None else (int(weights[:, g].sum()), int((weights[:, g] > 0).sum()))
        if comparisons.evaluated[g]:
            evaluated.append(EvaluatedGroup(name, int(mated[g]), int(non_mated[g]), *sizes))
        else:
            lacking = "no_mated_comparisons" if mated[g] == 0 else "no_non_mated_comparisons"
            excluded.append(ExcludedGroup(name, lacking, *sizes))
    return GroupFacts(
        grouping.by,
        grouping.rule,
        grouping.protocol,
        tuple(evaluated),
        tuple(excluded),
        tuple(grouping.gaps),
        grouping.note,
    )


def comparison_facts(comparisons: Comparisons) -> ComparisonFacts:
    """Numbers of comparisons, the rule they follow and how they were checked."""
    return ComparisonFacts(
        non_mated_rule=comparisons.rule,
        matched_age_years=comparisons.matched_age,
        non_mated=comparisons.pooled_non_mated,
        non_mated_everywhere=int(comparisons.tally.counts.sum()),
        mated=int(comparisons.in_evaluated_group.sum()),
        mated_everywhere=len(comparisons.mated.score),
        score_dtype=str(comparisons.tally.score.dtype),
        self_check=comparisons.self_check,
        every_score_held=comparisons.tally.complete(np.arange(comparisons.classes.count)),
    )


def bootstrap_facts(replicates: Replicates | None, confidence: float) -> BootstrapFacts | None:
    """What was drawn how often, None without a bootstrap."""
    if replicates is None:
        return None
    return BootstrapFacts(
        PERCENTILE,
        "subject",
        replicates.count,
        replicates.subjects,
        replicates.seed,
        confidence,
        replicates.missing_a_group,
    )


def record_of_test(
    samples: SampleFacts, groups: GroupFacts, comparisons: ComparisonFacts, drawn: BootstrapFacts | None
) -> RecordOfTest:
    """The record of a test whose groups are compared at one threshold."""
    rule = {
        "within": "both samples of a non-mated comparison in the group",
        "any-probe": "at least one sample of a non-mated comparison in the group",
        "all": "both samples in the group; the threshold is set on all non-mated comparisons",
    }[comparisons.non_mated_rule]
    matched = comparisons.matched_age_years
    fixed = ["the recogniser, its preprocessing and the comparison function", "one threshold for all groups", rule]
    if matched is not None:
        fixed.append(f"ages of non-mated pairs, matched to mated pairs within {matched:g} years")
    loose = ["image quality, pose, expression and lighting", "images per subject", "characteristics not grouped by"]
    ungrouped = groups.by == "nothing"
    statistics = ["errors and comparisons counted exactly", "Wilson and Clopper-Pearson intervals"]
    if drawn is not None:
        statistics.append(f"{drawn.method}, {drawn.replicates} replicates over {drawn.subjects} subjects")
        statistics.append("simulated distribution of the measures when all groups are equal")
    return RecordOfTest(
        () if ungrouped else (f"group membership by {groups.by}: {', '.join(g.name for g in groups.evaluated)}",),
        tuple(fixed),
        (*loose, *(() if matched is not None else ("ages within a group of the samples of non-mated pairs",))),
        {
            "samples": samples.samples,
            "subjects": samples.subjects,
            "mated": comparisons.mated,
            "non_mated": comparisons.non_mated,
        },
        tuple(statistics),
    )
