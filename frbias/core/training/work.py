"""How much there is to compute in a training, counted in images, and about how long that takes."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.training.cache import Prefix
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.step import tail_embeddings

_BACKWARD_COST = 3.0  # forward and backward together, in forward passes
_SAMPLE = 16  # images that are timed
_SHORT = 20.0  # seconds; of what takes less nobody needs a better estimate


@dataclass(frozen=True)
class Work:
    """Images that pass through the network.

    Attributes:
        trained: Forward and backward, in all epochs.
        looked_at: Forward alone: first class centres, what the start model says, validation, evaluation.
        kept: To fill the cache of the frozen prefix, if there is one.
    """

    trained: int
    looked_at: int
    kept: int

    @property
    def uncached(self) -> int:
        """Passes through the prefix when nothing is kept."""
        return self.trained + self.looked_at


def count_work(
    options: FinetuneOptions,
    *,
    steps: int,
    images: int,
    train: int,
    validation: int,
    evaluation: int,
    views: int,
    photographs: int = 0,
) -> Work:
    """Count the images.

    Args:
        options: The options.
        steps: Steps of an epoch.
        images: Images of the training set, held-out ones included.
        train: Those that are trained on.
        validation: Those that validation looks at.
        evaluation: Images of the evaluation set.
        views: Fixed views of an image; 0 when there is a new one each time.
        photographs: Photographs that are held near the start model; as many as a batch has pass in each step.
    """
    epochs = options.epochs
    evaluations = 1 + epochs // options.eval_every + (epochs % options.eval_every > 0)
    looked_at = validation * (epochs + 1) + evaluation * evaluations + photographs
    looked_at += train if options.centres == "means" else 0
    if options.keep:
        looked_at += train * views if views else steps * options.batch_size * epochs
    trained = steps * options.batch_size * epochs * (2 if photographs else 1)
    return Work(trained, looked_at, images * views + evaluation + photographs)


@torch.no_grad()
def seconds_of(
    work: Work, model: Backbone, tail: tuple[str, ...], prefix: Prefix, amp: str, *, cached: bool, processes: int
) -> float:
    """Seconds for all of it, from the time that a few images take.

    Args:
        work: The images.
        model: The network.
        tail: Its trained stages.
        prefix: Its frozen stages.
        amp: Arithmetic of the trained stages.
        cached: Whether the output of the prefix is kept.
        processes: Processes that share the work.
    """

    def now() -> float:
        if prefix.device.type == "cuda":
            torch.cuda.synchronize(prefix.device)
        return time.perf_counter()

    faces = np.zeros((_SAMPLE, model.input_size, model.input_size, 3), np.uint8)
    through_prefix = work.kept if cached else work.uncached
    through_tail = work.trained * _BACKWARD_COST + work.looked_at
    taken: list[float] = []
    while len(taken) < 3:  # the first time is slow, so it says enough only of work that is done in no time
        start = now()
        features = prefix(faces)
        middle = now()
        tail_embeddings(model, features, tail, amp)
        spent = (middle - start) * through_prefix + (now() - middle) * through_tail
        taken.append(spent / len(faces) / processes)
        if taken[0] < _SHORT:
            break
    return min(taken)
