"""From linear light to an 8-bit picture: background, exposure, tone curve, blur, noise, JPEG."""

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.film import expose, stored
from frbias.synth.mesh.lighting import Light
from frbias.synth.mesh.view import View

FloatArray = npt.NDArray[np.float32]


def background(rng: np.random.Generator, size: int, light: Light) -> FloatArray:
    """An out-of-focus room: a wall with a gradient, blurred boxes and discs; linear RGB (size, size, 3)."""
    side = 64
    wall = rng.uniform(0.06, 0.6) * (1 + rng.uniform(-0.12, 0.12, 3))
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    tilt = rng.uniform(-0.3, 0.3, 2)
    picture = wall * (1 + tilt[0] * ramp[:, None, None] + tilt[1] * ramp[None, :, None])
    for _ in range(int(rng.integers(0, 8))):
        shape = np.zeros((side, side), np.float32)
        x, y = (int(v) for v in rng.integers(-8, side, 2))
        if rng.random() < 0.35:
            cv2.circle(shape, (x, y), int(rng.integers(3, 20)), 1.0, -1)
        else:
            cv2.rectangle(shape, (x, y), (x + int(rng.integers(5, 50)), y + int(rng.integers(8, 60))), 1.0, -1)
        cover = 0.85 * cv2.GaussianBlur(shape, (0, 0), float(rng.uniform(0.8, 4)))[..., None]
        tint = rng.uniform(0.02, 0.8) * (1 + rng.uniform(-0.16, 0.16, 3))
        picture = picture * (1 - cover) + cover * tint
    tone = np.clip(light.irradiance[0] / max(float(light.irradiance[0].mean()), 1e-6), 0.6, 1.5)
    return cv2.resize((picture * tone).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)


def develop(linear: FloatArray, brightness: float, view: View, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Expose and store a picture.

    Args:
        linear: Linear RGB (h, w, 3).
        brightness: Typical irradiance of the face, which the exposure goes by.
        view: Camera settings.
        rng: Source of the noise.

    Returns:
        uint8 RGB (h, w, 3), after two JPEG round trips.
    """
    gain = (0.80 / max(brightness, 1e-3)) ** 0.8 * view.exposure
    light = np.maximum(linear * np.float32(gain), 0)
    light = light / (1 + 0.22 * light)
    picture = np.where(light < 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** np.float32(1 / 2.4) - 0.055)
    picture = picture.astype(np.float32)
    if view.blur > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), view.blur)
    picture = expose(picture, view.film, rng)
    shape = picture.shape
    picture = picture + np.float32(view.grain) * rng.standard_normal(shape, dtype=np.float32)
    coarse = (shape[0] // 2, shape[1] // 2, 3)
    blotch = cv2.resize(
        rng.standard_normal(coarse, dtype=np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
    )
    picture = (picture + np.float32(view.blotch) * blotch - 0.45) * np.float32(view.contrast) + 0.45
    taken = np.clip(picture * 255 + 0.5, 0, 255).astype(np.uint8)
    return stored(stored(taken, view.film.quality), view.quality)
