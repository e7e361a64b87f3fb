"""Where embeddings to be measured come from: a file, or an image set and a recogniser."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from frbias.core.data.embeddings import Embeddings, hash_of_embeddings, read_embeddings
from frbias.core.data.samples import SampleTable
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine
from frbias.core.foundation.plans import Step
from frbias.core.stages.requests.embed import EmbedOptions
from frbias.core.stages.requests.measuring import MeasureOptions

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser
    from frbias.core.recognisers.input_format import InputFormat


_STRAIGHT = EmbedOptions()


class Source(Protocol):
    """Embeddings that are there, or can be made."""

    @property
    def name(self) -> str:
        """Name of the recogniser, for titles."""
        ...

    def identity(self) -> dict[str, Any]:
        """Content hashes of all that is read, and the name that the outcome will show."""
        ...

    def steps(self) -> list[Step]:
        """What has to be done before they are there."""
        ...

    def load(self, machine: Machine, world: World) -> Embeddings:
        """The embeddings."""
        ...


@dataclass(frozen=True)
class EmbeddingsFile:
    """Embeddings in a file (of any kind that is read), or in a folder of the embed stage.

    Attributes:
        path: As given.
    """

    path: Path

    @cached_property
    def _read(self) -> Embeddings:
        return read_embeddings(self.path)

    @property
    def name(self) -> str:
        """The recogniser's as the file says, else the file's."""
        return str(self._read.provenance.get("name") or self.path.stem)

    def identity(self) -> dict[str, Any]:
        """Hash of the file, and the name."""
        return {"embeddings": hash_of_embeddings(self.path), "name": self.name}

    def steps(self) -> list[Step]:
        """Nothing."""
        return []

    def load(self, machine: Machine, world: World) -> Embeddings:
        """The embeddings."""
        del machine, world
        return self._read


@dataclass(frozen=True)
class EmbeddedSet:
    """An image set seen by a recogniser; aligned and embedded when it is loaded, or found in the cache.

    Attributes:
        images: The set, aligned or not.
        recogniser: The recogniser.
        options: How faces become vectors.
    """

    images: "ImageSource"
    recogniser: "Recogniser"
    options: EmbedOptions = _STRAIGHT

    @property
    def name(self) -> str:
        """The recogniser's."""
        return self.recogniser.name

    def identity(self) -> dict[str, Any]:
        """Hashes of the images and the weights, and the name."""
        found = {**self.images.identity(), "weights": self.recogniser.sha256, "name": self.name}
        return found if self.options.flip == "none" else {**found, "flip": self.options.flip}

    def steps(self) -> list[Step]:
        """Alignment, when it is needed, and embedding."""
        from frbias.core.stages.shared import plan_shared

        return plan_shared(self.images.table, self.recogniser, self.images.refused)

    def load(self, machine: Machine, world: World) -> Embeddings:
        """The embeddings; the faces are aligned first when they are not.

        Raises:
            BadInputError: Files vanished or changed since the identity was asked for.
        """
        from frbias.core.stages.shared import embeddings_of, faces_for

        images = self.images
        size = self.recogniser.input_size
        faces = faces_for(images.table, size, machine, world, refused=images.refused)
        found = embeddings_of(faces, self.recogniser, machine, world, options=self.options)
        images.refuse_changed()
        return found


@dataclass(frozen=True)
class ImageSource:
    """An image set by its name.

    Attributes:
        name: As given.
        table: Its images.
        refused: (file, reason) of what cannot be used.
    """

    name: str
    table: SampleTable
    refused: tuple[tuple[str, str], ...]

    @cached_property
    def _hashes(self) -> dict[str, Any]:
        from frbias.core.stages.align import hash_of_images

        return {"images": hash_of_images(self.table), "refused": [list(pair) for pair in self.refused]}

    def identity(self) -> dict[str, Any]:
        """Hashes of the table and the images, and what was refused."""
        return self._hashes

    def refuse_changed(self) -> None:
        """Refuse to go on when files vanished or changed since the identity was asked for.

        Raises:
            BadInputError: They did.
        """
        from frbias.core.stages.align import hash_of_images

        if hash_of_images(self.table) != self._hashes["images"]:
            raise BadInputError(
                f"Files of {self.name} vanished or changed meanwhile; put them back and run the command again."
            )


def image_source(data: str, options: MeasureOptions) -> ImageSource:
    """The images of a set, refused when they lack a column that the groups need.

    Raises:
        AssetMissingError: The data set is not installed.
        BadInputError: It holds no images.
        UsageError: A column to group by is not there.
    """
    from frbias.core.data.datasets.resolving import resolve_with_rejected

    table, refused = resolve_with_rejected(data)
    columns = [str(c) for c in table.frame.columns if c not in ("file_name", "subject")]
    for wanted in options.columns():
        if wanted not in columns:
            raise UsageError(
                f"--groups {wanted!r} is no column of the samples; there are {', '.join(columns)}, "
                "or write age groups such as 0-19,20+."
            )
    return ImageSource(data, table, tuple(refused))


def embedded_set(
    images: ImageSource, weights: str, given: "InputFormat", machine: Machine, options: EmbedOptions = _STRAIGHT
) -> EmbeddedSet:
    """An image set seen by a recogniser; ``given`` is what is said about its input, ``options`` how it embeds.

    Raises:
        AssetMissingError: The weights are not installed.
        BadInputError: The file holds no recogniser.
    """
    from frbias.core.recognisers import loading

    return EmbeddedSet(images, loading.load_recogniser(weights, given=given, progress=machine.progress), options)


def distinct(names: list[str], baseline: int | None = None) -> tuple[str, ...]:
    """Names that tell models apart: a repeated one gets ``(baseline)`` or a number.

    Example:
        >>> distinct(["sface", "run", "sface"])
        ('sface', 'run', 'sface (2)')
    """
    if baseline is not None and len(set(names)) < len(names):
        names = [f"{n} (baseline)" if k == baseline and names.count(n) > 1 else n for k, n in enumerate(names)]
    seen: dict[str, int] = {}
    titles = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        titles.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(titles)


def file_safe(name: str) -> str:
    """A name as part of a path: everything but letters, digits, ``-``, ``_`` and ``.`` becomes ``-``."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".") or "unnamed"
