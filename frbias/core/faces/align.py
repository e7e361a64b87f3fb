"""Bringing a face to a template: similarity transforms, the ArcFace and the FFHQ crop.

Points are pixels (x, y) with the centre of the top left pixel at (0, 0); five points are, in order,
the viewer's left eye, right eye, nose tip, left mouth corner and right mouth corner.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadImageError, UsageError

Points = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

# Template of the insightface project for a crop of 112 x 112 pixels.
ARCFACE_112: Points = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATES = ("arcface", "ffhq")
_SUPERSAMPLE = 2


class DegenerateFaceError(BadImageError):
    """Face points from which no transform can be computed; stages list the image as rejected."""


@dataclass(frozen=True)
class AlignedFace:
    """A face on a template.

    Attributes:
        image: uint8 RGB (size, size, 3).
        matrix: (2, 3), source pixel -> crop pixel.
        points: (5, 2), the face points in the crop.
        residual: Root mean square distance of the points from the template, pixels; NaN for FFHQ, which has none.
    """

    image: Image
    matrix: npt.NDArray[np.float64]
    points: Points
    residual: float


def arcface_template(size: int) -> Points:
    """The five template points for a square crop, shape (5, 2).

    Multiples of 112 scale the template; multiples of 128 scale it by size / 128 and shift it by 8 size / 128
    pixels to the right, the two conventions of the insightface project.

    Raises:
        UsageError: ``size`` is a multiple of neither.
    """
    if size > 0 and size % 112 == 0:
        return ARCFACE_112 * (size / 112)
    if size > 0 and size % 128 == 0:
        return (ARCFACE_112 + np.array([8.0, 0.0])) * (size / 128)
    raise UsageError(f"An ArcFace crop of {size} pixels is not defined; use a multiple of 112 or of 128.")


def similarity_transform(source: npt.ArrayLike, target: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Least-squares rotation, scale and shift that takes ``source`` to ``target`` (no reflection).

    The closed form of Umeyama's estimate in the plane, in complex notation: with centred points x and u,
    a + ib = sum(conj(x) u) / sum(|x|^2); Umeyama, IEEE PAMI 13(4), 1991.

    Args:
        source: (n, 2) points, n >= 2.
        target: (n, 2) points.

    Returns:
        (2, 3) matrix M with target ~ M[:, :2] @ source + M[:, 2].

    Raises:
        DegenerateFaceError: A coordinate is not finite, all points coincide, or the best scale is zero.
    """
    p, d = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if p.shape != d.shape or p.ndim != 2 or p.shape[1] != 2 or len(p) < 2:
        raise DegenerateFaceError(f"a similarity needs two equal lists of points, not {p.shape} and {d.shape}")
    if not (np.isfinite(p).all() and np.isfinite(d).all()):
        raise DegenerateFaceError("a face point is not a finite number")
    centre, aim = p.mean(axis=0), d.mean(axis=0)
    x, u = p - centre, d - aim
    spread = float((x * x).sum())
    if spread <= 1e-12 * max(1.0, float(np.abs(p).max()) ** 2):
        raise DegenerateFaceError("all face points coincide")
    a = float((x * u).sum()) / spread
    b = float((x[:, 0] * u[:, 1] - x[:, 1] * u[:, 0]).sum()) / spread
    if a * a + b * b < 1e-16:
        raise DegenerateFaceError("the face points do not determine a scale")
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (aim - linear @ centre)[:, None]])


def apply_transform(matrix: npt.NDArray[np.float64], points: npt.ArrayLike) -> Points:
    """Points (n, 2) mapped by a (2, 3) matrix."""
    return np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]


def align_arcface(image: Image, points: npt.ArrayLike, size: int = 112) -> AlignedFace:
    """Crop a face to the ArcFace template: bilinear, black outside the picture.

    Args:
        image: uint8 RGB (height, width, 3).
        points: (5, 2) face points.
        size: Side of the crop; see :func:`arcface_template`.

    Raises:
        DegenerateFaceError: The points determine no transform.
        UsageError: The size is not defined.
    """
    template = arcface_template(size)
    matrix = similarity_transform(points, template)
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=0.0)
    placed = apply_transform(matrix, points)
    residual = float(np.sqrt(((placed - template) ** 2).sum(axis=1).mean()))
    return AlignedFace(np.asarray(crop, dtype=np.uint8), matrix, placed, residual)


def ffhq_square(points: npt.ArrayLike) -> tuple[Points, Points]:
    """Centre and half-width vector of the oriented square that FFHQ cuts around a face.

    Karras et al. 2019 (FFHQ): the axis is the direction between the eyes plus the turned direction from eyes to
    mouth; the half width is max(2 |eye to eye|, 1.8 |eye to mouth|); the centre lies 0.1 of the way from the eyes
    to the mouth. The original takes eyes and mouth corners from dlib's 68 points (each eye as the mean of six lid
    points); here the five points give them directly, which moves the square by a few percent of its width.

    Returns:
        Centre (2,) and the vector (2,) from the centre to the middle of the right edge, pixels.

    Raises:
        DegenerateFaceError: The points determine no square.
    """
    p = np.asarray(points, dtype=np.float64)
    if p.shape != (5, 2) or not np.isfinite(p).all():
        raise DegenerateFaceError("the FFHQ crop needs five finite face points")
    eyes, mouth = (p[0] + p[1]) / 2, (p[3] + p[4]) / 2
    across, down = p[1] - p[0], mouth - eyes
    axis = across - np.array([-down[1], down[0]])
    length = float(np.hypot(*axis))
    if length < 1e-6:
        raise DegenerateFaceError("all face points coincide")
    half = max(2.0 * float(np.hypot(*across)), 1.8 * float(np.hypot(*down)))
    return eyes + 0.1 * down, axis / length * half


def align_ffhq(image: Image, points: npt.ArrayLike, size: int = 256) -> AlignedFace:
    """Crop a face as FFHQ does, with mirrored borders where the square leaves the picture.

    The square is sampled at twice the size and averaged down, against aliasing; the border is mirrored without
    the progressive blur of the original.

    Args:
        image: uint8 RGB (height, width, 3).
        points: (5, 2) face points.
        size: Side of the crop, pixels.

    Raises:
        DegenerateFaceError: The points determine no square.
    """
    centre, right = ffhq_square(points)
    down = np.array([-right[1], right[0]])
    corners = np.array([centre - right - down, centre + right - down, centre - right + down])
    shrink = 2.0 * float(np.hypot(*right)) / (size * _SUPERSAMPLE)
    picture, scale = _shrunk(image, shrink)
    fine = size * _SUPERSAMPLE
    edge = np.array([[-0.5, -0.5], [fine - 0.5, -0.5], [-0.5, fine - 0.5]])
    to_fine = cv2.getAffineTransform((corners * scale + (scale - 1) / 2).astype(np.float32), edge.astype(np.float32))
    crop = cv2.warpAffine(picture, to_fine, (fine, fine), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    target = np.array([[-0.5, -0.5], [size - 0.5, -0.5], [-0.5, size - 0.5]])
    matrix = similarity_transform(corners, target)
    return AlignedFace(np.asarray(small, dtype=np.uint8), matrix, apply_transform(matrix, points), float("nan"))


def _shrunk(image: Image, factor: float) -> tuple[Image, float]:
    steps = max(1, int(factor))
    if steps == 1:
        return image, 1.0
    height, width = image.shape[:2]
    size = (max(1, width // steps), max(1, height // steps))
    exact = image[: size[1] * steps, : size[0] * steps] if min(size) > 1 else image
    return np.asarray(cv2.resize(exact, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), 1.0 / steps
