"""The compiled shading pass: light, colour and gloss of every covered pixel.

All of it is in this one module on purpose: numba renews a cached kernel when its own file changes,
not when a kernel that it calls from another file does.
"""

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import EYE, HAIR, MOUTH, SKIN, TEETH
from frbias.synth.mesh.kernels import inner, kernel
from frbias.synth.mesh.texture_space import HALF_SPAN, HIGHEST, LOWEST

# ruff: noqa: ANN001, ANN201, ANN202
# numba infers the types.

_HEIGHT = HIGHEST - LOWEST
_TURNS = 16


def _disc() -> npt.NDArray[np.float64]:
    # five points of a unit disc (sunflower), turned into sixteen positions: row, column, radius
    taps = np.arange(5)
    radius = np.sqrt((taps + 0.3) / 5.0)
    angle = 2 * np.pi * np.arange(_TURNS)[:, None] / _TURNS + 2.399963 * taps
    return np.stack([radius * np.sin(angle), radius * np.cos(angle), radius + 0 * angle], axis=-1)


_DISC = _disc()


@kernel
def shade(ids, screen, solid, strands, look, lamp, texture, target):  # type: ignore[no-untyped-def]
    """Shade the pixels of ``ids`` (h, w) into ``target``.

    Args:
        ids: Triangle or (from ``len(solid triangles)`` on) strand segment per pixel, -1 for none.
        screen: Projected solid vertices (n, 3) and strand points (m, 3).
        solid: Triangles, material, world positions, normals, texture coordinates, occlusion, first triangle of the right eye.
        strands: First point, half widths near and far, start and end along the strand, colour, kind, world points.
        look: Viewer position (3,), eyes (2, 10), iris phases, iris albedo, age, garment (8,), bump strength, head centre (3,).
        lamp: Irradiance (9, 3), radiance (9, 3), key direction, key colour, softness, shadow depth, shadow frame (3, 4).
        texture: float32 (s, s, 6): albedo, roughness, slope of the skin along u and v.
        target: Irradiance, albedo, gloss (h, w, 3) and translucent skin (h, w), written in place.
    """
    height, width = ids.shape
    count = solid[0].shape[0]
    sample = np.zeros(6)
    for y in range(height):
        for x in range(width):
            t = ids[y, x]
            if t < 0:
                continue
            angle = (x * 7 + y * 13) % _TURNS
            if t < count:
                _solid_pixel(x, y, t, angle, screen[0], solid, look, lamp, texture, sample, target)
            else:
                _strand_pixel(x, y, t - count, angle, screen[1], strands, look, lamp, target)


@inner
def _solid_pixel(x, y, t, angle, screen, solid, look, lamp, texture, sample, target):  # type: ignore[no-untyped-def]
    triangles, material, world, normal, uv, occlusion, right_eye = solid
    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    a, b, c = _perspective_weights(x + 0.5, y + 0.5, screen, i, j, k)
    px = a * world[i, 0] + b * world[j, 0] + c * world[k, 0]
    py = a * world[i, 1] + b * world[j, 1] + c * world[k, 1]
    pz = a * world[i, 2] + b * world[j, 2] + c * world[k, 2]
    nx = a * normal[i, 0] + b * normal[j, 0] + c * normal[k, 0]
    ny = a * normal[i, 1] + b * normal[j, 1] + c * normal[k, 1]
    nz = a * normal[i, 2] + b * normal[j, 2] + c * normal[k, 2]
    open_ = a * occlusion[i] + b * occlusion[j] + c * occlusion[k]
    irradiance, albedo, glossy, skin = target
    viewer, eyes, phases, iris, age, garment, bump, _ = look
    kind = material[t]
    rough, reflectance, wrap = 0.5, 0.028, 0.0
    if kind == SKIN:
        u = a * uv[i, 0] + b * uv[j, 0] + c * uv[k, 0]
        v = a * uv[i, 1] + b * uv[j, 1] + c * uv[k, 1]
        cloth, fold = _garment(garment, u, v)
        if cloth:
            for channel in range(3):
                albedo[y, x, channel] = garment[channel] * fold
            rough, reflectance = 0.9, 0.01
        else:
            texel(texture, u, v, sample)
            for channel in range(3):
                albedo[y, x, channel] = sample[channel]
            rough, wrap = sample[3], 0.12
            skin[y, x] = 1.0
            nx, ny, nz = _bumped(nx, ny, nz, bump * sample[4], bump * sample[5])
    elif kind == EYE:
        eye = eyes[1] if t >= right_eye else eyes[0]
        red, green, blue, share = eye_colour(eye, phases, iris, age, px, py, pz)
        albedo[y, x, 0], albedo[y, x, 1], albedo[y, x, 2] = red, green, blue
        open_, rough, reflectance = share, 0.09, 0.035
    else:
        _inner_colour(kind, albedo, y, x)
        # occlusion was found with the mouth shut
        open_ = 0.45 * open_ if kind == MOUTH else (0.62 if kind == TEETH else max(0.7 * open_, 0.2))
        rough = 0.25 if kind == TEETH else 0.4
    surface = (px, py, pz, nx, ny, nz, open_, rough, reflectance, wrap)
    _light_surface(x, y, surface, angle, viewer, lamp, kind == EYE, irradiance, glossy)


