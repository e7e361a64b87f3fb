"""Comparing a data set with what has been published about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frbias.core.assets.catalogue import DatasetAsset
from frbias.core.data.images import read_image
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import BadImageError
from frbias.core.foundation.progress import SILENT, Progress


@dataclass(frozen=True)
class Verification:
    """What a check of a data set found.

    Attributes:
        differences: Sentences on what differs from the published facts; empty when nothing does.
        agreements: Sentences on what agrees.
        broken: (file, reason) of every image that cannot be decoded.
        notes: Things worth knowing that are no fault (synthetic, no identities).
    """

    differences: list[str]
    agreements: list[str]
    broken: list[tuple[str, str]]
    notes: list[str]

    @property
    def good(self) -> bool:
        """True when nothing differs and every image decodes."""
        return not self.differences and not self.broken


def verify_table(
    table: SampleTable, asset: DatasetAsset | None, *, decode: bool = True, progress: Progress = SILENT
) -> Verification:
    """Check a table against the published facts and decode its images.

    Args:
        table: The data set.
        asset: What is published about it; None when nothing is.
        decode: Open every image.
        progress: Where to report.
    """
    compared = list(_compared(table, asset)) if asset is not None else []
    notes = [] if asset is not None else ["Nothing is published about this data set that it could be compared with."]
    if not any(table.subjects):
        notes.append("It does not say who is who: usable for age work only, not for verification.")
    return Verification(
        [text for same, text in compared if not same],
        [text for same, text in compared if same],
        _undecodable(table, progress) if decode else [],
        notes,
    )


def _compared(table: SampleTable, asset: DatasetAsset) -> Iterator[tuple[bool, str]]:
    subjects = [s for s in table.subjects if s]
    if asset.images is not None:
        yield _line("images", asset.images, len(table))
    if asset.subjects is not None:
        yield _line("subjects", asset.subjects, len(set(subjects)))
    ages = table.ages[~np.isnan(table.ages)]
    if asset.ages and len(ages):
        youngest, oldest = float(ages.min()), float(ages.max())
        same = [youngest, oldest] == [float(a) for a in asset.ages]
        published = f"{asset.ages[0]} to {asset.ages[1]}"
        yield same, f"ages: {youngest:g} to {oldest:g}" + ("" if same else f", published {published}")
    if asset.images_per_subject and subjects:
        counts = np.unique(subjects, return_counts=True)[1]
        found = (int(counts.min()), int(counts.max()))
        same = found == tuple(asset.images_per_subject)
        published = f"{asset.images_per_subject[0]} to {asset.images_per_subject[1]}"
        yield same, f"images per subject: {found[0]} to {found[1]}" + ("" if same else f", published {published}")
    if asset.decades:
        found_decades = np.bincount((ages // 10).astype(int), minlength=len(asset.decades)).tolist()
        for decade in range(max(len(found_decades), len(asset.decades))):
            expected = asset.decades[decade] if decade < len(asset.decades) else 0
            yield _line(f"images of ages {decade * 10}-{decade * 10 + 9}", expected, found_decades[decade])


def _line(what: str, expected: int, found: int) -> tuple[bool, str]:
    return expected == found, f"{what}: {found}" + ("" if expected == found else f", published {expected}")


def _undecodable(table: SampleTable, progress: Progress) -> list[tuple[str, str]]:
    broken: list[tuple[str, str]] = []
    with progress.task("opening every image", len(table)) as advance:
        for name, path in zip(table.frame["file_name"], table.paths, strict=True):
            try:
                read_image(path)
            except BadImageError as error:
                broken.append((str(name), error.reason))
            advance(1)
    return broken


def as_json(verification: Verification, root: Path) -> dict[str, Any]:
    """The verification as JSON values."""
    return {
        "path": str(root),
        "good": verification.good,
        "differences": verification.differences,
        "agreements": verification.agreements,
        "broken": [{"file": file, "reason": reason} for file, reason in verification.broken],
        "notes": verification.notes,
    }
