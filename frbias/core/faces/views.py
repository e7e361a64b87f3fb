"""Views of a picture: a part of it at a chosen scale, small enough whatever the picture is.

A view is cut out and scaled before anything is put around it, so that its memory depends on the scale asked for
and not on the picture: a picture of 1 x 40,000 pixels has a view of 1 x 640.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

# Enlarging a picture further than this adds nothing to see.
MAX_ENLARGEMENT = 4.0


@dataclass(frozen=True)
class View:
    """A part of a picture at another scale.

    Attributes:
        pixels: uint8 RGB (height, width, 3).
        shift: (2,) pixels of the view: where the corner of the cut-out lies in it.
        factor: (2,) view pixels for a pixel of the picture, in x and y.
        corner: (2,) pixels of the picture: the corner of the cut-out.
        mirrored: Left and right are exchanged.
    """

    pixels: Image
    shift: Array
    factor: Array
    corner: Array
    mirrored: bool

    def to_picture(self, points: npt.ArrayLike) -> Array:
        """Points (..., 2) of the view in pixels of the picture; pixel centres lie on whole numbers in both."""
        seen = np.array(points, dtype=np.float64)
        if self.mirrored:
            seen[..., 0] = self.pixels.shape[1] - 1 - seen[..., 0]
        return (seen - self.shift + 0.5) / self.factor - 0.5 + self.corner


def whole(image: Image, side: int, margin: float = 0.0) -> View:
    """The whole picture with its long side, margins included, at ``side`` pixels or four times its own size.

    Args:
        image: uint8 RGB (height, width, 3).
        side: Pixels.
        margin: Black border on each side, as a fraction of the picture's long side.
    """
    height, width = image.shape[:2]
    long = max(height, width)
    scale = min(side / (long * (1 + 2 * margin)), MAX_ENLARGEMENT)
    return _view(image, (0, 0, width, height), scale, round(margin * long * scale), mirrored=False)


def around(image: Image, centre: Array, extent: float, scale: float, *, padded: bool, mirrored: bool) -> View:
    """A square part of the picture.

    Args:
        image: uint8 RGB (height, width, 3).
        centre: (2,) pixels.
        extent: Side of the square, pixels of the picture.
        scale: Pixels of the view for one of the picture.
        padded: Where the square leaves the picture, black is added; otherwise the square is cut there.
        mirrored: Exchange left and right.
    """
    limits = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(centre - extent / 2), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(centre + extent / 2), low + 1, limits).astype(int)
    border = round(extent * scale / 4) if padded else 0
    return _view(image, (low[0], low[1], high[0], high[1]), scale, border, mirrored=mirrored)


def _view(image: Image, part: tuple[int, int, int, int], scale: float, border: int, *, mirrored: bool) -> View:
    left, top, right, bottom = part
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = cv2.resize(image[top:bottom, left:right], size, interpolation=method)
    if border:
        seen = cv2.copyMakeBorder(seen, border, border, border, border, cv2.BORDER_CONSTANT)
    if mirrored:
        seen = cv2.flip(seen, 1)
    factor = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    shift = np.full(2, float(border))
    return View(np.asarray(seen, dtype=np.uint8), shift, factor, np.array([left, top], dtype=np.float64), mirrored)
