"""Simulated populations shared by the tests of this package."""

import numpy as np


def population(
    images: int = 300, subjects: int = 40, dimension: int = 24, seed: int = 0, noise: float = 1.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, d) float32, subject numbers and ages (whole years) of a population worse for the young."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, subjects, images)
    ages = np.floor(rng.gamma(1.8, 12, images)).clip(0, 80)
    centres = rng.normal(size=(subjects, dimension))
    spread = noise * (1 + 0.6 * (ages < 15))[:, None]
    matrix = centres[who] + 0.4 * (ages < 15)[:, None] + spread * rng.normal(size=(images, dimension))
    return matrix.astype(np.float32), who, ages
