"""UTKFace: ``26_1_2_20170116184024662.jpg`` is 26 years, female, Asian, and a time. It does not say who is who."""

import re
from pathlib import PurePosixPath

from frbias.core.data.datasets.layouts.layout import FaceName, Layout

ETHNICITIES = ("White", "Black", "Asian", "Indian", "Other")
_NAME = re.compile(r"([0-9]{1,3})_([01])_([0-4])_([0-9]+)(?:\.jpg)?(?:\.chip)?\.jpe?g", re.IGNORECASE | re.ASCII)


def parse(path: PurePosixPath) -> FaceName | None:
    """Read a UTKFace name; None when it is none (a few of the published files lack a field)."""
    found = _NAME.fullmatch(path.name)
    if found is None or int(found[1]) > 150:
        return None
    age, sex, ethnicity, time = found.groups()
    key = f"{age}_{sex}_{ethnicity}_{time}"
    return FaceName("", float(age), sex="mf"[int(sex)], ethnicity=ETHNICITIES[int(ethnicity)], key=key)


LAYOUT = Layout(
    "utkface", "UTKFace", "26_1_2_20170116184024662.jpg", parse, identities=False, columns=("sex", "ethnicity")
)
