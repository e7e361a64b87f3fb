"""Tile products on a CUDA device; torch is imported when one is made.

TF32 is off, so products are true float32. Scores of a device differ from the CPU's in the last bits; counts are
exact for the scores of the device that made them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.devices import exact_arithmetic
from frbias.core.verification.scores.scan import TILE, TileProduct

Float32 = npt.NDArray[np.float32]


def device_product(device: str) -> Callable[[Float32], TileProduct]:
    """Maker of a tile product on ``device`` (``cuda``, ``cuda:1``, or ``cpu`` for tests).

    The result goes to ``compare_all(product=...)``.
    """

    def make(vectors: Float32) -> TileProduct:
        import torch

        exact_arithmetic()
        held: Any = torch.from_numpy(vectors).to(device)

        def product(row: int, column: int, out: Float32) -> Float32:
            left, right = held[row * TILE : (row + 1) * TILE], held[column * TILE : (column + 1) * TILE]
            torch.from_numpy(out).copy_(left @ right.T)
            return out

        return product

    return make
