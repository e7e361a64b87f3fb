"""The smooth step, by which one part of the head passes into another."""

from typing import Any

import numpy as np
import numpy.typing as npt


def smooth_step(values: npt.NDArray[np.floating], low: Any, high: Any) -> npt.NDArray[np.floating]:
    """0 below ``low``, 1 above ``high``, a cubic without kinks between; shape and type of ``values``.

    ``low`` and ``high`` are numbers or arrays that go with ``values``.
    """
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
