"""A small z-buffer rasteriser, compiled. Sequential, so the nearest surface never depends on chance."""

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.kernels import kernel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
EMPTY = -1


@kernel
def _rasterise(points, triangles, cull, depth, ids):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[j, 0], points[j, 1], points[j, 2]
        cx, cy, cz = points[k, 0], points[k, 1], points[k, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9 or (cull[t] != 0 and area > 0.0) or min(az, bz, cz) <= 0.0:
            continue
        x0 = max(int(np.floor(min(ax, bx, cx) - 0.5)) + 1, 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.floor(min(ay, by, cy) - 0.5)) + 1, 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        inverse = 1.0 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            for x in range(x0, x1 + 1):
                px = x + 0.5
                u = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
                v = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
                w = 1.0 - u - v
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    z = np.float32(u * az + v * bz + w * cz)
                    if z < depth[y, x]:
                        depth[y, x] = z
                        ids[y, x] = t


def rasterise(
    points: FloatArray, triangles: IntArray, size: tuple[int, int], cull: npt.NDArray[np.uint8] | None = None
) -> tuple[FloatArray, IntArray]:
    """Nearest triangle of every pixel.

    Args:
        points: float32 (n, 3): column, row (pixels, y down, pixel centres at .5) and depth > 0.
        triangles: int32 (m, 3).
        size: Height and width.
        cull: uint8 (m,): non-zero where a triangle that turns its back may be dropped.

    Returns:
        Depth, float32 (height, width), infinite where nothing is; triangle, int32, ``EMPTY`` there.
        Between equal depths the first triangle wins.
    """
    depth = np.full(size, np.inf, dtype=np.float32)
    ids = np.full(size, EMPTY, dtype=np.int32)
    if cull is None:
        cull = np.zeros(len(triangles), dtype=np.uint8)
    _rasterise(points, triangles, cull, depth, ids)
    return depth, ids


@kernel
def rasterise_strands(points, first, near, far, depth, ids, offset):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Draw strand segments into ``depth`` and ``ids`` in place, as round-ended strips facing the viewer.

    Segment s runs from ``points[first[s]]`` to the next point (column, row, depth); ``near[s]`` and
    ``far[s]`` are its half widths in pixels at the two ends; its number in ``ids`` is ``offset + s``.
    """
    height, width = depth.shape
    for s in range(first.shape[0]):
        i = first[s]
        ax, ay, az = points[i, 0], points[i, 1], points[i, 2]
        bx, by, bz = points[i + 1, 0], points[i + 1, 1], points[i + 1, 2]
        if min(az, bz) <= 0.0:
            continue
        wide = max(near[s], far[s])
        dx, dy = bx - ax, by - ay
        square = max(dx * dx + dy * dy, 1e-6)
        x0 = max(int(np.floor(min(ax, bx) - wide - 0.5)) + 1, 0)
        x1 = min(int(np.floor(max(ax, bx) + wide - 0.5)), width - 1)
        y0 = max(int(np.floor(min(ay, by) - wide - 0.5)) + 1, 0)
        y1 = min(int(np.floor(max(ay, by) + wide - 0.5)), height - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5 - ax, y + 0.5 - ay
                along = min(max((px * dx + py * dy) / square, 0.0), 1.0)
                ox, oy = px - along * dx, py - along * dy
                half = near[s] + along * (far[s] - near[s])
                if ox * ox + oy * oy <= half * half:
                    z = np.float32(az + along * (bz - az))
                    if z < depth[y, x]:
                        depth[y, x] = z
                        ids[y, x] = offset + s


def barycentric(points: FloatArray, triangles: IntArray, ids: IntArray) -> FloatArray:
    """Barycentric coordinates of the covered pixels' centres, float32 (pixels, 3), in raster order of ``ids >= 0``."""
    rows, columns = np.nonzero(ids >= 0)
    corner = points[triangles[ids[rows, columns]]].astype(np.float64)
    x, y = columns + 0.5, rows + 0.5
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    u = ((b[:, 0] - x) * (c[:, 1] - y) - (b[:, 1] - y) * (c[:, 0] - x)) / area
    v = ((c[:, 0] - x) * (a[:, 1] - y) - (c[:, 1] - y) * (a[:, 0] - x)) / area
    return np.stack([u, v, 1 - u - v], axis=1).astype(np.float32)
