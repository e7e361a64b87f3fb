"""One folder per subject: ``<subject>/<anything>.jpg``.

The age is read from names of frbias' own kind, ``<subject>_<age>[_<variant>].png``; others leave it unknown.
"""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_REST = re.compile(r"_([0-9]{1,3}(?:\.[0-9]+)?)(?:[_a-z].*)?", re.ASCII | re.IGNORECASE)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read subject (the folder) and, where the name tells it, the age; None for a file outside of any folder."""
    subject = "/".join(path.parts[:-1])
    if not subject:
        return None
    folder = path.parts[-2]
    rest = _REST.fullmatch(path.stem.removeprefix(folder)) if path.stem.startswith(folder) else None
    age = float(rest[1]) if rest else None
    return FaceName(subject, age if age is None or age <= 150 else None)


LAYOUT = Layout("folder", "a folder per subject", "ada/ada_23_0.png", parse)
