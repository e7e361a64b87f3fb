"""Points fixed to the face: given on the neutral adult seen from the front, found on any face."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import HeadData
from frbias.synth.mesh.texture_space import FRONT_SIZE, front_cells, texture_coordinates

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Anchors:
    """Points on the skin.

    Attributes:
        corners: Drawn vertices of the triangle each point lies in, int32 (n, 3).
        weights: Barycentric coordinates, float32 (n, 3).
    """

    corners: npt.NDArray[np.int32]
    weights: FloatArray

    def on(self, values: FloatArray) -> FloatArray:
        """Interpolate a quantity of the drawn vertices (v, c) at the points, float32 (n, c)."""
        return (values[self.corners] * self.weights[..., None]).sum(axis=1)


def anchor(head: HeadData, xy: npt.NDArray[np.floating]) -> Anchors:
    """Points of the neutral adult face under frontal coordinates (n, 2), decimetres; the nearest cell with skin."""
    cell = front_cells(np.asarray(xy, dtype=np.float64))
    column = np.clip(cell[:, 0].astype(int), 0, FRONT_SIZE - 1)
    row = np.clip(cell[:, 1].astype(int), 0, FRONT_SIZE - 1)
    triangle = head.front_triangle[row, column]
    for reach in range(1, 8):
        missing = np.flatnonzero(triangle < 0)
        if not len(missing):
            break
        for dy, dx in ((0, reach), (0, -reach), (reach, 0), (-reach, 0)):
            y = np.clip(row[missing] + dy, 0, FRONT_SIZE - 1)
            x = np.clip(column[missing] + dx, 0, FRONT_SIZE - 1)
            found = (head.front_triangle[y, x] >= 0) & (triangle[missing] < 0)
            row[missing[found]], column[missing[found]] = y[found], x[found]
            triangle[missing[found]] = head.front_triangle[y[found], x[found]]
    triangle = np.maximum(triangle, 0)
    return Anchors(head.triangles[triangle], head.front_weights[row, column])


def texels(head: HeadData, xy: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.float64]:
    """Column and row in a texture of ``size`` (row 0 lowest) under frontal coordinates (n, 2), float64 (n, 2)."""
    return texture_coordinates(anchor(head, xy).on(head.template)).astype(np.float64) * size
