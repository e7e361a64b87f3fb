"""Failures to acquire by group: images that gave no usable face, carried into whole-transaction rates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frbias.core.verification.groups import Grouping
from frbias.core.verification.records import Record


@dataclass(frozen=True)
class AcquisitionCounts(Record):
    """Images of one group that were tried, and those that gave no embedding.

    Attributes:
        group: Name of the group.
        attempts: Images tried.
        failures: Those without a usable face.
    """

    group: str
    attempts: int
    failures: int

    @property
    def rate(self) -> float:
        """Failure-to-acquire rate, 0..1."""
        return self.failures / self.attempts


def count_acquisition(acquired: Grouping, rejected: Grouping) -> tuple[AcquisitionCounts, ...]:
    """Attempts and failures of every group that has either.

    Args:
        acquired: Groups of the samples that gave an embedding.
        rejected: Groups of those that did not, made by the same rule; groups are joined by name.

    Example:
        >>> from frbias.core.verification.groups import group_by_age
        >>> count_acquisition(group_by_age([3, 30, 31], "0-12,13+"), group_by_age([4], "0-12,13+"))[0]
        AcquisitionCounts(group='0-12', attempts=2, failures=1)
    """
    names = dict.fromkeys((*acquired.names, *rejected.names))
    good, bad = (_counts(grouping) for grouping in (acquired, rejected))
    found = [AcquisitionCounts(n, good.get(n, 0) + bad.get(n, 0), bad.get(n, 0)) for n in names]
    return tuple(counts for counts in found if counts.attempts)


def acquisition_of(group: str, counts: Sequence[AcquisitionCounts]) -> AcquisitionCounts | None:
    """The counts of one group, None when they are not known."""
    return next((found for found in counts if found.group == group), None)


def _counts(grouping: Grouping) -> dict[str, int]:
    inside = grouping.codes[grouping.codes >= 0]
    return dict(zip(grouping.names, np.bincount(inside, minlength=len(grouping.names)).tolist(), strict=True))
