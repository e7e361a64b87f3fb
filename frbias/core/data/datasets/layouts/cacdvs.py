"""CACD-VS, the verification subset of CACD: ``0000_0.jpg`` and ``0000_1.jpg`` are the two pictures of pair 0.

The names say which pictures are compared, not who is on them; :func:`frbias.core.data.pairs.cacdvs_pairs` makes the list.
"""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

_STEM = re.compile(r"([0-9]{4})_([01])")


def parse(path: PurePosixPath) -> FaceName | None:
    """Read a name of CACD-VS; None when it is none."""
    return FaceName("", None, key=path.stem) if _STEM.fullmatch(path.stem) else None


LAYOUT = Layout("cacdvs", "CACD-VS", "0000_0.jpg", parse, identities=False)
