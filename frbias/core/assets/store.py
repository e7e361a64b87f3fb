"""From a name to what it means: weights and data sets, found in a fixed order, or missed with instructions.

Order: an existing path; a name the user has added (``frbias models add``, ``frbias data add``);
``./models/<name>`` or ``./datasets/<name>``; the same folders in the data root (``FRBIAS_HOME``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from frbias.core.assets.catalogue import (
    KINDS,
    ModelAsset,
    find_dataset_asset,
    find_model_asset,
    missing_model,
    model_assets,
    unknown_name,
)
from frbias.core.assets.embedded import EMBEDDED_MODELS, embedded_model
from frbias.core.assets.paths import data_home, embedded_folder
from frbias.core.assets.placing import mend
from frbias.core.assets.records import read_book, restored_path
from frbias.core.foundation.errors import BadInputError

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl", ".onnx", ".caffemodel")
MAX_NAME = 200
Origin = Literal["path", "added", "./models", "./datasets", "data root", "embedded", "insightface"]


@dataclass(frozen=True)
class Found:
    """Where a name leads.

    Attributes:
        path: File or folder.
        origin: Which step of the search found it.
        record: What is recorded about it (kind, hashes); empty when it was found on disk.
    """

    path: Path
    origin: Origin
    record: dict[str, Any]


def resolve_weights(name: str, kind: str | None = None) -> Path:
    """The weight file (or folder that holds one) that ``name`` means.

    Args:
        name: A path, a name the user has added, or a name or alias of the registry.
        kind: What it has to be, one of :data:`frbias.core.assets.catalogue.KINDS`; None for anything.

    Raises:
        AssetMissingError: It is known but not installed, or nobody knows it; says what to do.
        BadInputError: It is a path that does not exist, or something of another kind.
    """
    path = Path(name).expanduser()
    if exists(name, path):
        return _weight_file(path, kind)
    refuse_lost_path(name, WEIGHT_SUFFIXES)
    asset = find_model_asset(name)
    found = find_model(name)
    if found is not None:
        actual = str(found.record.get("kind", asset.kind if asset else ""))
        if kind is not None and actual and actual != kind:
            raise BadInputError(
                f"{name} is a {KINDS.get(actual, actual)}, but a {KINDS.get(kind, kind)} is needed here."
            )
        return _weight_file(found.path, kind)
    if asset is None:
        known = [a.name for a in model_assets().values() if kind in (None, a.kind)]
        raise unknown_name(
            name, KINDS.get(kind or "", "model"), [*known, *read_book("models")], "frbias models add NAME FILE"
        )
    if kind is not None and asset.kind != kind:
        raise BadInputError(f"{name} is a {KINDS[asset.kind]}, but a {KINDS.get(kind, kind)} is needed here.")
    if asset.embedded:
        return embedded_model(asset.embedded)
    raise missing_model(asset, looked_in("models"))


def _weight_file(path: Path, kind: str | None) -> Path:
    """``path``, or the weights in it when it is a folder and not one that recognisers are loaded from whole."""
    if not path.is_dir():
        return path
    if kind in (None, "recogniser"):
        return path
    found = [p for suffix in WEIGHT_SUFFIXES for p in sorted(path.glob(f"*{suffix}"))]
    if not found:
        raise BadInputError(f"{path} holds no weight file.")
    if len(found) > 1 and found[0].suffix != ".safetensors":
        raise BadInputError(f"{path} holds several weight files ({', '.join(p.name for p in found[:3])}); name one.")
    return found[0]


def find_model(name: str) -> Found | None:
    """Where a model name leads without fetching anything; None when it is not installed."""
    asset = find_model_asset(name)
    book = read_book("models")
    for key in dict.fromkeys([name, asset.name if asset else name]):
        if key in book:
            path = restored_path(str(book[key].get("path", "")))
            if not path.exists():
                mend(data_home() / "models" / key)
            if not path.exists():
                raise BadInputError(
                    f"{key} was added from {path}, which is gone; add it again, or 'frbias models remove {key}'."
                )
            return Found(path, "added", book[key])
    for origin, folder in _folders("models"):
        for candidate in _candidates(folder, name, asset):
            if candidate.exists():
                return Found(candidate, origin, {})
    if asset is None:
        return None
    if asset.embedded:
        path = embedded_folder() / EMBEDDED_MODELS[asset.embedded].file_name
        return Found(path, "embedded", {}) if path.is_file() else None
    pack = Path.home() / ".insightface" / "models" / asset.name
    return Found(pack, "insightface", {}) if asset.pack and any(pack.glob("*.onnx")) else None


def find_dataset(name: str) -> Found | None:
    """Where a data set name leads; None when it is not installed."""
    asset = find_dataset_asset(name)
    names = list(dict.fromkeys([name, *([asset.name, *asset.aliases] if asset else [])]))
    book = read_book("datasets")
    for key in names:
        if key in book:
            path = restored_path(str(book[key].get("path", "")))
            if not path.exists():
                raise BadInputError(
                    f"{key} was added from {path}, which is gone; add it again, or 'frbias data remove {key}'."
                )
            return Found(path, "added", book[key])
    for origin, folder in _folders("datasets"):
        present = {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir()} if folder.is_dir() else {}
        for key in names:
            spelled = folder / key if (folder / key).is_dir() else present.get(key.lower())
            if spelled is not None:
                return Found(spelled, origin, {})
    return None


def _folders(book: Literal["models", "datasets"]) -> list[tuple[Origin, Path]]:
    here: Origin = "./models" if book == "models" else "./datasets"
    return [(here, Path(book)), ("data root", data_home() / book)]


def looked_in(book: Literal["models", "datasets"]) -> list[str]:
    """The folders that names of a book are looked up in, in order, as text."""
    return [f"./{folder}" if not folder.is_absolute() else str(folder) for _, folder in _folders(book)]


def _candidates(folder: Path, name: str, asset: ModelAsset | None) -> Iterator[Path]:
    for key in dict.fromkeys([name, *([asset.name, *asset.aliases] if asset else [])]):
        yield from (folder / f"{key}{suffix}" for suffix in WEIGHT_SUFFIXES)
        yield folder / key
    yield from (folder / file for file in (asset.files if asset else ()))


def exists(name: str, path: Path) -> bool:
    """Whether ``name`` is meant as the existing path ``path``."""
    try:
        return bool(name.strip()) and path.exists()
    except (OSError, ValueError):  # too long, or with characters that no path has
        return False


def refuse_lost_path(name: str, suffixes: tuple[str, ...]) -> None:
    """Refuse a name that can only be a path, and does not exist.

    Raises:
        BadInputError: It looks like a path: a slash, one of ``suffixes``, or too long for a name.
    """
    if "/" in name or "\\" in name or name.lower().endswith(suffixes) or not 0 < len(name.strip()) <= MAX_NAME:
        raise BadInputError(f"{name[:200] or 'An empty name'} does not exist.")
