"""The cylindrical texture space of the head and the two look-up tables made from it."""

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.raster import barycentric, rasterise

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

TEXTURE_SIZE = 512
AXIS_DEPTH = 0.45
HALF_SPAN = 2.4
LOWEST, HIGHEST = 5.35, 8.45
FRONT_SIZE = 384
FRONT_LEFT, FRONT_TOP, FRONT_EXTENT = -1.0, 8.35, 2.2


def azimuth(position: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Angle about the head's vertical axis, radians, 0 in front, positive to the subject's left; shape (...,)."""
    return np.arctan2(position[..., 0], position[..., 2] - AXIS_DEPTH)


def texture_coordinates(position: FloatArray) -> FloatArray:
    """Texture coordinates of template positions (..., 3): u by azimuth, v by height, float32 (..., 2) in 0..1."""
    u = 0.5 + np.clip(azimuth(position), -HALF_SPAN, HALF_SPAN) / (2 * HALF_SPAN)
    v = np.clip((position[..., 1] - LOWEST) / (HIGHEST - LOWEST), 0.0, 1.0)
    return np.stack([u, v], axis=-1).astype(np.float32)


def texel_table(
    template: FloatArray, uv: FloatArray, triangles: IntArray, masks: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Template position and mask values of every texel of the outermost skin.

    Args:
        template: Positions, float32 (v, 3).
        uv: Texture coordinates (v, 2).
        triangles: Skin triangles, int32 (t, 3).
        masks: float32 (k, v).

    Returns:
        float32 (s, s, 3) and (k, s, s); texels that no triangle covers take the nearest covered values.
    """
    size = TEXTURE_SIZE
    radius = np.hypot(template[:, 0], template[:, 2] - AXIS_DEPTH)
    points = np.column_stack([uv * size, 4.0 - radius]).astype(np.float32)
    span = np.abs(azimuth(template))[triangles].max(axis=1)
    triangles = np.ascontiguousarray(triangles[span < HALF_SPAN + 0.3])
    _, ids = rasterise(points, triangles, (size, size))
    weights = barycentric(points, triangles, ids)
    values = np.concatenate([template, masks.T], axis=1)
    table = np.zeros((size, size, values.shape[1]), dtype=np.float32)
    covered = ids >= 0
    table[covered] = np.einsum("pk,pkc->pc", weights, values[triangles[ids[covered]]])
    table = _fill(table, covered)
    return np.ascontiguousarray(table[..., :3]), np.ascontiguousarray(np.moveaxis(table[..., 3:], -1, 0))


def front_table(template: FloatArray, triangles: IntArray, skin: npt.NDArray[np.bool_]) -> tuple[IntArray, FloatArray]:
    """Skin triangle and barycentric coordinates under a grid of the face seen from the front."""
    size = FRONT_SIZE
    points = np.column_stack([front_cells(template[:, :2]), 10.0 - template[:, 2]]).astype(np.float32)
    numbers = np.flatnonzero(skin).astype(np.int32)
    chosen = np.ascontiguousarray(triangles[numbers])
    _, ids = rasterise(points, chosen, (size, size))
    weights = np.zeros((size, size, 3), dtype=np.float32)
    weights[ids >= 0] = barycentric(points, chosen, ids)
    return np.where(ids >= 0, numbers[np.maximum(ids, 0)], -1).astype(np.int32), weights


def front_cells(xy: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Column and row (fractional) in the frontal grid of template coordinates x, y; shape (..., 2)."""
    column = (xy[..., 0] - FRONT_LEFT) / FRONT_EXTENT * FRONT_SIZE
    row = (FRONT_TOP - xy[..., 1]) / FRONT_EXTENT * FRONT_SIZE
    return np.stack([column, row], axis=-1)


def _fill(table: FloatArray, covered: npt.NDArray[np.bool_]) -> FloatArray:
    hole = (~covered).astype(np.uint8)
    _, label = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(int(label.max()) + 1, dtype=np.int64)
    source[label[covered]] = np.flatnonzero(covered)
    flat = table.reshape(-1, table.shape[-1])
    return flat[source[label]]
