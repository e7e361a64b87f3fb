"""A recogniser with a map behind it: what ``frbias adapt`` makes, composed of any recogniser and a small matrix.

It is a folder with ``adapted.json`` and ``map.safetensors``:

==============  ==========================================================================
key             meaning
==============  ==========================================================================
schema          ``frbias.adapted``
schema_version  1
base            the recogniser behind: a name as for ``--weights``, or a path (a relative one lies in the folder)
base_sha256     hash of what it computes with
map_sha256      hash of the map
made_of         the directions and methods the map is made of
==============  ==========================================================================
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import read_json, sha256_json, write_json
from frbias.core.recognisers.base import Description, Faces, Recogniser, Vectors
from frbias.core.recognisers.guarded import guarded_of
from frbias.core.recognisers.maps import EmbeddingMap, read_map, write_map

RECORD_NAME, MAP_NAME = "adapted.json", "map.safetensors"
SCHEMA, SCHEMA_VERSION = "frbias.adapted", 1


@dataclass(frozen=True, eq=False)
class AdaptedRecogniser:
    """A :class:`frbias.core.recognisers.base.Recogniser` followed by a map.

    Attributes:
        base: The recogniser.
        map: The map.
        name: Short name for tables and files.
        guarded: Which photographs were looked at while the map was learned, a sentence each.
        made_of: What the map is made of, in words.
    """

    base: Recogniser
    map: EmbeddingMap
    name: str
    guarded: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.map.matrix.shape[1] != self.base.embedding_length:
            raise BadInputError(
                f"The map takes embeddings of {self.map.matrix.shape[1]} numbers; {self.base.name} gives "
                f"{self.base.embedding_length}."
            )

    @property
    def sha256(self) -> str:
        """Hash of the recogniser's and the map's."""
        return sha256_json([SCHEMA, self.base.sha256, self.map.sha256])

    @property
    def description(self) -> Description:
        """The recogniser's, with the map noted."""
        about = self.base.description
        return replace(
            about,
            architecture=f"{about.architecture}+map",
            embedding_length=self.embedding_length,
            trainable=False,
            source=f"{about.source}, with a map",
            guarded=(*about.guarded, *self.guarded),
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        return self.base.input_size

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding."""
        return int(self.map.matrix.shape[0])

    def on(self, device: str) -> Self:
        """The same on ``cpu`` or ``cuda[:i]``; the map stays on the CPU."""
        return replace(self, base=self.base.on(device))

    def embed(self, faces: Faces) -> Vectors:
        """Mapped embeddings (N, K) of faces (N, height, width, 3)."""
        return self.map.apply(np.asarray(self.base.embed(faces)))


@dataclass(frozen=True)
class AdaptedRecord:
    """What ``adapted.json`` says.

    Attributes:
        folder: Where it lies.
        base: The recogniser behind, ready for ``load_recogniser``.
        base_sha256: Hash of what it computes with.
        map_sha256: Hash of the map.
        made_of: What it is made of, in words.
    """

    folder: Path
    base: str
    base_sha256: str
    map_sha256: str
    made_of: tuple[str, ...] = ()

    def over(self, base: Recogniser, name: str) -> AdaptedRecogniser:
        """The adapted recogniser, once its base is loaded.

        Raises:
            BadInputError: The base or the map is not the one it was made with.
        """
        if base.sha256 != self.base_sha256:
            raise BadInputError(
                f"{self.folder} was made for another {self.base}: its weights have changed since; make it again with "
                "frbias adapt."
            )
        found = read_map(self.folder / MAP_NAME)
        if found.sha256 != self.map_sha256:
            raise BadInputError(f"{self.folder / MAP_NAME} was changed after it was written; make it again.")
        return AdaptedRecogniser(base, found, name, guarded_of(self.folder), self.made_of)


def is_adapted(folder: Path) -> bool:
    """Whether a folder holds an adapted recogniser."""
    return (folder / RECORD_NAME).is_file()


def write_adapted(folder: Path, base: str, recogniser: Recogniser, found: EmbeddingMap, made_of: list[str]) -> None:
    """Write an adapted recogniser.

    Args:
        folder: Where.
        base: How ``load_recogniser`` finds the recogniser; a path is kept relative when it lies in ``folder``.
        recogniser: The recogniser itself.
        found: The map.
        made_of: What it is made of, in words.
    """
    path = Path(base).expanduser()
    if path.exists():
        inside = path.resolve().is_relative_to(folder.resolve())
        base = f"./{path.resolve().relative_to(folder.resolve()).as_posix()}" if inside else str(path.resolve())
    write_map(folder / MAP_NAME, found)
    stored = read_map(folder / MAP_NAME)
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "base": base,
        "base_sha256": recogniser.sha256,
        "map_sha256": stored.sha256,
        "made_of": made_of,
    }
    write_json(folder / RECORD_NAME, record)


def read_adapted(folder: Path) -> AdaptedRecord:
    """What the folder of an adapted recogniser says.

    Raises:
        BadInputError: It cannot be read, or is of another version.
    """
    path = folder / RECORD_NAME
    try:
        record = read_json(path)
        schema, version = record["schema"], record["schema_version"]
        values = [record[key] for key in ("base", "base_sha256", "map_sha256")]
        made_of = tuple(str(one) for one in record.get("made_of", ()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read as an adapted recogniser.") from error
    if (schema, version) != (SCHEMA, SCHEMA_VERSION) or not all(isinstance(value, str) for value in values):
        raise BadInputError(f"{path} is of another version of frbias ({schema!r}, {version!r}).")
    base, base_sha256, map_sha256 = values
    return AdaptedRecord(
        folder, str(folder / base) if base.startswith("./") else base, base_sha256, map_sha256, made_of
    )
