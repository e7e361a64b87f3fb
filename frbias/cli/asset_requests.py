"""What the commands about data sets and models are asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import place_problem
from frbias.core.foundation.requests import Request, option, suggestion

_NAME_HELP = "Name of a data set (see 'frbias data list'), a folder or a CSV file."
_LAYOUT_HELP = "How the files are named (fgnet, morph, agedb, folder, ...); found out when not given."


def _layout() -> object:
    return option(None, help=_LAYOUT_HELP, metavar="NAME", completes="layout")


def _time_limit() -> float:
    limit: float = option(0.0, help="Minutes a download may take; 0: no limit.", low=0, metavar="MINUTES")
    return limit


def _layout_problem(name: str | None) -> Iterator[str]:
    if name is None:
        return
    from frbias.core.data.datasets.layouts.known import LAYOUTS

    names = list(LAYOUTS)
    if name not in (*names, "image-set", "csv"):
        yield f"--layout {name!r} is unknown; use {', '.join(names)}{suggestion(name, names, end='.')}"


@dataclass(frozen=True, kw_only=True)
class NamedData(Request):
    """A data set by its name.

    Attributes:
        name: Registered name, folder or CSV file.
    """

    title = "data"
    name: str = option(help=_NAME_HELP, positional=True, completes="data")


@dataclass(frozen=True, kw_only=True)
class AddData(Request):
    """Remember a folder.

    Attributes:
        name: Name to remember it by.
        folder: The folder, or a CSV file.
        layout: How its files are named; None to find out.
    """

    title = "data add"
    name: str = option(help="Name to remember it by.", positional=True, completes="known data")
    folder: Path = option(help="Folder of images, or a CSV file; read in place, nothing is copied.", positional=True)
    layout: str | None = _layout()  # type: ignore[assignment]

    def conflicts(self) -> Iterator[str]:
        """An unknown layout."""
        yield from _layout_problem(self.layout)


@dataclass(frozen=True, kw_only=True)
class ImportData(Request):
    """Copy a data set into the data root.

    Attributes:
        name: Name to remember it by.
        source: Folder, CSV file or archive; None to download it.
        layout: How its files are named; None to find out.
        out: Where to copy to; None for the data root.
        force: Replace an earlier import.
        time_limit: Minutes that a download may take.
    """

    title = "data import"
    name: str = option(
        help="Name to remember it by; names of 'frbias data list' imply their layout.",
        positional=True,
        completes="known data",
    )
    source: Path | None = option(
        None,
        help="Folder, CSV file, zip or tar archive; it is only read. Left out: download it, where that is possible.",
        positional=True,
    )
    layout: str | None = _layout()  # type: ignore[assignment]
    out: Path | None = option(None, short="-o", help="Where to copy to; default: datasets/NAME in the data root.")
    force: bool = option(False, help="Replace an earlier import.")
    time_limit: float = _time_limit()

    def conflicts(self) -> Iterator[str]:
        """An unknown layout, or a place where nothing can be written."""
        yield from _layout_problem(self.layout)
        if self.out is not None and (problem := place_problem(self.out)):
            yield f"--out {self.out} {problem}"


@dataclass(frozen=True, kw_only=True)
class VerifyData(NamedData):
    """Check a data set.

    Attributes:
        decode: Open every image.
    """

    title = "data verify"
    decode: bool = option(True, help="Open every image.")


@dataclass(frozen=True, kw_only=True)
class DataStatistics(NamedData):
    """Describe a data set.

    Attributes:
        groups: Age groups, bounds included; None for decades.
        plot: Figure to draw.
    """

    title = "data stats"
    groups: str | None = option(
        None, help="Age groups, bounds included, e.g. 0-17,18-44,45+; default: decades.", metavar="GROUPS"
    )
    plot: Path | None = option(
        None, help="Draw ages and images per subject to this file (.png, .svg, .pdf).", metavar="FILE"
    )

    def conflicts(self) -> Iterator[str]:
        """Groups that cannot be read, and a figure of no known kind."""
        from frbias.core.verification.groups import parse_age_groups

        try:
            if self.groups is not None:
                parse_age_groups(self.groups)
        except UsageError as error:
            yield f"--groups: {error.message}"
        if self.plot is not None and self.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            yield f"--plot {self.plot} is no figure; end its name with .png, .svg or .pdf."


@dataclass(frozen=True, kw_only=True)
class NamedModel(Request):
    """A model by its name.

    Attributes:
        name: Its name.
    """

    title = "models"
    name: str = option(help="Name of a model (see 'frbias models list').", positional=True, completes="weights")


@dataclass(frozen=True, kw_only=True)
class FetchModel(NamedModel):
    """Download a model.

    Attributes:
        force: Replace what is installed.
        time_limit: Minutes it may take.
    """

    title = "models fetch"
    force: bool = option(False, help="Replace what is installed under this name.")
    time_limit: float = _time_limit()


@dataclass(frozen=True, kw_only=True)
class AddModel(Request):
    """Take a weight file in.

    Attributes:
        name: Name to remember it by.
        file: Weight file, or insightface pack.
        force: Replace what is installed.
    """

    title = "models add"
    name: str = option(
        help="Name to remember it by: one of 'frbias models list', or your own.", positional=True, completes="weights"
    )
    file: Path = option(help="Weight file, or insightface pack (zip or folder).", positional=True)
    force: bool = option(False, help="Replace what is installed under this name.")


@dataclass(frozen=True, kw_only=True)
class VerifyModels(Request):
    """Check models.

    Attributes:
        names: Their names; empty for all that are installed.
    """

    title = "models verify"
    names: tuple[str, ...] = option(
        (),
        help="Models to check; all that are installed when none is given.",
        positional=True,
        many=True,
        metavar="[NAMES...]",
        completes="weights",
    )


@dataclass(frozen=True, kw_only=True)
class ConvertModel(Request):
    """Convert a weight file.

    Attributes:
        file: What to read.
        out: What to write.
        force: Replace an existing file.
    """

    title = "models convert"
    file: Path = option(help="Weight file to read.", positional=True)
    out: Path = option(help="File to write (.safetensors); a .json is written beside it.", positional=True)
    force: bool = option(False, help="Replace an existing file.")


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Request):
    """What to check.

    Attributes:
        hashes: Read installed models and compare them with their recorded hashes.
        deep: Look for damage instead.
        under: Where to look for folders of stages.
    """

    title = "doctor"
    hashes: bool = option(True, help="Read installed models and compare them with their recorded hashes.")
    deep: bool = option(
        False, help="Look for damage instead: compare every file of models, data sets, caches and finished folders."
    )
    under: Path = option(Path("."), help="With --deep: folder to look for finished folders in.")
