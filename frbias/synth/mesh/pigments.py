"""Skin colour as optical densities of melanin and blood (Beer-Lambert, coefficients by eye)."""

import numpy as np
import numpy.typing as npt

# Albedo = BARE * exp(-melanin * MELANIN - blood * BLOOD), per red, green, blue.
BARE = np.array([0.86, 0.725, 0.60], np.float32)
MELANIN = np.array([0.72, 1.0, 1.33], np.float32)
BLOOD = np.array([0.12, 0.95, 0.75], np.float32)
_TO_PIGMENTS = np.linalg.pinv(np.stack([MELANIN, BLOOD], axis=1).astype(np.float64))


def pigments_of(density: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Melanin and blood (..., 2) nearest to densities of red, green and blue (..., 3) in the sense of least squares."""
    return np.stack([(density * row).sum(axis=-1) for row in _TO_PIGMENTS], axis=-1)
