"""Compiled optics of one surface point: light, shadow, gloss, texture look-up and the eye."""

import numpy as np

from frbias.synth.mesh.kernels import kernel

# ruff: noqa: ANN001, ANN201
# numba infers the types; all arguments are floats or float arrays.


@kernel
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


@kernel
def shadow(depth, frame, x, y, z, softness, bias, turn):  # type: ignore[no-untyped-def]
    """Share of the key light that reaches a point, 0..1: five taps of a disc turned by ``turn`` radians."""
    size = depth.shape[0]
    column = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z + frame[0, 3]
    row = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z + frame[1, 3]
    deep = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z + frame[2, 3] - bias
    reached = 0.0
    for tap in range(5):
        radius = softness * np.sqrt((tap + 0.3) / 5.0)
        angle = turn + 2.399963 * tap
        i = min(max(int(row + radius * np.sin(angle)), 0), size - 1)
        j = min(max(int(column + radius * np.cos(angle)), 0), size - 1)
        if depth[i, j] > deep - 0.006 * radius:
            reached += 0.2
    return reached


@kernel
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


@kernel
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


@kernel
def smooth(x, low, high):  # type: ignore[no-untyped-def]
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@kernel
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
