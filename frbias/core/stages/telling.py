"""What a stage tells its readers beside its result: the command, and the name and licence of the data.

Aligned faces and embeddings hand on what is told of the images they were made of, so that an evaluation of them names
the set that was measured, and its licence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frbias.core.assets.catalogue import DatasetAsset, find_dataset_asset
from frbias.core.assets.store import find_dataset
from frbias.core.data.datasets.loading import synthetic_folder
from frbias.core.foundation.commands import command_of
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.provenance import read_provenance
from frbias.core.foundation.requests import Request
from frbias.core.foundation.words import counted

_DEPTH = 4


def told_of(request: Request, name: str, data: str | None = None, made: Sequence[str | Path] = ()) -> dict[str, str]:
    """What a work tells of itself.

    Args:
        request: What is asked for.
        name: Words of its command.
        data: The image set that is measured, as given; None when there is none.
        made: Without one: embeddings, the first of which that knows it says which images they are of.
    """
    told = {"command": command_of(request, name)}
    if data is None:
        return told | next((known for place in made if (known := _told_in(Path(place).expanduser()))), {})
    inner, own = told_of_folder(Path(data).expanduser()), Path(data).name or data
    told["data"] = own if inner["data"] == own else f"{own} ({inner['data']})"
    licence = licence_of(data)
    return told | {"licence": licence} if licence else told


def told_of_folder(folder: Path) -> dict[str, str]:
    """``data`` and, where it is known, ``licence`` of the image set in a folder.

    ``data`` is what the folder was told, else how it was generated, else its name.
    """
    record = read_provenance(folder) or {}
    asset = _registered(folder)
    data = str((record.get("told") or {}).get("data") or "") or (_generated(record) if asset is None else asset.name)
    licence = licence_of(str(folder)) if asset is None else asset.licence
    return {"data": data or folder.absolute().name} | ({"licence": licence} if licence else {})


def licence_of(data: str) -> str:
    """Licence of an image set as far as it is known: of a registered one, or of what generated it; else empty."""
    folder = Path(data).expanduser()
    record = read_provenance(folder) or {}
    told = str((record.get("told") or {}).get("licence") or "")
    if told or record.get("stage") == "generate":
        return told or find_licence(record.get("arguments") or {})
    asset = None if folder.exists() else find_dataset_asset(data)
    if asset is None:
        return ""
    stand_in = _place(data)
    return asset.licence if stand_in is None or not synthetic_folder(stand_in) else licence_of(str(stand_in))


def find_licence(arguments: object, depth: int = 0) -> str:
    """The first member called ``licence`` of nested JSON objects; empty when there is none."""
    if not isinstance(arguments, dict) or depth > _DEPTH:
        return ""
    if isinstance(arguments.get("licence"), str):
        return str(arguments["licence"])
    return next((found for inner in arguments.values() if (found := find_licence(inner, depth + 1))), "")


def _told_in(place: Path) -> dict[str, str]:
    """What the embeddings in a folder, or a file in it, were told of their images."""
    folder = place if place.is_dir() else place.parent
    record = read_provenance(folder) or {}
    told = record.get("told") or {} if record.get("stage") == "embed" else {}
    return {key: str(told[key]) for key in ("data", "licence") if told.get(key)}


def _generated(record: dict[str, Any]) -> str:
    """``24 people made by mesh`` by the provenance of a generated set; empty for any other."""
    if record.get("stage") != "generate":
        return ""
    people = (record.get("results") or {}).get("subjects")
    made_by = (record.get("arguments") or {}).get("backend", "a generator")
    return f"{counted(people, 'person', 'people') if isinstance(people, int) else 'people'} made by {made_by}"


def _registered(folder: Path) -> DatasetAsset | None:
    """The registered set that lies in a folder; None for another folder, and for a synthetic stand-in."""
    asset, place = find_dataset_asset(folder.name), _place(folder.name)
    here = place is not None and place.resolve() == folder.resolve()
    return asset if here and synthetic_folder(folder) is None else None


def _place(name: str) -> Path | None:
    try:
        found = find_dataset(name)
    except FrbiasError:
        return None
    return None if found is None else found.path
