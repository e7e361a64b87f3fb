"""From a path to a table: image sets of frbias, CSV files, and folders in a known layout."""

from pathlib import Path
from typing import Any

from frbias.core.assets.archives import is_archive
from frbias.core.data.datasets.csv_table import read_csv_table
from frbias.core.data.datasets.layouts.known import find_layout
from frbias.core.data.datasets.layouts.layout import FaceName, Layout
from frbias.core.data.datasets.packed import packed_layout
from frbias.core.data.datasets.scan import Loaded, scan_folder
from frbias.core.data.samples import METADATA_NAME, SampleTable, read_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.provenance import read_provenance

IMAGE_SET = Layout("image-set", "frbias image set", METADATA_NAME, lambda path: None)
PHOTOGRAPHS = Layout("photographs", "photographs", "holiday.jpg", lambda path: FaceName("", None))
EDITORS = frozenset({"cusp"})  # generators that change photographs of people
CSV = Layout("csv", "CSV table", "faces.csv", lambda path: None)


def load_table(path: Path, layout: str | None = None) -> SampleTable:
    """The face images at ``path``.

    Args:
        path: A folder with ``metadata.csv``, a CSV file, or a folder in a known layout.
        layout: Name of the layout; None to find out. An existing ``metadata.csv`` is always preferred.

    Raises:
        BadInputError: There are no images that can be named, or the path is an archive.
    """
    return load_whole(path, layout).table


def load_whole(path: Path, layout: str | None = None) -> Loaded:
    """:func:`load_table` with what cannot be used and what was passed over, and the layout it was read with."""
    path = Path(path)
    if is_archive(path):
        raise BadInputError(f"{path} is an archive; unpack it with:  frbias data import NAME {path}")
    packed = packed_layout(path)
    if packed is not None:
        raise BadInputError(f"{path} is a {packed.title}; unpack it with:  frbias data import NAME {path}")
    if path.is_file():
        if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
            raise BadInputError(f"{path} is no folder of images and no CSV file.")
        return Loaded(*read_csv_table(path), CSV)
    if (path / METADATA_NAME).is_file():
        return Loaded(read_samples(path), [], IMAGE_SET)
    return scan_folder(path, find_layout(layout) if layout and layout not in (IMAGE_SET.name, CSV.name) else None)


def load_photographs(path: Path) -> Loaded:
    """Every image below a folder, with nobody named: subjects empty, ages unknown; and (file, reason) of the others.

    Raises:
        BadInputError: There is no image.
    """
    return scan_folder(Path(path), PHOTOGRAPHS)


def synthetic_origin(table: SampleTable) -> str | None:
    """One sentence when the images are synthetic (by the provenance of their folder or their table), else None.

    Everything that reports on a data set says this, so that a stand-in is never taken for photographs.
    """
    noted = synthetic_folder(table.root)
    if noted is None and "generator" in table.frame.columns:
        made_by = sorted(set(table.frame["generator"]) - {""})
        return _sentence("", made_by) if made_by else None
    return noted


def may_show_people(table: SampleTable) -> bool:
    """Whether some image may show a real person: photographs, and what was made out of photographs (age edits)."""
    if "generator" in table.frame.columns:
        made_by = set(table.frame["generator"])
    else:
        record = read_provenance(table.root) or {}
        made_by = {str((record.get("arguments") or {}).get("backend", "")) if record.get("stage") == "generate" else ""}
    return "" in made_by or bool(made_by & EDITORS)


def synthetic_folder(folder: Path) -> str | None:
    """:func:`synthetic_origin` by the provenance of a folder (or of the one it lies in) alone."""
    record = read_provenance(folder) or read_provenance(folder.absolute().parent)
    if record is None:
        return None
    if record.get("stage") == "import":
        noted = (record.get("results") or {}).get("synthetic")
        return str(noted) if noted else None
    if record.get("stage") != "generate":
        return None
    arguments: dict[str, Any] = record.get("arguments") or {}
    return _sentence(str(arguments.get("stands_in_for", "")), [str(arguments.get("backend", "a generator"))])


def _sentence(like: str, made_by: list[str]) -> str:
    what = f"a synthetic stand-in for {like}" if like else "synthetic"
    return f"These images are {what}, made by {', '.join(made_by)}; results on them say nothing about photographs."
