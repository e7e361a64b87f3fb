"""From a picture to what the network takes: the FFHQ crop around a face, at the network's size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from frbias.core.data.units import Column
from frbias.core.faces.align import align_ffhq, ffhq_square
from frbias.core.faces.detect import find_face, load_detector
from frbias.core.foundation.errors import BadImageError

Image = npt.NDArray[np.uint8]
SMALLEST_SQUARE = 48  # pixels of the picture on a side of the FFHQ square; less shows no face to be aged


@dataclass(frozen=True)
class Prepared:
    """A face on the FFHQ square.

    Attributes:
        image: uint8 RGB (side, side, 3).
        columns: What was found out on the way, for the table.
    """

    image: Image
    columns: Mapping[str, Column]


def prepare(
    picture: Image,
    side: int,
    *,
    aligned: bool,
    points: npt.NDArray[np.float64] | None = None,
    detector: str = "yunet",
) -> Prepared:
    """Bring a picture to the network's size: the FFHQ crop of its largest face, or, when it is a crop, resized.

    Args:
        picture: uint8 RGB (height, width, 3).
        side: Height and width wanted.
        aligned: It is an FFHQ crop already: its central square is resized, bicubic, as the original resizes.
        points: Known face points (5, 2); None to look for a face.
        detector: What looks for it.

    Raises:
        BadImageError: No face was found, or it is too small.
        DegenerateFaceError: The points determine no crop.
    """
    if aligned:
        small = Pillow.fromarray(_square(picture)).resize((side, side), Pillow.Resampling.BICUBIC)
        return Prepared(np.array(small, dtype=np.uint8), {})
    columns: dict[str, Column] = {}
    if points is None:
        face, count = find_face(load_detector(detector), picture, "largest")
        if face is None:
            raise BadImageError("no face found")
        points, columns = face.points, {"detector_score": round(face.score, 6), "faces_found": count}
    _, right = ffhq_square(points)
    width = 2 * float(np.hypot(*right))
    if width < SMALLEST_SQUARE:
        raise BadImageError(f"the face is too small: its square is {width:.0f} pixels wide, not {SMALLEST_SQUARE}")
    return Prepared(align_ffhq(picture, points, side).image, columns)


def _square(picture: Image) -> Image:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])
