"""ITWCC: ``CS1492_000m12_1.62.jpg`` is subject CS1492, image 000, male, 12 years."""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_STEM = re.compile(r"([A-Z]+[0-9]+)_([0-9]{3})([mf])([0-9]{2})_.*", re.IGNORECASE | re.ASCII)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read an ITWCC name; None when it is none."""
    found = _STEM.fullmatch(path.stem)
    if found is None:
        return None
    subject, image, sex, age = found.groups()
    return FaceName(subject.upper(), float(age), sex=sex.lower(), key=f"{subject}_{image}".lower())


LAYOUT = Layout("itwcc", "ITWCC", "CS1492_000m12_1.62.jpg", parse, columns=("sex",))