@inner
def _perspective_weights(x, y, screen, i, j, k):  # type: ignore[no-untyped-def]
    ax, ay, bx, by = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1]
    cx, cy = screen[k, 0], screen[k, 1]
    inverse = 1.0 / ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * inverse
    v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * inverse
    a, b, c = u / screen[i, 2], v / screen[j, 2], (1.0 - u - v) / screen[k, 2]
    total = 1.0 / (a + b + c)
    return a * total, b * total, c * total


@inner
def _garment(garment, u, v):  # type: ignore[no-untyped-def]
    # colour (3), neckline height, depth of the V, half width of the V, stripe frequency, stripe contrast
    around = (u - 0.5) * 2.0 * HALF_SPAN
    height = LOWEST + v * _HEIGHT
    line = garment[3] + 0.10 * np.cos(around) - 0.10
    dip = garment[4] * max(0.0, 1.0 - abs(around) / garment[5])
    gap = line - dip - height
    if gap < 0.0:
        return False, 1.0
    stripe = 1.0 + garment[7] * np.sin(garment[6] * height)
    return True, stripe * (0.55 + 0.45 * smooth(gap, 0.0, 0.03))


@inner
def _bumped(nx, ny, nz, slope_u, slope_v):  # type: ignore[no-untyped-def]
    # tangent along increasing azimuth is (nz, 0, -nx) for a cylinder about y
    flat = np.sqrt(nx * nx + nz * nz) + 1e-9
    tx, tz = nz / flat, -nx / flat
    bx, by, bz = -ny * nx / flat, flat, -ny * nz / flat
    return (
        nx - slope_u * tx - slope_v * bx,
        ny - slope_v * by,
        nz - slope_u * tz - slope_v * bz,
    )


@inner
def _inner_colour(kind, albedo, y, x):  # type: ignore[no-untyped-def]
    if kind == MOUTH:
        albedo[y, x, 0], albedo[y, x, 1], albedo[y, x, 2] = 0.22, 0.06, 0.055
    elif kind == TEETH:
        albedo[y, x, 0], albedo[y, x, 1], albedo[y, x, 2] = 0.72, 0.68, 0.58
    else:
        albedo[y, x, 0], albedo[y, x, 1], albedo[y, x, 2] = 0.38, 0.13, 0.12


