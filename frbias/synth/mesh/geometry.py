"""Compiled vertex work: adding blend shapes, applying the subdivision matrix, normals."""

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.kernels import kernel

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


@kernel
def add_shapes(vertices, which, weights, starts, moved, offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add ``weights[i]`` times blend shape ``which[i]`` to ``vertices`` (n, 3) in place."""
    for i in range(which.shape[0]):
        shape, weight = which[i], weights[i]
        for row in range(starts[shape], starts[shape + 1]):
            vertex = moved[row]
            for axis in range(3):
                vertices[vertex, axis] += weight * offsets[row, axis]


@kernel
def apply_sparse(starts, columns, values, vertices, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Multiply a CSR matrix (m, n) with ``vertices`` (n, 3) into ``out`` (m, 3)."""
    for row in range(starts.shape[0] - 1):
        x = y = z = np.float32(0.0)
        for entry in range(starts[row], starts[row + 1]):
            column, value = columns[entry], values[entry]
            x += value * vertices[column, 0]
            y += value * vertices[column, 1]
            z += value * vertices[column, 2]
        out[row, 0] = x
        out[row, 1] = y
        out[row, 2] = z


@kernel
def _add_normals(vertices, triangles, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[j, 0] - vertices[i, 0]
        uy = vertices[j, 1] - vertices[i, 1]
        uz = vertices[j, 2] - vertices[i, 2]
        vx = vertices[k, 0] - vertices[i, 0]
        vy = vertices[k, 1] - vertices[i, 1]
        vz = vertices[k, 2] - vertices[i, 2]
        nx = uy * vz - uz * vy
        ny = uz * vx - ux * vz
        nz = ux * vy - uy * vx
        for corner in range(3):
            vertex = triangles[t, corner]
            out[vertex, 0] += nx
            out[vertex, 1] += ny
            out[vertex, 2] += nz
    for v in range(out.shape[0]):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        scale = 1.0 / max(length, 1e-12)
        for axis in range(3):
            out[v, axis] *= scale


def normals(vertices: FloatArray, triangles: IntArray) -> FloatArray:
    """Unit normals of the vertices, area weighted, float32 (n, 3)."""
    out = np.zeros_like(vertices)
    _add_normals(vertices, triangles, out)
    return out


@kernel
def turn(points, share, head, body, pivot, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Rotate ``points`` (n, 3) about ``pivot``: ``share[i]`` of the head's rotation, the rest of the body's."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] - pivot[0], points[i, 1] - pivot[1], points[i, 2] - pivot[2]
        for axis in range(3):
            turned = head[axis, 0] * x + head[axis, 1] * y + head[axis, 2] * z
            still = body[axis, 0] * x + body[axis, 1] * y + body[axis, 2] * z
            out[i, axis] = still + share[i] * (turned - still)


@kernel
def project(world, camera, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Perspective projection of ``world`` (n, 3) to column, row and depth in ``out`` (n, 3).

    ``camera`` holds distance from the origin along z, focal length in pixels, the world x and y seen
    in the middle of the picture, and the picture's size.
    """
    distance, focal, x, y, size = camera[0], camera[1], camera[2], camera[3], camera[4]
    for i in range(world.shape[0]):
        depth = distance - world[i, 2]
        scale = focal / max(depth, 1e-3)
        out[i, 0] = size * 0.5 + (world[i, 0] - x) * scale
        out[i, 1] = size * 0.5 - (world[i, 1] - y) * scale
        out[i, 2] = depth


@kernel
def transform(world, frame, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Apply the affine ``frame`` (3, 4) to ``world`` (n, 3) into ``out``."""
    for i in range(world.shape[0]):
        for axis in range(3):
            out[i, axis] = (
                frame[axis, 0] * world[i, 0]
                + frame[axis, 1] * world[i, 1]
                + frame[axis, 2] * world[i, 2]
                + frame[axis, 3]
            )
