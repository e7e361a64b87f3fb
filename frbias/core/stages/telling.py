"""What a stage tells its readers beside its result: the command, and the name and licence of the data."""

from pathlib import Path

from frbias.core.assets.catalogue import find_dataset_asset
from frbias.core.foundation.commands import command_of
from frbias.core.foundation.provenance import read_provenance
from frbias.core.foundation.requests import Request

_DEPTH = 4


def told_of(request: Request, name: str, data: str | None = None) -> dict[str, str]:
    """What a work tells of itself.

    Args:
        request: What is asked for.
        name: Words of its command.
        data: The image set that is measured, as given; None when there is none.
    """
    told = {"command": command_of(request, name)}
    if data is not None:
        told["data"] = Path(data).name or data
        licence = licence_of(data)
        if licence:
            told["licence"] = licence
    return told


def licence_of(data: str) -> str:
    """Licence of an image set as far as it is known: of a registered one, or of what generated it; else empty."""
    asset = find_dataset_asset(data)
    if asset is not None:
        return asset.licence
    record = read_provenance(Path(data).expanduser())
    return "" if record is None or record.get("stage") != "generate" else find_licence(record.get("arguments") or {})


def find_licence(arguments: object, depth: int = 0) -> str:
    """The first member called ``licence`` of nested JSON objects; empty when there is none."""
    if not isinstance(arguments, dict) or depth > _DEPTH:
        return ""
    if isinstance(arguments.get("licence"), str):
        return str(arguments["licence"])
    return next((found for inner in arguments.values() if (found := find_licence(inner, depth + 1))), "")
