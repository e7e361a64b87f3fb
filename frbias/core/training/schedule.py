"""Learning rates: which parameters get which, and how it changes over the steps. Nothing here has state."""

import math
from typing import Any

from torch import nn, optim
from torch.nn.modules.batchnorm import _BatchNorm

from frbias.core.recognisers.trainable.base import STAGES, Backbone
from frbias.core.training.losses import IdentityLoss
from frbias.core.training.options import FinetuneOptions

_STEPS_AT, _STEP_FACTOR, _POLY_POWER = (0.5, 0.75), 0.1, 2.0
LOSS = "loss"


def rate(step: int, total: int, options: FinetuneOptions, steps_per_epoch: int) -> float:
    """Factor on the learning rate at a step, 0..1.

    Args:
        step: Steps done before this one, 0..total - 1.
        total: Steps of the whole training.
        options: ``schedule`` (half a cosine to 0; polynomial of power 2 to 0; a tenth at a half and again at
            three quarters; constant) and ``warmup`` in epochs.
        steps_per_epoch: Steps of an epoch.
    """
    warmup = min(round(options.warmup * steps_per_epoch), total - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / (total - warmup)
    if options.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done))
    if options.schedule == "poly":
        return (1.0 - done) ** _POLY_POWER
    if options.schedule == "step":
        return _STEP_FACTOR ** sum(done >= at for at in _STEPS_AT)
    return 1.0


def parameter_groups(model: Backbone, loss: IdentityLoss, options: FinetuneOptions) -> list[dict[str, Any]]:
    """Groups for the optimiser, each with its own highest rate ``peak`` and weight decay.

    Weight decay leaves BatchNorm, PReLU and biases out unless ``decay_all``. A stage k steps before the head
    gets ``layer_decay ** k`` of the rate.
    """
    groups: list[dict[str, Any]] = []
    for stage, modules in model.stages().items():
        peak = options.peak_lr * options.layer_decay ** (len(STAGES) - 1 - STAGES.index(stage))
        decayed, plain = _by_decay(modules, options.decay_all)
        for parameters, decay in ((decayed, options.weight_decay), (plain, 0.0)):
            if parameters:
                groups.append({"params": parameters, "peak": peak, "weight_decay": decay, "stage": stage})
    own = {"params": list(loss.parameters()), "peak": options.peak_lr * options.centre_lr, "stage": LOSS}
    return [*groups, {**own, "weight_decay": options.weight_decay}] if own["params"] else groups


def make_optimiser(groups: list[dict[str, Any]], options: FinetuneOptions) -> optim.Optimizer:
    """SGD with momentum or AdamW over ``groups``; one pass over the memory of each parameter (``fused``)."""
    if options.optimiser == "adamw":
        return optim.AdamW(groups, lr=options.peak_lr, fused=True)
    return optim.SGD(groups, lr=options.peak_lr, momentum=options.momentum, fused=True)


def set_rate(optimiser: optim.Optimizer, factor: float) -> None:
    """Set every group to ``factor`` of its highest rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def _by_decay(modules: list[nn.Module], decay_all: bool) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for module in (m for top in modules for m in top.modules()):
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            spared = name == "bias" or isinstance(module, _BatchNorm | nn.PReLU)
            (plain if spared and not decay_all else decayed).append(parameter)
    return decayed, plain
