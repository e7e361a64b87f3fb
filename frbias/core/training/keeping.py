"""Photographs on which a network that is trained on something else is held near the start model, labels not needed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.training.augment import ORIGINAL
from frbias.core.training.cache import Features


@dataclass(frozen=True, eq=False)
class KeptPhotographs:
    """Photographs and what the start model says of them.

    Attributes:
        features: Of the photographs.
        reference: Embeddings by the start model, (n, D).
        seed: Of the draws.
    """

    features: Features
    reference: torch.Tensor
    seed: int

    def drawn(self, epoch: int, step: int, count: int) -> npt.NDArray[np.int64]:
        """``count`` rows for a step, different ones as long as there are enough; the same every time."""
        rng = np.random.default_rng([self.seed, 3, epoch, step])
        rows = len(self.reference)
        return rng.choice(rows, size=count, replace=rows < count)

    def batch(self, rows: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (n, ...) of rows, and what the start model says of them, (n, D)."""
        return self.features.batch(rows, np.full(len(rows), ORIGINAL, np.int64)), self.reference[torch.from_numpy(rows)]
