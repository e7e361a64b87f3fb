"""From embeddings, subjects and ages to an :class:`Evaluation`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.words import counted
from frbias.core.verification.acquisition import AcquisitionCounts
from frbias.core.verification.assembling import DEFAULT_TARGETS, EvaluationOptions, evaluate
from frbias.core.verification.curves import HIGHEST_TARGET
from frbias.core.verification.facts import NearDuplicates
from frbias.core.verification.groups import DEFAULT_GROUPS, Grouping, grouping_named
from frbias.core.verification.protocols import protocol_distributions
from frbias.core.verification.results import Evaluation
from frbias.core.verification.scores.engine import compare_all
from frbias.core.verification.scores.foreseeing import Budget
from frbias.core.verification.scores.laps import Laps
from frbias.core.verification.scores.planning import near_duplicates

Float = npt.NDArray[np.float64]


class HowToEvaluate(TypedDict, total=False):
    """What :func:`evaluate_embeddings` may be told, for those who pass it on; a test holds the two equal."""

    groups: str | Grouping
    targets: Sequence[float]
    alpha: float
    bootstrap: int
    seed: int
    confidence: float
    non_mated: str
    matched_age: float | None
    drop_duplicates: float | None
    failure_to_acquire: float | None
    acquisition: Sequence[AcquisitionCounts]
    curves: bool
    budget: Budget | None
    threads: int
    block: int
    world: World | None
    product: Any
    laps: Laps | None
    progress: Progress


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
    laps: Laps | None = None,
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
        threads, block, world, product, laps, progress: See :func:`compare_all`.

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
    given = _Samples.checked(matrix, subjects, ages, groups).without_duplicates(drop_duplicates)
    options = EvaluationOptions(
        tuple(float(t) for t in targets), alpha, bootstrap, seed, confidence, curves, failure_to_acquire, threads,
        tuple(acquisition),
    )  # fmt: skip
    comparisons = compare_all(
        given.matrix,
        given.subjects,
        given.grouping,
        targets=options.targets,
        rule=non_mated,
        ages=given.ages,
        matched_age=matched_age,
        tails=_tails(options),
        budget=budget,
        threads=threads,
        block=block,
        world=world,
        product=product,
        laps=laps,
        progress=progress,
    )
    done = evaluate(comparisons, given.grouping, options, ages=given.ages, name=name)
    return given.described(done)


@dataclass(frozen=True)
class _Samples:
    """What is compared, row by row.

    Attributes:
        matrix: Embeddings, shape (n, d).
        subjects: Identity per row.
        ages: Years per row, NaN unknown.
        grouping: Group per row.
        left_out: Rows that were left out as near duplicates; None when none were looked for.
    """

    matrix: npt.NDArray[np.float32]
    subjects: npt.NDArray[Any]
    ages: Float
    grouping: Grouping
    left_out: NearDuplicates | None = None

    @classmethod
    def checked(
        cls,
        matrix: npt.NDArray[np.float32],
        subjects: Sequence[Any] | npt.NDArray[Any],
        ages: npt.ArrayLike | None,
        groups: str | Grouping,
    ) -> "_Samples":
        """The samples as they were given, as many of each.

        Raises:
            BadInputError: There are more of one than of the other.
        """
        years = np.full(len(matrix), np.nan) if ages is None else np.asarray(ages, dtype=np.float64)
        _check_lengths(len(matrix), subjects=len(subjects), ages=len(years))
        grouping = groups if isinstance(groups, Grouping) else grouping_named(groups, {"age": years})
        _check_lengths(len(matrix), groups=len(grouping.codes))
        return cls(matrix, np.asarray(subjects), years, grouping)

    def without_duplicates(self, cosine: float | None) -> "_Samples":
        """Without later images of a subject whose cosine to an earlier one reaches this; None: all of them."""
        if cosine is None:
            return self
        dropped = near_duplicates(self.matrix, self.subjects, cosine)
        left_out = NearDuplicates(cosine, len(dropped), tuple(dropped.tolist()))
        kept = np.setdiff1d(np.arange(len(self.matrix)), dropped)
        grouping = replace(self.grouping, codes=self.grouping.codes[kept])
        return _Samples(self.matrix[kept], self.subjects[kept], self.ages[kept], grouping, left_out)

    def described(self, done: Evaluation) -> Evaluation:
        """Their evaluation with what it cannot know: the score distributions of its protocol, and who was left out."""
        if done.curves is not None and self.grouping.protocol is not None and done.source is not None:
            edges = np.array(done.curves.distributions.edges)
            classes = protocol_distributions(
                self.grouping.protocol, done.source, self.matrix, self.subjects, self.ages, edges
            )
            shapes = replace(done.curves.distributions, classes=classes)
            done = replace(done, curves=replace(done.curves, distributions=shapes))
        return (
            done
            if self.left_out is None
            else replace(done, samples=replace(done.samples, near_duplicates=self.left_out))
        )


def _tails(options: EvaluationOptions) -> list[float]:
    """FMRs down to whose thresholds the bootstrap's replicates reach."""
    if not options.replicates:
        return []
    return [min(2 * t, 1.0) for t in (*options.targets, *([HIGHEST_TARGET] if options.curves else []))]


def _check_lengths(expected: int, **lengths: int) -> None:
    for what, length in lengths.items():
        if length != expected:
            raise BadInputError(f"{counted(expected, 'embedding')}, but {length} {what}; give one for each.")
