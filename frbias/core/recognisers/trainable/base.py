"""What every face recogniser of frbias is: an ordered chain of named stages.

The stages are the single truth for freezing, for layer-wise learning rates and for caching the
output of a frozen prefix: :meth:`Backbone.forward` is nothing but the stages one after the other.
"""

from collections.abc import Mapping
from itertools import chain

import torch
from torch import nn

from frbias.core.foundation.constants import constant
from frbias.core.recognisers.base import Pixels

STAGES = ("stem", "1", "2", "3", "4", "head")


class Backbone(nn.Module):
    """A face recogniser that maps aligned 112x112 RGB faces to embeddings.

    Attributes:
        architecture: Name under which :mod:`frbias.core.recognisers.loading` builds it.
        embedding_dim: Length D of an embedding.
        input_size: Height and width of the input in pixels.
        pixels: What is done to the pixels before; belongs to how the weights were trained.
    """

    architecture: str = ""
    embedding_dim: int
    input_size: int = 112
    pixels: Pixels = Pixels()

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise faces for :meth:`forward`.

        Args:
            images: uint8 RGB of shape (N, 112, 112, 3).

        Returns:
            float32 tensor of shape (N, 3, 112, 112), about -1..1, on the device of ``images``.

        Raises:
            ValueError: Another type or shape.
        """
        size = self.input_size
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != (size, size, 3):
            raise ValueError(f"expected uint8 images of shape (N, {size}, {size}, 3), got {tuple(images.shape)}")
        ordered = images if self.pixels.colour == "RGB" else images.flip(3)
        mean, scale = (_channels(v, images.device) for v in (self.pixels.mean, self.pixels.scale))
        return (ordered.permute(0, 3, 1, 2).float() - mean) / scale

    def stages(self) -> dict[str, list[nn.Module]]:
        """Modules of every stage, in order: ``stem``, ``1``, ``2``, ``3``, ``4``, ``head``."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raw embeddings (N, D), not normalised, of preprocessed faces (N, 3, 112, 112)."""
        return self.run(x, STAGES)

    def run(self, x: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
        """Pass ``x`` through the named consecutive stages; ``x`` is the input of the first of them."""
        stages = self.stages()
        for module in chain.from_iterable(stages[name] for name in names):
            x = module(x)
        return x


def stage_parameters(model: Backbone) -> dict[str, list[nn.Parameter]]:
    """Parameters of every stage, in order."""
    return {name: [p for m in modules for p in m.parameters()] for name, modules in model.stages().items()}


def stage_of_entries(model: Backbone) -> dict[str, str]:
    """Stage that every entry of the state dict belongs to."""
    names = {id(module): name for name, module in model.named_modules()}
    prefixes = [(names[id(m)] + ".", stage) for stage, modules in model.stages().items() for m in modules]
    return {key: next(stage for prefix, stage in prefixes if key.startswith(prefix)) for key in model.state_dict()}


def fix_scale(norm: nn.BatchNorm1d) -> nn.BatchNorm1d:
    """Keep the scale of a closing BatchNorm as it is; embeddings are compared by direction alone."""
    norm.weight.requires_grad_(False)
    return norm


def parameter_count(model: nn.Module) -> int:
    """Number of parameters, fixed ones included."""
    return sum(p.numel() for p in model.parameters())


def has_placeholder_norms(model: nn.Module) -> bool:
    """Whether a BatchNorm has no statistics of its own: means 0 and variances 1, but a scale that is not 1.

    An exporter that folds BatchNorm away leaves such ones behind (:mod:`frbias.core.recognisers.trainable.onnx_walk`), and
    training in eval mode does not change them.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            untouched = not bool(module.running_mean.any()) and bool((module.running_var == 1).all())
            if untouched and not bool((module.weight == 1).all()):
                return True
    return False


def _channels(values: tuple[float, float, float], device: torch.device) -> torch.Tensor:
    return constant(values, torch.float32, device).reshape(3, 1, 1)


StateDict = Mapping[str, torch.Tensor]
