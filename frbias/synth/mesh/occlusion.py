"""Ambient occlusion of the bare head, from depth maps seen from many directions."""

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.raster import rasterise

FloatArray = npt.NDArray[np.float32]
_DIRECTIONS = 96
_SIZE = 224
_BIAS = 0.035


def directions(count: int) -> npt.NDArray[np.float64]:
    """Evenly spread unit vectors (Fibonacci lattice), float64 (count, 3)."""
    i = np.arange(count) + 0.5
    y = 1 - 2 * i / count
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - y * y)
    return np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)


def ambient_occlusion(vertices: FloatArray, normal: FloatArray, triangles: npt.NDArray[np.int32]) -> FloatArray:
    """Cosine-weighted share of directions that reach each vertex from outside, 0..1, float32 (v,)."""
    centre = (vertices.max(axis=0) + vertices.min(axis=0)) / 2
    reach = float(np.linalg.norm(vertices - centre, axis=1).max()) * 1.02
    seen, total = np.zeros(len(vertices)), np.zeros(len(vertices))
    for direction in directions(_DIRECTIONS):
        side = np.cross(direction, [0.0, 1.0, 0.0] if abs(direction[1]) < 0.9 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(side, direction), -direction])
        local = (vertices - centre) @ frame.T
        local[:, :2] = (local[:, :2] / reach + 1) * (_SIZE / 2)
        local[:, 2] += reach + 1
        depth, _ = rasterise(local.astype(np.float32), triangles, (_SIZE, _SIZE))
        column = np.clip(local[:, 0].astype(int), 0, _SIZE - 1)
        row = np.clip(local[:, 1].astype(int), 0, _SIZE - 1)
        cosine = np.maximum(normal @ direction, 0)
        seen += cosine * (local[:, 2] < depth[row, column] + _BIAS)
        total += cosine
    return (seen / np.maximum(total, 1e-6)).astype(np.float32)
