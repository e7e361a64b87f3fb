"""What is known about a picture and can be had beside it: points, a mask of its parts, and all that it was made from."""

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.layouts.fgnet import format_points
from frbias.core.data.images import encode_png
from frbias.synth.mesh.head_data import EYE, FRAME, MOUTH, SKIN, TEETH, TONGUE
from frbias.synth.mesh.scene import Scene

if TYPE_CHECKING:
    from frbias.synth.mesh.faces import RenderedFace

PARTS = ("background", "skin", "hair", "eyes", "mouth", "cloth", "glasses")
_BACKGROUND, _SKIN, _HAIR, _EYES, _MOUTH, _CLOTH, _GLASSES = range(len(PARTS))


def parts_of(
    scene: Scene,
    ids: npt.NDArray[np.int32],
    skin: npt.NDArray[np.float32],
    scalp: npt.NDArray[np.bool_],
    size: int,
) -> npt.NDArray[np.uint8]:
    """Part of every pixel as its number in :data:`PARTS`, uint8 (size, size): the one that covers most of it.

    Args:
        scene: What was drawn.
        ids: Triangle or (from the number of triangles on) strand segment per fine pixel, -1 for none.
        skin: 1 where a fine pixel shows skin, not cloth.
        scalp: Which triangles are hair, though no strand may lie before them.
        size: Pixels of the picture; ``ids`` has a whole number of times as many.
    """
    solid = np.full(int(scene.material.max()) + 1, _CLOTH, np.uint8)
    for kind, part in ((SKIN, _CLOTH), (EYE, _EYES), (MOUTH, _MOUTH), (TEETH, _MOUTH), (TONGUE, _MOUTH)):
        if kind < len(solid):
            solid[kind] = part
    strand = np.where(scene.hair.kind == FRAME, _GLASSES, _HAIR).astype(np.uint8)
    table = np.concatenate([solid[scene.material], strand, np.array([_BACKGROUND], np.uint8)])
    table[: len(scalp)][scalp] = _HAIR
    bare = (skin > 0) & (table[ids] == _CLOTH)
    fine = np.where(bare, np.uint8(_SKIN), table[ids])
    shares = [
        cv2.resize((fine == part).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        for part in range(len(PARTS))
    ]
    return np.argmax(shares, axis=0).astype(np.uint8)


def truth_files(face: "RenderedFace", file_name: str, kinds: tuple[str, ...]) -> dict[str, bytes]:
    """Files about a picture: name relative to the image set -> content.

    ``truth/<file_name>.pts`` holds the 68 points in FG-NET's order, ``truth/<file_name>.mask.png`` the number in
    :data:`PARTS` of every pixel, ``truth/<file_name>.json`` pose, camera, light, film, expression, clothes, the
    person and the weights of all blend shapes.
    """
    stem = f"truth/{file_name.rsplit('.', 1)[0]}"
    files: dict[str, bytes] = {}
    if "landmarks" in kinds:
        files[f"{stem}.pts"] = format_points(face.points68)
    if "mask" in kinds and face.parts is not None:
        files[f"{stem}.mask.png"] = encode_png(face.parts)
    if "params" in kinds:
        files[f"{stem}.json"] = json.dumps(_plain(face.made_from), indent=1, sort_keys=True).encode("utf-8") + b"\n"
    return files


def _plain(value: Any) -> Any:
    """The value in terms of JSON; arrays as lists, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
