"""Faces to be aged: photographs, image sets, or generated adults."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import numpy.typing as npt

from frbias.core.assets.catalogue import find_dataset_asset
from frbias.core.assets.store import find_dataset
from frbias.core.data.datasets.loading import load_photographs
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.datasets.scan import scan_folder
from frbias.core.data.file_hashes import MISSING, hash_of_file
from frbias.core.data.images import IMAGE_SUFFIXES, read_image
from frbias.core.data.samples import METADATA_NAME, REJECTED_NAME, SampleTable, read_samples
from frbias.core.data.units import Column
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import sha256_bytes, sha256_json
from frbias.core.foundation.provenance import PROVENANCE_NAME
from frbias.core.foundation.words import counted

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
MESH = "mesh:"
_ADULT = (20, 55)
_MESH_SIDE = 512
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Picture:
    """A decoded source.

    Attributes:
        image: uint8 RGB (height, width, 3).
        points: The five face points (5, 2) in pixels where they are known; None: a detector has to find them.
        columns: What the table of the result should know of it (``sex``, ``source_age``).
    """

    image: Image
    points: Points | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)


class Source(Protocol):
    """One face to be aged."""

    @property
    def name(self) -> str:
        """Unique name, for the column ``source_file``."""
        ...

    @property
    def subject(self) -> str:
        """Identity label."""
        ...

    def read(self) -> Picture:
        """The picture.

        Raises:
            BadImageError: It cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """Changes when the picture does."""
        ...


@dataclass(frozen=True)
class Photograph:
    """A picture in a file.

    Attributes:
        path: The file.
        name: Path below the input folder.
        subject: Identity label.
        points: The five face points, row by row, where the image set has them.
        columns: Of the image set: ``sex``, ``source_age``.
    """

    path: Path
    name: str
    subject: str
    points: tuple[float, ...] = ()
    columns: tuple[tuple[str, Column], ...] = ()

    def read(self) -> Picture:
        """The decoded file."""
        points = np.array(self.points).reshape(5, 2) if self.points else None
        return Picture(read_image(self.path), points, dict(self.columns))

    def fingerprint(self) -> str:
        """Hash of the file and of the points."""
        content = hash_of_file(str(self.path)) if self.path.is_file() else MISSING
        return sha256_json([content, list(self.points), list(self.columns)]) if self.points else content


@dataclass(frozen=True)
class GeneratedAdult:
    """A person of the mesh generator, between 20 and 54 years old, near frontal."""

    number: int
    seed: int

    @property
    def name(self) -> str:
        """``mesh:00012``."""
        return f"{MESH}{self.number:05d}"

    @property
    def subject(self) -> str:
        """The person's number, as the mesh generator names it."""
        return f"{self.number:05d}"

    def read(self) -> Picture:
        """The rendered face with its known points."""
        from frbias.synth.mesh.faces import Sitter
        from frbias.synth.mesh.view import Ranges

        draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self.number])))
        age = float(draw.integers(*_ADULT))
        sitter = Sitter(self.seed, self.number)
        face = sitter.portray(age, 0, size=_MESH_SIDE, ranges=Ranges())
        columns: dict[str, Column] = {"sex": "f" if sitter.person.female else "m", "source_age": age}
        return Picture(np.asarray(face.image, np.uint8), np.asarray(face.points5, np.float64), columns)

    def fingerprint(self) -> str:
        """Number and seed."""
        return f"{self.number} of population {self.seed}"


def find_sources(text: str, seed: int) -> list[Source]:
    """The faces meant by ``--input``.

    Args:
        text: ``mesh:N``; an image set (a folder with ``metadata.csv``, a CSV file, the name of a data set); a folder of
            photographs: in a known layout, one person per folder, or, where pictures lie in the folder itself, one
            person per picture.
        seed: Population of the generated adults.

    Raises:
        UsageError: ``mesh:`` is not followed by a number.
        BadInputError: There is no such folder, or it holds no pictures.
        AssetMissingError: It names a data set that is not installed.
    """
    if text.startswith(MESH):
        count = text.removeprefix(MESH)
        if not (count.isascii() and count.isdigit()) or int(count) < 1:
            raise UsageError(f"--input {text!r}: write mesh:20 for twenty generated adults.")
        return [GeneratedAdult(i, seed) for i in range(int(count))]
    folder = Path(text).expanduser()
    known = not folder.exists() and (find_dataset_asset(text) or find_dataset(text))
    if known or folder.is_file():
        return _of_table(resolve_data(text))
    if not folder.is_dir():
        raise BadInputError(f"--input {text} is not a folder; give photographs, an image set, or mesh:20.")
    if (folder / METADATA_NAME).is_file():
        return _of_table(read_samples(folder))
    names = sorted(_pictures(folder))
    if not names:
        raise BadInputError(f"--input {text} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    return [
        Photograph(folder / n, n, s) for n, s in zip(names, _complete(names, _by_layout(folder, names)), strict=True)
    ]


