"""From the name of a data set to its table, or to what has to be done to have it."""

from pathlib import Path

from frbias.core.assets.catalogue import dataset_assets, find_dataset_asset, missing_dataset, unknown_name
from frbias.core.assets.records import read_book
from frbias.core.assets.store import exists, find_dataset, looked_in, refuse_lost_path
from frbias.core.data.datasets.loading import load_whole
from frbias.core.data.datasets.scan import Loaded
from frbias.core.data.samples import SampleTable


def resolve_data(name: str) -> SampleTable:
    """The image set that ``name`` means, as a table.

    Args:
        name: A folder (with ``metadata.csv`` or in a known layout), a CSV file, a name the user has added or
            imported, or a name or alias of the registry.

    Raises:
        AssetMissingError: The set is known but not installed, or nobody knows it; says what to do.
        BadInputError: The path does not exist, or holds no images that can be named.

    Example:
        >>> from frbias.core.data.samples import make_table, write_samples
        >>> write_samples(make_table(Path("set"), [{"file_name": "eve_7.png", "subject": "eve", "age": 7.0}]))
        >>> table = resolve_data("set")
        >>> table.subjects, table.ages.tolist()
        (['eve'], [7.0])
    """
    return resolve_whole(name).table


def resolve_with_rejected(name: str) -> tuple[SampleTable, list[tuple[str, str]]]:
    """:func:`resolve_data` with (file, reason) of the files that cannot be used."""
    found = resolve_whole(name)
    return found.table, found.rejected


def resolve_whole(name: str) -> Loaded:
    """:func:`resolve_data` with all that was found out on the way."""
    path = Path(name).expanduser()
    if exists(name, path):
        return load_whole(path)
    refuse_lost_path(name, (".csv", ".zip", ".tar", ".gz"))
    found = find_dataset(name)
    if found is not None:
        return load_whole(found.path, found.record.get("layout") or _layout(name))
    asset = find_dataset_asset(name)
    if asset is None:
        known = [*dataset_assets(), *read_book("datasets")]
        raise unknown_name(name, "data set", known, "frbias data add NAME FOLDER")
    raise missing_dataset(asset, looked_in("datasets"))


def _layout(name: str) -> str | None:
    asset = find_dataset_asset(name)
    return asset.layout if asset else None
