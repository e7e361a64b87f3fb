"""What the steps of an epoch take, ready on the device when they need it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.foundation.devices import World
from frbias.core.training.batches import EpochOrder
from frbias.core.training.cache import Features
from frbias.core.training.distributed import my_part
from frbias.core.training.plan import TrainingPlan

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """What one forward pass of training takes.

    Attributes:
        features: Output of the prefix, (n, ...).
        labels: int64 (n,).
        reference: Embeddings of the start model (n, D) where they are kept, else None.
        photographs: Features of photographs that are kept near, and what the start model says of them; None without.
        share: Its share of the batch, times the processes (their gradients are averaged).
    """

    features: torch.Tensor
    labels: torch.Tensor
    reference: torch.Tensor | None
    photographs: tuple[torch.Tensor, torch.Tensor] | None
    share: float


def epoch_parts(
    plan: TrainingPlan,
    features: Features,
    order: EpochOrder,
    first: int,
    *,
    world: World,
    reference: torch.Tensor | None,
    photographs: Iterator[tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> Iterator[Part]:
    """This process' parts of the batches of an epoch; the next are gathered and augmented while one is used.

    Args:
        plan: The training.
        features: Of its faces.
        order: The epoch.
        first: Step to begin with.
        world: Processes that share the training.
        reference: Embeddings of the start model of every training row, one view after the other, or None.
        photographs: One batch for every part, or None.
    """
    train, accumulate = plan.split.train, plan.options.accumulate
    mine: list[tuple[Rows, Rows, float]] = []
    for step in range(first, len(order.positions)):
        whole = (np.split(rows[step], accumulate) for rows in (order.positions, order.views))
        for positions, views in zip(*whole, strict=True):
            chosen, view = my_part(positions, world), my_part(views, world)
            mine.append((chosen, view, len(chosen) * world.size / len(positions) / accumulate))
    found = features.feed((train[chosen], view) for chosen, view, _ in mine)
    for (chosen, view, part), batch in zip(mine, found, strict=True):
        rows = np.searchsorted(plan.views, view) * len(train) + chosen
        both = torch.from_numpy(np.stack([plan.split.labels[chosen], rows]))  # one copy to the device for both
        labels, kept = both.to(batch.device, non_blocking=True)
        near = None if photographs is None else next(photographs)
        yield Part(batch, labels, None if reference is None else reference[kept], near, part)
