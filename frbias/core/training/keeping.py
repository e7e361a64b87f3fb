"""Photographs on which a network that is trained on something else is held near the start model, labels not needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.foundation.devices import World
from frbias.core.training.augment import ORIGINAL
from frbias.core.training.cache import Features
from frbias.core.training.distributed import my_part
from frbias.core.training.options import FinetuneOptions


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

    def batches(
        self, epoch: int, steps: Iterable[int], options: FinetuneOptions, world: World
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """For every part of every step: features (n, ...) of this process' rows, and what the start model says of them, (n, D)."""
        parts = [
            my_part(part, world)
            for step in steps
            for part in np.split(self.drawn(epoch, step, options.batch_size), options.accumulate)
        ]
        found = self.features.feed((rows, np.full(len(rows), ORIGINAL, np.int64)) for rows in parts)
        for rows, features in zip(parts, found, strict=True):
            yield features, self.reference[torch.from_numpy(rows).to(features.device, non_blocking=True)]
