"""Which stages stay as they are, and what follows from it."""

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from frbias.core.recognisers.trainable.base import STAGES, Backbone, stage_parameters


@dataclass(frozen=True)
class Freezing:
    """How the stages of a backbone are treated.

    Attributes:
        frozen: Stages that stay as they are.
        prefix: Leading frozen stages: a constant function of the image, so its output can be kept.
        tail: The stages after the prefix, frozen ones in between included.
    """

    frozen: tuple[str, ...]
    prefix: tuple[str, ...]
    tail: tuple[str, ...]


def freezing(frozen: tuple[str, ...]) -> Freezing:
    """Split the stages into a frozen prefix and the tail."""
    length = next(i for i, stage in enumerate(STAGES) if stage not in frozen)
    return Freezing(frozen, STAGES[:length], STAGES[length:])


def freeze(model: Backbone, frozen: tuple[str, ...]) -> None:
    """Switch off gradients of the frozen stages; those of the others are as the architecture wants them."""
    for stage, parameters in stage_parameters(model).items():
        if stage in frozen:
            for parameter in parameters:
                parameter.requires_grad_(False)


def set_modes(model: Backbone, frozen: tuple[str, ...], *, frozen_bn: str, trained_bn: str) -> None:
    """Put the model in train mode with the BatchNorms as asked for (``eval`` keeps their statistics)."""
    for stage, modules in model.stages().items():
        norm_mode = (frozen_bn if stage in frozen else trained_bn) == "train"
        for module in (m for top in modules for m in top.modules()):
            module.training = norm_mode if isinstance(module, _BatchNorm) else stage not in frozen


def has_batch_norm(modules: list[nn.Module]) -> bool:
    """True when a BatchNorm is among the modules or inside them."""
    return any(isinstance(m, _BatchNorm) for top in modules for m in top.modules())


def stage_table(model: Backbone, frozen: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """For every stage: name, number of trained parameters, number of fixed parameters."""
    rows = []
    for stage, parameters in stage_parameters(model).items():
        trained = 0 if stage in frozen else sum(p.numel() for p in parameters if p.requires_grad)
        rows.append((stage, trained, sum(p.numel() for p in parameters) - trained))
    return rows
