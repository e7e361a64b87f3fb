"""Does a recogniser that is only run behave like one? Asked with two crops before any work is done."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.base import Faces

TOLERANCE = 1e-4
_ALIKE = 1e-6
_TILES = 7


def fixed_images(count: int, size: int | tuple[int, int]) -> Faces:
    """Smooth pictures that are the same on every machine, uint8 (count, height, width, 3)."""
    height, width = (size, size) if isinstance(size, int) else size
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    phases = np.arange(count * 3).reshape(count, 1, 1, 3)
    waves = np.sin(2 * np.pi * (x[..., None] * (1 + phases % 3) + y[..., None] * (1 + phases % 2)) + phases)
    return (127.5 + 100 * waves).astype(np.uint8)


def two_crops(size: tuple[int, int]) -> Faces:
    """Two different pictures of coloured tiles, the same on every machine, uint8 (2, height, width, 3)."""
    tiles = np.random.default_rng(0).integers(0, 256, (2, _TILES, _TILES, 3), dtype=np.uint8)
    rows, columns = (np.arange(n) * _TILES // n for n in size)
    return np.ascontiguousarray(tiles[:, rows][:, :, columns])


def probe(embed: Callable[[Faces], npt.NDArray[np.generic]], size: tuple[int, int], name: str) -> int:
    """Embed two crops and look at what comes.

    Args:
        embed: Takes uint8 RGB (N, height, width, 3), should give (N, D).
        size: Height and width.
        name: File or function named in errors.

    Returns:
        D.

    Raises:
        BadInputError: It gives no matrix of numbers, nothing finite, or the same for different crops.
    """
    found = np.asarray(embed(two_crops(size)))
    if found.dtype.kind not in "fiu" or found.ndim != 2 or len(found) != 2 or found.shape[1] < 2:
        raise BadInputError(
            f"{name} gives {found.dtype} of shape {found.shape} for 2 faces, not one vector a face, (2, D)."
        )
    if not np.isfinite(found).all():
        raise BadInputError(f"{name} gives values that are not finite for two plain pictures; look at mean and scale.")
    one, two = found.astype(np.float64)
    if not one.any() or not two.any():
        raise BadInputError(f"{name} gives an embedding of zeros, which has no direction.")
    if np.abs(one - two).max() <= _ALIKE * np.abs(found).max():
        raise BadInputError(f"{name} gives the same embedding for different pictures; look at mean, scale and layout.")
    return int(found.shape[1])


def relative_difference(found: npt.NDArray[np.floating], wanted: npt.NDArray[np.floating]) -> float:
    """Largest difference of two arrays of embeddings over the largest value; NaN when all of ``wanted`` are 0."""
    largest = float(np.abs(wanted).max())
    return float(np.abs(found - wanted).max()) / largest if largest else float("nan")
