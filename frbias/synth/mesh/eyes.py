"""Eyeballs: spheres with a cornea, placed where the head's own eyeballs are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import HeadData

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
_RINGS, _SECTORS = 20, 32


@dataclass(frozen=True)
class Eyes:
    """Both eyeballs in the head's frame, the subject's left one first.

    Attributes:
        points, normals: float32 (2 n, 3). triangles: int32 (2 t, 3).
        centre: (2, 3). gaze: unit directions (2, 3). radius: (2,).
    """

    points: FloatArray
    normals: FloatArray
    triangles: npt.NDArray[np.int32]
    centre: Array
    gaze: Array
    radius: Array


def _ball() -> tuple[Array, Array, npt.NDArray[np.int32]]:
    polar = np.linspace(0, 0.62 * np.pi, _RINGS)
    around = np.linspace(0, 2 * np.pi, _SECTORS, endpoint=False)
    t, p = np.meshgrid(polar, around, indexing="ij")
    unit = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1).reshape(-1, 3)
    cornea = 1 + 0.04 * np.exp(-((t.ravel() / 0.42) ** 4))
    row = (np.arange(_RINGS - 1)[:, None] * _SECTORS + np.arange(_SECTORS)[None]).ravel()
    right = (np.arange(_RINGS - 1)[:, None] * _SECTORS + (np.arange(_SECTORS)[None] + 1) % _SECTORS).ravel()
    triangles = np.concatenate(
        [np.stack([row, row + _SECTORS, right], axis=1), np.stack([right, row + _SECTORS, right + _SECTORS], axis=1)]
    )
    return unit * cornea[:, None], unit, triangles.astype(np.int32)


_POINTS, _NORMALS, _TRIANGLES = _ball()


def place_eyes(head: HeadData, control: FloatArray, gaze: tuple[float, float]) -> Eyes:
    """Eyeballs for a control mesh, turned by ``gaze`` (to the subject's left, up; radians)."""
    points, normals, centres, radii = [], [], [], []
    turn = _rotation(*gaze)
    for ball in (head.eye_left, head.eye_right):
        corner = control[ball].astype(np.float64)
        centre = (corner.max(axis=0) + corner.min(axis=0)) / 2
        radius = float(np.sqrt(((corner - centre) ** 2).sum(axis=1)).mean()) * 0.985
        points.append((_POINTS[:, None] * turn[None]).sum(axis=2) * radius + centre)
        normals.append((_NORMALS[:, None] * turn[None]).sum(axis=2))
        centres.append(centre)
        radii.append(radius)
    return Eyes(
        points=np.concatenate(points).astype(np.float32),
        normals=np.concatenate(normals).astype(np.float32),
        triangles=np.concatenate([_TRIANGLES, _TRIANGLES + len(_POINTS)]),
        centre=np.array(centres),
        gaze=np.stack([turn[:, 2], turn[:, 2]]),
        radius=np.array(radii),
    )


def _rotation(left: float, up: float) -> Array:
    a, b = np.cos(left), np.sin(left)
    c, d = np.cos(up), np.sin(up)
    across = np.array([[a, 0, b], [0, 1, 0], [-b, 0, a]])
    tilt = np.array([[1, 0, 0], [0, c, d], [0, -d, c]])
    return (across[:, :, None] * tilt[None]).sum(axis=1)
