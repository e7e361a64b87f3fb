"""CACD: ``53_Robin_Williams_0001.jpg`` is the age, the person and a running number."""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_STEM = re.compile(r"([0-9]{2})_(.*\S)_([0-9]{4})")


def parse(path: PurePosixPath) -> FaceName | None:
    """Read a CACD name; None when it is none."""
    found = _STEM.fullmatch(path.stem)
    if found is None:
        return None
    age, person, _ = found.groups()
    subject = person.strip("_ ")
    return FaceName(subject, float(age), key=path.stem.lower()) if subject else None


LAYOUT = Layout("cacd", "CACD", "53_Robin_Williams_0001.jpg", parse)