@inner
def _light_surface(x, y, surface, angle, viewer, lamp, wet, irradiance, glossy):  # type: ignore[no-untyped-def]
    px, py, pz, nx, ny, nz, open_, rough, reflectance, wrap = surface
    sky, mirror, key, colour, softness, depth, frame = lamp
    scale = 1.0 / (np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    vx, vy, vz = viewer[0] - px, viewer[1] - py, viewer[2] - pz
    scale = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
    vx, vy, vz = vx * scale, vy * scale, vz * scale
    nv = nx * vx + ny * vy + nz * vz
    if nv < 0.0:
        nx, ny, nz, nv = -nx, -ny, -nz, -nv
    nl = nx * key[0] + ny * key[1] + nz * key[2]
    reached = 0.0
    if nl + wrap > 0.0:
        reached = shadow(depth, frame, px, py, pz, softness, 0.03, angle)
    hx, hy, hz = vx + key[0], vy + key[1], vz + key[2]
    scale = 1.0 / (np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
    nh = max((nx * hx + ny * hy + nz * hz) * scale, 0.0)
    vh = min(max((vx * hx + vy * hy + vz * hz) * scale, 0.0), 1.0)
    shine = 2.5 * gloss(nl, max(nv, 1e-3), nh, vh, rough, reflectance) * reached
    direct = max((nl + wrap) / (1.0 + wrap), 0.0) * reached
    red, green, blue = lit(sky, nx, ny, nz)
    irradiance[y, x, 0] = red * open_ + direct * colour[0]
    irradiance[y, x, 1] = green * open_ + direct * colour[1]
    irradiance[y, x, 2] = blue * open_ + direct * colour[2]
    rx, ry, rz = 2 * nv * nx - vx, 2 * nv * ny - vy, 2 * nv * nz - vz
    if wet:
        shine += 1.6 * max(rx * key[0] + ry * key[1] + rz * key[2], 0.0) ** 90 * (0.25 + 0.75 * reached)
    edge = (reflectance + 0.5 * (1.0 - reflectance) * (1.0 - nv) ** 5 * (1.0 - rough)) * open_
    red, green, blue = lit(mirror, rx, ry, rz)
    glossy[y, x, 0] = shine * colour[0] + edge * red
    glossy[y, x, 1] = shine * colour[1] + edge * green
    glossy[y, x, 2] = shine * colour[2] + edge * blue


@inner
def _strand_pixel(x, y, s, angle, screen, strands, look, lamp, target):  # type: ignore[no-untyped-def]
    first, _, _, start, end, tint, kind, points = strands
    sky, _, key, colour, softness, depth, frame = lamp
    irradiance, albedo, glossy, _ = target
    viewer, centre = look[0], look[7]
    i = first[s]
    sx, sy = screen[i + 1, 0] - screen[i, 0], screen[i + 1, 1] - screen[i, 1]
    ox, oy = x + 0.5 - screen[i, 0], y + 0.5 - screen[i, 1]
    along = min(max((ox * sx + oy * sy) / max(sx * sx + sy * sy, 1e-6), 0.0), 1.0)
    tx = points[i + 1, 0] - points[i, 0]
    ty = points[i + 1, 1] - points[i, 1]
    tz = points[i + 1, 2] - points[i, 2]
    px, py, pz = points[i, 0] + along * tx, points[i, 1] + along * ty, points[i, 2] + along * tz
    scale = 1.0 / (np.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9)
    tx, ty, tz = tx * scale, ty * scale, tz * scale
    nx, ny, nz = px - centre[0], py - centre[1], pz - centre[2]
    scale = 1.0 / (np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    vx, vy, vz = viewer[0] - px, viewer[1] - py, viewer[2] - pz
    scale = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
    tv = (tx * vx + ty * vy + tz * vz) * scale
    tl = tx * key[0] + ty * key[1] + tz * key[2]
    hairy = kind[s] == HAIR
    reached = shadow(depth, frame, px, py, pz, softness + 1.5, 0.05 if hairy else 0.03, angle)
    fraction = start[s] + along * (end[s] - start[s])
    open_ = 0.45 + 0.55 * fraction if hairy else 0.85
    sine = np.sqrt(max(1.0 - tl * tl, 0.0))
    facing = 0.3 + 0.7 * min(max(0.5 + 0.6 * (nx * key[0] + ny * key[1] + nz * key[2]), 0.0), 1.0)
    direct = 0.55 * sine * facing * reached
    cone = max(sine * np.sqrt(max(1.0 - tv * tv, 0.0)) - tl * tv, 0.0)
    shine = (0.055 * cone**24 + 0.012 * cone**6) * reached * facing
    red, green, blue = lit(sky, nx, ny, nz)
    back = (red * open_, green * open_, blue * open_)
    for channel in range(3):
        tone = tint[s, channel]
        irradiance[y, x, channel] = 0.85 * back[channel] + direct * colour[channel]
        albedo[y, x, channel] = tone
        glossy[y, x, channel] = (shine * colour[channel] + 0.012 * back[channel]) * (0.3 + 1.4 * min(tone, 0.5))


@inner
def lit(sh, x, y, z):  # type: ignore[no-untyped-def]
    """Value of spherical harmonics ``sh`` (9, 3) in direction (x, y, z): three floats, not negative."""
    b0 = 0.282095
    b1, b2, b3 = 0.488603 * y, 0.488603 * z, 0.488603 * x
    b4, b5, b7 = 1.092548 * x * y, 1.092548 * y * z, 1.092548 * x * z
    b6, b8 = 0.315392 * (3.0 * z * z - 1.0), 0.546274 * (x * x - y * y)
    red = b0 * sh[0, 0] + b1 * sh[1, 0] + b2 * sh[2, 0] + b3 * sh[3, 0] + b4 * sh[4, 0]
    red += b5 * sh[5, 0] + b6 * sh[6, 0] + b7 * sh[7, 0] + b8 * sh[8, 0]
    green = b0 * sh[0, 1] + b1 * sh[1, 1] + b2 * sh[2, 1] + b3 * sh[3, 1] + b4 * sh[4, 1]
    green += b5 * sh[5, 1] + b6 * sh[6, 1] + b7 * sh[7, 1] + b8 * sh[8, 1]
    blue = b0 * sh[0, 2] + b1 * sh[1, 2] + b2 * sh[2, 2] + b3 * sh[3, 2] + b4 * sh[4, 2]
    blue += b5 * sh[5, 2] + b6 * sh[6, 2] + b7 * sh[7, 2] + b8 * sh[8, 2]
    return max(red, 0.0), max(green, 0.0), max(blue, 0.0)


@inner
def shadow(depth, frame, x, y, z, softness, bias, turn):  # type: ignore[no-untyped-def]
    """Share of the key light that reaches a point, 0..1: five taps of a disc in position ``turn``."""
    size = depth.shape[0]
    column = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z + frame[0, 3]
    row = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z + frame[1, 3]
    deep = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z + frame[2, 3] - bias
    reached = 0.0
    for tap in range(5):
        i = min(max(int(row + softness * _DISC[turn, tap, 0]), 0), size - 1)
        j = min(max(int(column + softness * _DISC[turn, tap, 1]), 0), size - 1)
        if depth[i, j] > deep - 0.006 * softness * _DISC[turn, tap, 2]:
            reached += 0.2
    return reached


@inner
def gloss(nl, nv, nh, vh, roughness, reflectance):  # type: ignore[no-untyped-def]
    """Cook-Torrance reflection times cosine with the GGX distribution (Walter et al. 2007) and Schlick's Fresnel term."""
    if nl <= 0.0:
        return 0.0
    alpha = roughness**4
    spread = nh * nh * (alpha - 1.0) + 1.0
    distribution = alpha / (np.pi * spread * spread + 1e-6)
    fresnel = reflectance + (1.0 - reflectance) * (1.0 - vh) ** 5
    k = (roughness + 1.0) ** 2 / 8.0
    masking = 0.25 / ((nv * (1.0 - k) + k) * (nl * (1.0 - k) + k))
    return min(distribution * fresnel * masking, 8.0) * nl


@inner
def texel(texture, u, v, out):  # type: ignore[no-untyped-def]
    """Bilinear sample of ``texture`` (s, s, channels), row 0 at v = 0, into ``out``."""
    size = texture.shape[0]
    x = min(max(u * size - 0.5, 0.0), size - 1.001)
    y = min(max(v * size - 0.5, 0.0), size - 1.001)
    i, j = int(y), int(x)
    fy, fx = y - i, x - j
    a, b, c, d = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
    for channel in range(texture.shape[2]):
        out[channel] = (
            a * texture[i, j, channel]
            + b * texture[i, j + 1, channel]
            + c * texture[i + 1, j, channel]
            + d * texture[i + 1, j + 1, channel]
        )


@inner
def smooth(x, low, high):  # type: ignore[no-untyped-def]
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@inner
def eye_colour(eye, phases, iris, age, x, y, z):  # type: ignore[no-untyped-def]
    """Albedo of the eyeball at world position (x, y, z) and the share of light the upper lid lets through.

    ``eye`` holds centre (3), gaze (3), up (3) and radius; ``phases`` eight angles of the iris pattern.
    Returns red, green, blue, share.
    """
    dx, dy, dz = (x - eye[0]) / eye[9], (y - eye[1]) / eye[9], (z - eye[2]) / eye[9]
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    front = dx * eye[3] + dy * eye[4] + dz * eye[5]
    up = dx * eye[6] + dy * eye[7] + dz * eye[8]
    theta = np.arccos(min(max(front, -1.0), 1.0))
    side = dx * (eye[7] * eye[5] - eye[8] * eye[4]) + dy * (eye[8] * eye[3] - eye[6] * eye[5])
    side += dz * (eye[6] * eye[4] - eye[7] * eye[3])
    phi = np.arctan2(up, side)
    streaks = 0.0
    for i in range(phases.shape[0]):
        streaks += np.cos((5 + 4 * i) * phi + phases[i])
    limbus, pupil = 0.41, 0.165
    share = max(0.42, 0.97 - 1.1 * max(up - 0.02, 0.0)) * (1.0 - 0.35 * smooth(abs(side), 0.55, 0.95))
    inside = 1.0 - smooth(theta, limbus - 0.04, limbus + 0.035)
    ring = 1.12 - 0.78 * smooth(theta, limbus - 0.12, limbus)
    tone = (1.0 + 0.09 * streaks) * (ring + 0.35 * (1.0 - smooth(theta, pupil, 0.30)))
    hole = smooth(theta, pupil - 0.025, pupil + 0.025)
    old = min(max((age - 40.0) / 40.0, 0.0), 1.0)
    red = 0.62 * (1.0 - 0.02 * old)
    green = 0.585 * (1.0 - 0.05 * old - 0.18 * smooth(theta, 0.7, 1.2))
    blue = 0.565 * (1.0 - 0.12 * old - 0.18 * smooth(theta, 0.7, 1.2))
    red = (inside * iris[0] * tone + (1 - inside) * red) * hole + 0.005 * (1 - hole)
    green = (inside * iris[1] * tone + (1 - inside) * green) * hole + 0.005 * (1 - hole)
    blue = (inside * iris[2] * tone + (1 - inside) * blue) * hole + 0.005 * (1 - hole)
    return red, green, blue, share
