"""Faces to be aged: photographs, image sets, or generated adults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.errors import BadImageError, BadInputError, UsageError
from frbias.core.faces.align import align_ffhq
from frbias.core.faces.detect import choose_face, load_detector
from frbias.core.files import sha256_bytes, sha256_file, sha256_json
from frbias.core.images import IMAGE_SUFFIXES, read_image
from frbias.core.samples import METADATA_NAME, read_samples

Image = npt.NDArray[np.uint8]
MESH = "mesh:"
_ADULT = (20, 55)
_SMALLEST_FACE = 32


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

    def picture(self) -> Image:
        """The picture, uint8 RGB (height, width, 3).

        Raises:
            BadImageError: It cannot be read.
        """
        ...


@dataclass(frozen=True)
class Photograph:
    """A picture in a file."""

    path: Path
    name: str
    subject: str

    def picture(self) -> Image:
        """The decoded file."""
        return read_image(self.path)


@dataclass(frozen=True)
class GeneratedAdult:
    """A person of the mesh generator, between 20 and 55 years old, near frontal."""

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

    def picture(self) -> Image:
        """The rendered face."""
        from frbias.synth.mesh.backend import MeshOptions, render_face

        draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self.number])))
        age = float(draw.integers(*_ADULT))
        options = MeshOptions(subjects=1, seed=self.seed, size=512)
        return np.asarray(render_face(self.number, age, 0, options).image, dtype=np.uint8)


def find_sources(text: str, seed: int) -> list[Source]:
    """The faces meant by ``--input``.

    Args:
        text: ``mesh:N``, an image set (a folder with ``metadata.csv``), or a folder of photographs: one person per
            folder, or, where pictures lie in the folder itself, one person per picture.
        seed: Population of the generated adults.

    Raises:
        UsageError: ``mesh:`` is not followed by a number.
        BadInputError: There is no such folder, or it holds no pictures.
    """
    if text.startswith(MESH):
        count = text.removeprefix(MESH)
        if not count.isdigit() or int(count) < 1:
            raise UsageError(f"--input {text!r}: write mesh:20 for twenty generated adults.")
        return [GeneratedAdult(i, seed) for i in range(int(count))]
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise BadInputError(f"--input {text} is not a folder; give photographs, an image set, or mesh:20.")
    if (folder / METADATA_NAME).is_file():
        table = read_samples(folder)
        names = [str(name) for name in table.frame["file_name"]]
        return [Photograph(p, n, s or Path(n).stem) for p, n, s in zip(table.paths, names, table.subjects, strict=True)]
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not paths:
        raise BadInputError(f"--input {text} holds no pictures ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    return [_photograph(path, folder) for path in paths]


def _photograph(path: Path, folder: Path) -> Photograph:
    name = path.relative_to(folder)
    subject = name.parts[0] if len(name.parts) > 1 else name.stem
    return Photograph(path, name.as_posix(), subject)


def hash_of(sources: list[Source]) -> str:
    """SHA-256 over names and contents of all sources."""
    contents = [(s.name, sha256_file(s.path) if isinstance(s, Photograph) else str(s)) for s in sources]
    return sha256_json(contents)


def seed_of(*parts: object) -> int:
    """A 63-bit seed from anything that can be printed, the same on every machine."""
    return int(sha256_bytes("\x1f".join(map(str, parts)).encode())[:15], 16)


@dataclass(frozen=True)
class Prepared:
    """A face on the FFHQ square.

    Attributes:
        image: uint8 RGB (side, side, 3).
        columns: What was found out on the way, for the table.
    """

    image: Image
    columns: Mapping[str, float]


def prepare(picture: Image, side: int, *, aligned: bool, detector: str = "yunet") -> Prepared:
    """Bring a picture to the network's size: the FFHQ crop around its largest face, or, when it is aligned, resized.

    Raises:
        BadImageError: No face was found, or it is smaller than 32 pixels.
    """
    if aligned:
        shrinks = min(picture.shape[:2]) > side
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        return Prepared(np.asarray(cv2.resize(_square(picture), (side, side), interpolation=method), np.uint8), {})
    faces = load_detector(detector).detect(picture)
    face = choose_face(faces, "largest", picture.shape)
    if face is None:
        raise BadImageError("no face found")
    if min(face.box[2:]) < _SMALLEST_FACE:
        raise BadImageError(f"the face is only {min(face.box[2:]):.0f} pixels wide")
    columns = {"detector_score": round(face.score, 6), "faces_found": float(len(faces))}
    return Prepared(align_ffhq(picture, face.points, side).image, columns)


def _square(picture: Image) -> Image:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]
