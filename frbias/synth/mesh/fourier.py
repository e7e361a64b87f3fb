"""Random Fourier features (Rahimi and Recht, *Random features for large-scale kernel machines*, 2007), wave by wave."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def features(place: Array, wave: Array, phase: Array) -> Iterator[Array]:
    """``cos(place . wave[k] + phase[k])`` for every k.

    One array of the size of ``place`` at a time: a table of places and waves would not fit into the cache.

    Args:
        place: Positions, float64 (3, ...).
        wave: Wave vectors (k, 3).
        phase: Radians (k,).
    """
    for (along, up, forward), shift in zip(wave, phase, strict=True):
        angle = place[0] * along
        angle += place[1] * up
        angle += place[2] * forward
        angle += shift
        yield np.cos(angle, out=angle)