def not_used(text: str) -> str:
    """What of the folder meant by ``--input`` is not aged though it looks like a picture, in words; empty for nothing."""
    folder = Path(text).expanduser()
    if text.startswith(MESH) or not folder.is_dir() or (folder / METADATA_NAME).is_file():
        return ""
    try:
        found = load_photographs(folder)
    except BadInputError:  # what there is is listed when it is read
        return ""
    names = set(_pictures(folder))
    lost = [(file, reason) for file, reason in found.rejected if file not in names]
    told = [f"{counted(len(lost), 'file')} not used (first: {lost[0][0]}: {lost[0][1]})"] if lost else []
    return "; ".join([*told, *filter(None, [found.passed_over])])


def _of_table(table: SampleTable) -> list[Source]:
    names = [str(name) for name in table.frame["file_name"]]
    sexes = table.frame["sex"].tolist() if "sex" in table.frame.columns else [""] * len(table)
    found: list[Source] = []
    for row, (path, subject) in enumerate(zip(table.paths, _complete(names, table.subjects), strict=True)):
        points, age = table.points(row), float(table.ages[row])
        columns: list[tuple[str, Column]] = [("sex", str(sexes[row]))] if sexes[row] else []
        if not np.isnan(age):
            columns.append(("source_age", age))
        flat = () if points is None else tuple(float(v) for v in points.ravel())
        found.append(Photograph(path, names[row], subject, flat, tuple(columns)))
    return found


def _pictures(folder: Path) -> Iterable[str]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in inside.parts)
        if not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            yield inside.as_posix()


def _by_layout(folder: Path, names: list[str]) -> list[str]:
    """Subjects by the folder's layout, empty where it tells none."""
    try:
        layout = scan_folder(folder).layout
    except BadInputError:
        return [name.partition("/")[0] if "/" in name else "" for name in names]
    parsed = [layout.parse(PurePosixPath(name)) for name in names]
    return ["" if found is None else found.subject for found in parsed]


def _complete(names: list[str], subjects: list[str]) -> list[str]:
    """Subjects with those that are empty named after their file: somebody of their own."""
    alone = [
        str(PurePosixPath(name).with_suffix("")) for name, subject in zip(names, subjects, strict=True) if not subject
    ]
    uses = Counter([*alone, *dict.fromkeys(s for s in subjects if s)])
    stems = (str(PurePosixPath(name).with_suffix("")) for name in names)
    return [
        subject or (stem if uses[stem] == 1 else name)
        for name, stem, subject in zip(names, stems, subjects, strict=True)
    ]


def folder_names(subjects: Iterable[str]) -> dict[str, str]:
    """A folder name for every subject: safe on every file system, and unique also without regard to case."""
    taken = {METADATA_NAME, REJECTED_NAME, PROVENANCE_NAME}
    names: dict[str, str] = {}
    for subject in subjects:
        if subject in names:
            continue
        base = "".join(c if c.isalnum() or c in "-_." else "-" for c in subject).strip(".")[:_LONGEST_NAME] or "face"
        name, count = base, 1
        while name.lower() in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name.lower())
        names[subject] = name
    return names


def hash_of(sources: Sequence[Source]) -> str:
    """SHA-256 over names, subjects and contents of all sources."""
    return sha256_json([(s.name, s.subject, s.fingerprint()) for s in sources])


def seed_of(*parts: object) -> int:
    """A 60-bit seed from anything that can be printed, the same on every machine."""
    return int(sha256_bytes("\x1f".join(map(str, parts)).encode())[:15], 16)
