"""Exponential moving average of the trained weights."""

import torch

from frbias.core.recognisers.trainable.base import Backbone, stage_of_entries


class MovingAverage:
    """Average of the entries of the trained stages, slow to start so that early weights do not linger.

    Args:
        model: The model that is trained.
        frozen: Stages left out.
        decay: Highest weight of the old average at a step; step t uses min(decay, (1 + t) / (10 + t)).
    """

    def __init__(self, model: Backbone, frozen: tuple[str, ...], decay: float) -> None:
        stages = stage_of_entries(model)
        self.decay = decay
        self.average = {
            name: value.detach().clone()
            for name, value in model.state_dict().items()
            if stages[name] not in frozen and value.is_floating_point()
        }

    @torch.no_grad()
    def update(self, model: Backbone, step: int) -> None:
        """Take in the weights after step ``step`` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = model.state_dict()
        for name, value in self.average.items():
            value.lerp_(current[name], 1.0 - decay)

    @torch.no_grad()
    def swap(self, model: Backbone) -> None:
        """Exchange the weights of the model with the average; twice gives them back."""
        current = model.state_dict()
        for name, value in self.average.items():
            mine = value.clone()
            value.copy_(current[name])
            current[name].copy_(mine)
