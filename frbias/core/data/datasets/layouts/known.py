"""Every layout by name."""

from frbias.core.data.datasets.layouts import agedb, cacd, cacdvs, fgnet, folder, itwcc, lag, morph, utkface
from frbias.core.data.datasets.layouts.layout import Layout
from frbias.core.foundation.errors import BadInputError

LAYOUTS = {m.LAYOUT.name: m.LAYOUT for m in (fgnet, morph, agedb, cacd, cacdvs, itwcc, utkface, lag, folder)}


def find_layout(name: str) -> Layout:
    """The layout of that name.

    Raises:
        BadInputError: There is none.
    """
    if name not in LAYOUTS:
        raise BadInputError(f"The layout {name!r} is unknown; known are {', '.join(LAYOUTS)}.")
    return LAYOUTS[name]
