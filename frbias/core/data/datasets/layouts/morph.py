"""MORPH-II: ``009055_1M54.JPG`` is subject 009055, picture 1, male, 54 years."""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_STEM = re.compile(r"(\d{5,6})_(\d+)([MF])(\d{2})", re.IGNORECASE | re.ASCII)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read a MORPH-II name; None when it is none. Subjects are written with six digits."""
    found = _STEM.fullmatch(path.stem)
    if found is None:
        return None
    number, picture, sex, age = found.groups()
    subject = number.zfill(6)
    return FaceName(subject, float(age), sex=sex.lower(), key=f"{subject}_{picture}")


LAYOUT = Layout("morph", "MORPH-II", "009055_1M54.JPG", parse, columns=("sex",))
