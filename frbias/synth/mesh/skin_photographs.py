"""What photographs of skin hold beyond a mean colour, as optical densities on the texture of the face.

MakeHuman's skins are looked up where they lie on the head, turned into melanin and blood, and rid of their broad
colour, of all outside of the face, and of eyes, nostrils and lips' edges, which are drawn.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.assets.skins import NAME, SkinFile, read_skins, skin_files, skin_folder
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_bytes
from frbias.synth.mesh.head_data import HeadData, load_head
from frbias.synth.mesh.makehuman import ANCESTRIES, LICENCE
from frbias.synth.mesh.pigments import BARE, pigments_of
from frbias.synth.mesh.skin_map import load_skin_map
from frbias.synth.mesh.smooth import smooth_step
from frbias.synth.mesh.texture_space import HALF_SPAN, HIGHEST, LOWEST, TEXTURE_SIZE

FloatArray = npt.NDArray[np.float32]

# Raised whenever the same photographs would give other pictures.
VERSION = 1
Skins = Literal["none", "makehuman"]
STAGES = ("young", "middleage", "old")
# The part of the texture that holds the face: half its width (radians), lowest and highest (decimetres).
_WIDE, _LOW, _HIGH = 1.35, 6.05, 8.1
# Texels at its rim that warps move less and less.
_EDGE = 24
# Structure is what differs from the mean around: its reach in texels, the most that is believed, the share of it on the
# lips, and the most that a photograph's melanin may spread (those of dark skin have more noise and gloss in them).
_REACH, _MOST, _ON_LIPS, _MOST_SPREAD = 34.0, 0.45, 0.5, 0.075


def _face() -> tuple[slice, slice]:
    half = round(TEXTURE_SIZE * _WIDE / (2 * HALF_SPAN))
    low, high = (round((y - LOWEST) / (HIGHEST - LOWEST) * TEXTURE_SIZE) for y in (_LOW, _HIGH))
    return slice(low, high), slice(TEXTURE_SIZE // 2 - half, TEXTURE_SIZE // 2 + half)


# Rows and columns of the head's texture that hold the face; symmetrical about its middle.
FACE = _face()


@dataclass(frozen=True)
class SkinPhotographs:
    """The photographs of some people, each at three stages of life.

    Attributes:
        ancestries, females: Of every person, 0..2 in the order of MakeHuman's shapes, and whether it is a woman.
        shared: What the photographs of a stage have in common, of both halves of the face: melanin and blood above
            those around, float32 (3, 2, h, w), within :data:`FACE`.
        own: What everybody has beyond that, float32 (people, 3, 2, h, w).
        still: Where features are that warps must not move, 0..1, float32 (h, w).
    """

    ancestries: npt.NDArray[np.int64]
    females: npt.NDArray[np.bool_]
    shared: FloatArray
    own: FloatArray
    still: FloatArray


def describe_skins(skins: Skins) -> dict[str, Any]:
    """What pictures depend on besides the option: version of the blending and hash of the photographs."""
    if skins == "none":
        return {}
    hashes = "".join(file.sha256 for file in skin_files())
    return {
        "photographs": {"asset": NAME, "version": VERSION, "sha256": sha256_bytes(hashes.encode()), "licence": LICENCE}
    }


@lru_cache(maxsize=1)
def load_skin_photographs() -> SkinPhotographs:
    """The installed photographs, checked and prepared; once a process.

    Raises:
        AssetMissingError: They are not installed.
        BadInputError: A file has changed, or is no picture.
    """
    pictures = [(file, _decoded(file, data)) for file, data in read_skins(skin_folder())]
    return prepared(pictures, load_head(), load_skin_map())


def prepared(
    pictures: list[tuple[SkinFile, npt.NDArray[np.uint8]]], head: HeadData, places: FloatArray
) -> SkinPhotographs:
    """Structure of the skins ``pictures``, uint8 RGB (n, n, 3) each, on the head.

    Args:
        pictures: Who is shown, and the texture; two of one kind are two people, of whom a stage that only one of
            them has is both's.
        head: The head.
        places: Of :func:`~frbias.synth.mesh.skin_map.load_skin_map`.
    """
    here = places[FACE]
    shown, lips, still = _regions(head)
    structure = np.stack([_structure(picture, here, shown, lips) for _, picture in pictures])
    people = _people([file for file, _ in pictures])
    everybody = structure[np.array([rows for _, _, rows in people])]
    shared = everybody.mean(axis=0)
    shared = (shared + shared[..., ::-1]) / 2
    return SkinPhotographs(
        ancestries=np.array([ANCESTRIES.index(ancestry) for ancestry, _, _ in people]),
        females=np.array([sex == "female" for _, sex, _ in people]),
        shared=shared,
        own=everybody - shared,
        still=still,
    )


def _people(shown: list[SkinFile]) -> list[tuple[str, str, list[int]]]:
    """Ancestry, sex and number of the picture at every stage of everybody."""
    kinds: dict[tuple[str, str], dict[str, list[int]]] = {}
    for row, file in enumerate(shown):
        age, ancestry, sex = file.kind
        kinds.setdefault((ancestry, sex), {}).setdefault(age, []).append(row)
    return [
        (ancestry, sex, [stages[stage][min(k, len(stages[stage]) - 1)] for stage in STAGES])
        for (ancestry, sex), stages in kinds.items()
        for k in range(max(len(rows) for rows in stages.values()))
    ]


def _decoded(file: SkinFile, data: bytes) -> npt.NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise BadInputError(f"{file.name} is no picture.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _regions(head: HeadData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of the photographs, share of the lips, and features that stay where they are; 0..1, (h, w) each."""
    x, y, z = (head.texel_position[FACE][..., i] for i in range(3))
    lips, lids, _ = (mask[FACE].astype(np.float32) for mask in head.texel_masks)
    wide = np.abs(np.arctan2(x, z - 0.45))
    side = np.where(y > 7.3, 0.62, 0.62 + 0.4 * np.clip((7.3 - y) / 0.25, 0, 1))
    face = _fade(wide, side, side + 0.22) * _fade(y, 7.82, 8.0) * (1 - _fade(y, 6.15, 6.4))
    eyes = cv2.GaussianBlur(cv2.dilate(lids, np.ones((9, 9))), (0, 0), 3.0)
    nostril = np.exp(-(((np.abs(x) - 0.088) / 0.045) ** 2) - ((y - 6.937) / 0.03) ** 2) * (z > 1.2)
    parting = np.exp(-(((y - 6.685) / 0.016) ** 2)) * (np.abs(x) < 0.26) * (z > 1.0)
    shown = face * np.clip(1 - 1.3 * eyes, 0, 1) * (1 - nostril) * (1 - parting)
    lips = cv2.GaussianBlur(lips, (0, 0), 1.4)
    fixed = np.maximum(np.maximum(cv2.dilate(lids, np.ones((25, 25))), cv2.dilate(lips, np.ones((17, 17)))), nostril)
    still = cv2.GaussianBlur(fixed.astype(np.float32), (0, 0), 6.0)
    edge = np.pad(np.zeros([side - 2 * _EDGE for side in still.shape], np.float32), _EDGE, "linear_ramp", end_values=1)
    return shown.astype(np.float32), lips.astype(np.float32), np.clip(np.maximum(still, edge), 0, 1)


