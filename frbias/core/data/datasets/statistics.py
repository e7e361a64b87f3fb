"""What a data set holds: ages, images per subject, and mated pairs per age group."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import atomic_path

DECADES = ",".join(f"{start}-{start + 9}" for start in range(0, 110, 10))
AgeBounds = tuple[int, int | None]


@dataclass(frozen=True)
class GroupCount:
    """One age group, bounds included in whole years: low <= age < high + 1.

    Attributes:
        low, high: Bounds in years; ``high`` None: no upper bound.
        images: Images of that age.
        subjects: Subjects with at least one of them.
        mated_pairs: Pairs of images of one subject, both of that age.
        non_mated_pairs: Pairs of images of two subjects, both of that age.
    """

    low: int
    high: int | None
    images: int
    subjects: int
    mated_pairs: int
    non_mated_pairs: int

    @property
    def name(self) -> str:
        """``20-39`` or ``60+``."""
        return f"{self.low}+" if self.high is None else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Statistics:
    """Counts of a data set.

    Attributes:
        images: Images in the table.
        subjects: Identities.
        without_age: Images of unknown age.
        ages: Youngest, mean and oldest age in years; None when no age is known.
        images_per_subject: Fewest, mean and most images of a subject; None without identities.
        mated_pairs: Pairs of images of one subject.
        non_mated_pairs: Pairs of images of two subjects.
        groups: The age groups that hold an image.
        points: Images with five annotated points.
        sexes: Images per sex where it is known.
    """

    images: int
    subjects: int
    without_age: int
    ages: tuple[float, float, float] | None
    images_per_subject: tuple[int, float, int] | None
    mated_pairs: int
    non_mated_pairs: int
    groups: list[GroupCount]
    points: int
    sexes: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def describe_table(table: SampleTable, groups: Sequence[AgeBounds]) -> Statistics:
    """Count images, subjects and pairs, in all and within age ``groups`` (bounds included)."""
    ages = table.ages
    subjects = np.array(table.subjects, dtype=object)
    known = ages[~np.isnan(ages)]
    named = subjects[subjects != ""]
    per_subject = np.unique(named.astype(str), return_counts=True)[1]
    mated, non_mated = _pairs(named)
    counted = [_group(low, high, ages, subjects) for low, high in groups]
    sexes = table.frame["sex"].value_counts().to_dict() if "sex" in table.frame.columns else {}
    return Statistics(
        images=len(table),
        subjects=len(per_subject),
        without_age=int(np.isnan(ages).sum()),
        ages=(float(known.min()), float(known.mean()), float(known.max())) if len(known) else None,
        images_per_subject=(int(per_subject.min()), float(per_subject.mean()), int(per_subject.max()))
        if len(per_subject)
        else None,
        mated_pairs=mated,
        non_mated_pairs=non_mated,
        groups=[group for group in counted if group.images],
        points=sum(table.points(row) is not None for row in range(len(table))),
        sexes={str(sex): int(count) for sex, count in sexes.items() if sex},
    )


def draw_statistics(table: SampleTable, path: Path, *, title: str = "") -> None:
    """Draw the age histogram (per year) and images per subject to ``path`` (.png, .svg or .pdf), atomically.

    Raises:
        UsageError: The suffix is none of these.
    """
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path} is no figure; end its name with .png, .svg or .pdf.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    known = table.ages[~np.isnan(table.ages)]
    left.hist(known, bins=np.arange(0, max(known.max(initial=0), 1) + 2), color="#4878a8")
    left.set(xlabel="age (years)", ylabel="images", title=f"{len(known)} images of known age")
    named = [s for s in table.subjects if s]
    counts = np.unique(named, return_counts=True)[1] if named else np.zeros(0, dtype=int)
    right.hist(counts, bins=np.arange(1, max(counts.max(initial=1), 1) + 2) - 0.5, color="#a86848")
    right.set(xlabel="images per subject", ylabel="subjects", title=f"{len(counts)} subjects")
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _group(low: int, high: int | None, ages: Any, subjects: Any) -> GroupCount:
    inside = (ages >= low) & (ages < (np.inf if high is None else high + 1))
    named = subjects[inside & (subjects != "")]
    mated, non_mated = _pairs(named)
    return GroupCount(low, high, int(inside.sum()), len(set(named)), mated, non_mated)


def _pairs(subjects: Any) -> tuple[int, int]:
    counts = np.unique(subjects.astype(str), return_counts=True)[1].astype(np.int64)
    total, mated = len(subjects) * (len(subjects) - 1) // 2, int((counts * (counts - 1) // 2).sum())
    return mated, total - mated
