"""What every pixel of a picture shows: skin, hair, eyes, mouth, cloth or glasses."""

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import EYE, FRAME, MOUTH, SKIN, TEETH, TONGUE
from frbias.synth.mesh.scene import Scene

PARTS = ("background", "skin", "hair", "eyes", "mouth", "cloth", "glasses")
_BACKGROUND, _SKIN, _HAIR, _EYES, _MOUTH, _CLOTH, _GLASSES = range(len(PARTS))


def parts_of(
    scene: Scene,
    ids: npt.NDArray[np.int32],
    skin: npt.NDArray[np.float32],
    covers: npt.NDArray[np.uint8],
    size: int,
) -> npt.NDArray[np.uint8]:
    """Part of every pixel as its number in :data:`PARTS`, uint8 (size, size): the one that covers most of it.

    Args:
        scene: What was drawn.
        ids: Triangle or (from the number of triangles on) strand segment per fine pixel, -1 for none.
        skin: 1 where a fine pixel shows skin, not cloth.
        covers: Part that lies on the first triangles (hair of the scalp, a cap), 0 for none, uint8 (n,).
        size: Pixels of the picture; ``ids`` has a whole number of times as many.
    """
    solid = np.full(int(scene.material.max()) + 1, _CLOTH, np.uint8)
    for kind, part in ((SKIN, _SKIN), (EYE, _EYES), (MOUTH, _MOUTH), (TEETH, _MOUTH), (TONGUE, _MOUTH)):
        if kind < len(solid):
            solid[kind] = part
    strand = np.where(scene.hair.kind == FRAME, _GLASSES, _HAIR).astype(np.uint8)
    table = np.concatenate([solid[scene.material], strand, np.array([_BACKGROUND], np.uint8)])
    table[: len(covers)] = np.where(covers > 0, covers, table[: len(covers)])
    fine = table[ids]
    fine[(fine == _SKIN) & (skin <= 0)] = _CLOTH
    shares = [
        cv2.resize((fine == part).astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
        for part in range(len(PARTS))
    ]
    return np.argmax(shares, axis=0).astype(np.uint8)