def _fade(
    values: npt.NDArray[np.floating], near: npt.NDArray[np.floating] | float, far: npt.NDArray[np.floating] | float
) -> npt.NDArray[np.floating]:
    """1 below ``near``, 0 beyond ``far``, smooth between."""
    return 1 - smooth_step(values, near, far)


def _structure(picture: npt.NDArray[np.uint8], places: FloatArray, shown: FloatArray, lips: FloatArray) -> FloatArray:
    """Melanin and blood above those around, float32 (2, h, w)."""
    height, width = picture.shape[:2]
    column, row = places[..., 0] * width - 0.5, (1 - places[..., 1]) * height - 0.5
    seen = cv2.remap(picture, column, row, cv2.INTER_CUBIC).astype(np.float32) / 255
    linear = np.where(seen <= 0.04045, seen / 12.92, ((np.maximum(seen, 0) + 0.055) / 1.055) ** 2.4)
    density = -np.log(np.maximum(linear, 0.003) / BARE)
    found = pigments_of(density)
    skin = found - _around(found, shown * (1 - lips))
    lip = found - _around(found, shown * lips)
    own = np.clip(skin + lips[..., None] * (_ON_LIPS * lip - skin), -_MOST, _MOST) * shown[..., None]
    spread = np.sqrt((own[..., 0] ** 2).sum() / shown.sum())
    own = own * min(1.0, _MOST_SPREAD / max(float(spread), 1e-6))
    return np.ascontiguousarray(np.moveaxis(own, -1, 0).astype(np.float32))


def _around(values: npt.NDArray[np.floating], weight: FloatArray) -> npt.NDArray[np.floating]:
    """Weighted mean of the surroundings, (h, w, 2)."""
    total = cv2.GaussianBlur((values * weight[..., None]).astype(np.float32), (0, 0), _REACH)
    return total / (cv2.GaussianBlur(weight, (0, 0), _REACH)[..., None] + np.float32(1e-3))
