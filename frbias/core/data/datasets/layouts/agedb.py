"""AgeDB: ``10001_GoldieHawn_23_f.jpg`` is image 10001, the person, the age and the sex.

Some names carry a space before the age (``16020_MorganFreeman _73_m.jpg``); it is no part of the name.
"""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_STEM = re.compile(r"(\d+)_(.+?)\s*_(\d{1,3})_([mf])", re.IGNORECASE)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read an AgeDB name; None when it is none."""
    found = _STEM.fullmatch(path.stem)
    if found is None or not found[1].isascii() or not found[3].isascii() or int(found[3]) > 150:
        return None
    image, person, age, sex = found.groups()
    subject = person.strip()
    return FaceName(subject, float(age), sex=sex.lower(), key=image) if subject else None


LAYOUT = Layout("agedb", "AgeDB", "10001_GoldieHawn_23_f.jpg", parse, columns=("sex",))
