"""How a data set's file names say who and how old: the small record every loader fills."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class FaceName:
    """What a file name says.

    Attributes:
        subject: Identity label; empty where the data set has none.
        age: Years; None when unknown.
        sex: ``m``, ``f`` or empty.
        ethnicity: Free text or empty.
        age_group: ``young`` or ``old`` where the set says only that, or empty.
        key: What makes the image unique in its set (lower case); empty when its path does.
    """

    subject: str
    age: float | None
    sex: str = ""
    ethnicity: str = ""
    age_group: str = ""
    key: str = ""


@dataclass(frozen=True)
class Layout:
    """A way of naming face images.

    Attributes:
        name: Short name, as in ``--layout``.
        title: The data sets that use it.
        example: One file name.
        parse: Path relative to the data set -> what it says; None when the name does not fit.
        identities: False when the names do not say who is who.
        points: True when annotated points lie beside the images (``.pts``).
        columns: What else names say, as attributes of :class:`FaceName`: columns of the table.
    """

    name: str
    title: str
    example: str
    parse: Callable[[PurePosixPath], FaceName | None]
    identities: bool = True
    points: bool = False
    columns: tuple[str, ...] = ()
