"""What a picture was taken on: grey and colour film that fades, scans of prints, early and later digital cameras.

Everybody has a year of birth, so a person's pictures as a child are older photographs than those as an adult, as
in every family album and in FG-NET. Rates and amounts are set by eye.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.streams import stream

FloatArray = npt.NDArray[np.float32]

_BIRTHS = (1932.0, 1995.0)
# Share of pictures by year: grey film, colour film; the rest is digital.
_YEARS = (1930, 1955, 1970, 1985, 1998, 2005, 2012)
_GREY = (1.0, 0.85, 0.45, 0.12, 0.06, 0.04, 0.03)
_COLOUR_FILM = (0.0, 0.15, 0.55, 0.88, 0.90, 0.35, 0.02)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Film:
    """Material and scan of a picture.

    Attributes:
        saturation: Of colours, 0 is grey.
        tint: Factors of red, green and blue.
        fade: Lift of the blacks, 0..0.2 of the range.
        softness: Blur in pixels of a 256 pixel picture.
        grain: Standard deviation of film grain, of the range; it is coarser than a pixel.
        texture: Amplitude of the weave of textured print paper, of the range.
        shrink: Resolution of the scan or sensor relative to the picture, at most 1.
        quality: Of a first JPEG, 1..100.
    """

    saturation: float
    tint: tuple[float, float, float]
    fade: float
    softness: float
    grain: float
    texture: float
    shrink: float
    quality: int


def sample_film(seed: int, subject: int, age: float, variant: int, family: int | None = None) -> Film:
    """Draw the material of one picture; a pure function of its arguments.

    ``family`` is the number of the person whose year of birth the subject shares; None for their own.
    """
    born = float(stream(seed, subject if family is None else family, "birth").uniform(*_BIRTHS))
    rng = stream(seed, subject, "film", float(age), variant)
    year = min(born + age, 2025.0)
    pick = float(rng.random())
    old = float(np.clip((2005 - year) / 60, 0, 1))
    grey, colour = float(np.interp(year, _YEARS, _GREY)), float(np.interp(year, _YEARS, _COLOUR_FILM))
    draws = rng.random(8)
    if pick < grey:
        sepia = 0.12 * draws[0] * (draws[1] < 0.35)
        return Film(
            0.0, (1 + sepia, 1.0, 1 - 1.6 * sepia), 0.07 * draws[2], 0.15 + 0.8 * draws[3] * (0.4 + old),
            0.005 + 0.022 * draws[4] * (0.5 + old), 0.012 * (draws[5] < 0.15), 1.0, int(60 + 35 * draws[6]),
        )  # fmt: skip
    if pick < grey + colour:
        warm = (draws[0] - 0.3) * 0.16 * (0.4 + old)
        return Film(
            float(0.75 + 0.4 * draws[1] - 0.3 * old), (1 + warm, 1 - 0.25 * abs(warm), 1 - warm), 0.12 * draws[2] * old,
            0.15 + 0.9 * draws[3] * (0.4 + old), 0.003 + 0.012 * draws[4], 0.012 * (draws[5] < 0.1), 1.0,
            int(60 + 35 * draws[6]),
        )  # fmt: skip
    early = year < 2006
    return Film(
        float(0.9 + 0.25 * draws[1]), (1.0, 1.0, 1.0), 0.0, 0.25 * draws[3], 0.0, 0.0,
        float(0.55 + 0.4 * draws[7]) if early else float(0.75 + 0.25 * draws[7]), int(50 + 45 * draws[6]),
    )  # fmt: skip


def expose(picture: FloatArray, film: Film, rng: np.random.Generator) -> FloatArray:
    """The picture (h, w, 3), 0..1, as the material renders it, float32; not clipped."""
    size = picture.shape[1]
    luma = (picture * _LUMA).sum(axis=2, keepdims=True)
    out = luma + np.float32(film.saturation) * (picture - luma)
    out = out * np.array(film.tint, np.float32)
    out = np.float32(film.fade) + np.float32(1 - 1.3 * film.fade) * out
    softness = film.softness * size / 256
    if softness > 0.2:
        out = cv2.GaussianBlur(out, (0, 0), softness)
    if film.shrink < 0.98:
        small = max(round(size * film.shrink), 16)
        out = cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA)
        out = cv2.resize(out, (size, size), interpolation=cv2.INTER_LINEAR)
    if film.grain > 0:
        noise = cv2.GaussianBlur(rng.standard_normal((size, size), dtype=np.float32), (0, 0), 0.8 * size / 256)
        out = out + np.float32(1.5 * film.grain) * noise[..., None]
    if film.texture > 0:
        place = np.arange(size, dtype=np.float32) * np.float32(2 * np.pi / 5.3)
        weave = np.sin(place)[:, None] * np.sin(place)[None]
        out = out + np.float32(film.texture) * weave[..., None]
    return out.astype(np.float32)


def stored(picture: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    """The uint8 RGB picture after a JPEG round trip."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)
