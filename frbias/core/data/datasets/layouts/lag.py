"""LAG, Large Age-Gap: ``<person>/<anything>`` are adult pictures, ``<person>/y/<anything>`` those of the young person.

Ages are unknown; the column ``age_group`` says ``young`` or ``old`` (Bianco, Pattern Recognition Letters 90, 2017).
"""

from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

YOUNG_FOLDER = "y"


def parse(path: PurePosixPath) -> FaceName | None:
    """Read person and age group from the folders; None for a file outside of a person's folder."""
    young = len(path.parts) > 1 and path.parts[-2] == YOUNG_FOLDER
    folders = path.parts[:-2] if young else path.parts[:-1]
    if not folders:
        return None
    return FaceName(folders[-1], None, age_group="young" if young else "old")


LAYOUT = Layout(
    "lag", "LAG (young pictures in a folder y/ of each person)", "jane_roe/y/jane_01.png", parse, columns=("age_group",)
)
