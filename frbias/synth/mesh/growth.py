"""The compiled growth of hair over the head."""

import numpy as np

from frbias.synth.mesh.kernels import kernel

# ruff: noqa: ANN001, ANN201, ANN202
# numba infers the types.


@kernel
def radial_map(points, centre, out):  # type: ignore[no-untyped-def]
    """Largest distance of ``points`` (n, 3) from ``centre`` per direction, into ``out`` (elevation, azimuth)."""
    rows, columns = out.shape
    for p in range(points.shape[0]):
        x, y, z = points[p, 0] - centre[0], points[p, 1] - centre[1], points[p, 2] - centre[2]
        radius = np.sqrt(x * x + y * y + z * z)
        i = int((np.arctan2(y, np.sqrt(x * x + z * z)) / np.pi + 0.5) * (rows - 1) + 0.5)
        j = int((np.arctan2(x, z) / (2 * np.pi) + 0.5) * columns) % columns
        if radius > out[i, j]:
            out[i, j] = radius


@kernel
def surface_radius(table, x, y, z):  # type: ignore[no-untyped-def]
    """Radius of the head in direction (x, y, z), bilinear in the map of :func:`radial_map`."""
    rows, columns = table.shape
    fi = (np.arctan2(y, np.sqrt(x * x + z * z)) / np.pi + 0.5) * (rows - 1)
    fj = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * columns - 0.5
    i = min(int(fi), rows - 2)
    j = int(np.floor(fj))
    a, b = fi - i, fj - j
    left, right = j % columns, (j + 1) % columns
    low = (1 - b) * table[i, left] + b * table[i, right]
    high = (1 - b) * table[i + 1, left] + b * table[i + 1, right]
    return (1 - a) * low + a * high


@kernel
def grow(roots, way, step, layer, spread, pull, wave, jitter, edge, head, out):  # type: ignore[no-untyped-def]
    """Grow strands along the head.

    Args:
        roots: float32 (s, 3). way: first directions (s, 3). step: segment length (s,).
        layer: distance that each strand keeps from the skin (s,).
        spread: per strand shift of the face's border in radians (s,).
        pull: gravity per step (s,).
        wave: direction noise shared by a lock (s, k, 3); jitter: own noise (s, k, 3).
        edge: |azimuth| of the face's border at heights -1.3, -1.1 .. 0.7 head units, and the height below which it counts, last.
        head: centre (3,), scale, radial map, and the share (0..1) by which hair is drawn back to its layer.
        out: float32 (s, k, 3).
    """
    centre, scale, table, hug = head
    below = edge[edge.shape[0] - 1]
    for s in range(roots.shape[0]):
        px, py, pz = roots[s, 0], roots[s, 1], roots[s, 2]
        dx, dy, dz = way[s, 0], way[s, 1], way[s, 2]
        out[s, 0, 0], out[s, 0, 1], out[s, 0, 2] = px, py, pz
        stopped = False
        for k in range(1, out.shape[1]):
            if not stopped:
                dx += wave[s, k, 0] + jitter[s, k, 0]
                dy += wave[s, k, 1] + jitter[s, k, 1] - pull[s]
                dz += wave[s, k, 2] + jitter[s, k, 2]
                scaled = 1.0 / (np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9)
                dx, dy, dz = dx * scaled, dy * scaled, dz * scaled
                px, py, pz = px + dx * step[s], py + dy * step[s], pz + dz * step[s]
                qx, qy, qz = px - centre[0], py - centre[1], pz - centre[2]
                radius = np.sqrt(qx * qx + qy * qy + qz * qz)
                least = surface_radius(table, qx, qy, qz) + layer[s] * min(1.0, 0.5 * k)
                if radius < least and qy > -1.15 * scale:
                    push = least / max(radius, 1e-6)
                    px, py, pz = centre[0] + qx * push, centre[1] + qy * push, centre[2] + qz * push
                    inward = (dx * qx + dy * qy + dz * qz) / max(radius, 1e-6)
                    if inward < 0.0:
                        dx, dy, dz = dx - inward * qx / radius, dy - inward * qy / radius, dz - inward * qz / radius
                elif hug > 0.0 and qy > -0.9 * scale:
                    push = (least + (1.0 - hug) * (radius - least)) / radius
                    px, py, pz = centre[0] + qx * push, centre[1] + qy * push, centre[2] + qz * push
                high = (py - centre[1]) / scale
                if high < below:
                    px, pz, stopped = _keep_off_face(px, pz, high, spread[s], edge, centre)
                    if stopped:
                        px, py, pz = out[s, k - 1, 0], out[s, k - 1, 1], out[s, k - 1, 2]
            out[s, k, 0], out[s, k, 1], out[s, k, 2] = px, py, pz


@kernel
def _keep_off_face(px, pz, high, spread, edge, centre):  # type: ignore[no-untyped-def]
    place = min(max((high + 1.3) / 0.2, 0.0), edge.shape[0] - 2.001)
    i = int(place)
    limit = edge[i] + (place - i) * (edge[i + 1] - edge[i]) + spread
    qx, qz = px - centre[0], pz - centre[2]
    around = np.arctan2(qx, qz)
    if abs(around) >= limit:
        return px, pz, False
    if abs(around) < limit - 0.22:
        return px, pz, True
    ring = np.sqrt(qx * qx + qz * qz)
    turned = min(abs(around) + 0.10, limit)
    if around < 0.0:
        turned = -turned
    return centre[0] + ring * np.sin(turned), centre[2] + ring * np.cos(turned), False
