"""Failures to acquire by group: images that gave no usable face, carried into whole-transaction rates."""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class FailureCount(Record):
    """How many images of which age (years, None unknown) and sex gave no embedding."""

    age: float | None
    sex: str
    failures: int


def count_acquisition(
    acquired: Grouping, rejected: Grouping, times: Sequence[int] | None = None
) -> tuple[AcquisitionCounts, ...]:
    """Attempts and failures of every group that has either.

    Failures whose group is not known are in no group, so a group's rate is a lower bound where there are such.

    Args:
        acquired: Groups of the samples that gave an embedding.
        rejected: Groups of those that did not, made by the same rule; groups are joined by name.
        times: How many samples each entry of ``rejected`` stands for; None: one.

    Example:
        >>> from frbias.core.verification.groups import group_by_age
        >>> count_acquisition(group_by_age([3, 30, 31], "0-12,13+"), group_by_age([4], "0-12,13+"))[0]
        AcquisitionCounts(group='0-12', attempts=2, failures=1)
    """
    names = dict.fromkeys((*acquired.names, *rejected.names))
    good, bad = _counts(acquired, None), _counts(rejected, times)
    found = [AcquisitionCounts(n, good.get(n, 0) + bad.get(n, 0), bad.get(n, 0)) for n in names]
    return tuple(counts for counts in found if counts.attempts)


def acquisition_of(group: str, counts: Sequence[AcquisitionCounts]) -> AcquisitionCounts | None:
    """The counts of one group, None when they are not known."""
    return next((found for found in counts if found.group == group), None)


def _counts(grouping: Grouping, times: Sequence[int] | None) -> dict[str, int]:
    found = dict.fromkeys(grouping.names, 0)
    for code, count in zip(grouping.codes.tolist(), times or [1] * len(grouping.codes), strict=True):
        if code >= 0:
            found[grouping.names[code]] += count
    return found
