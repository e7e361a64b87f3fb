"""Where a face shows its age: gradients of an age classifier (DEX), smoothed and saturated into a mask."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.synth.cusp.blur import filter_separable

MaskRule = Literal["as_released_head", "intended", "off"]
MASK_RULES: tuple[MaskRule, ...] = ("as_released_head", "intended", "off")
CLASSIFIER_SIDE = 224
# Means of R, G, B that the original subtracts from B, G, R: a slip that its networks were trained with.
_MEANS = (0.48501961, 0.45795686, 0.40760392)
_GROUPS = (2, 2, 3, 3, 3)
_TINY = 1e-15


class GuidedReLU(torch.autograd.Function):
    """ReLU that lets gradients back only where both input and gradient are positive (Springenberg et al. 2015)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        """max(x, 0)."""
        ctx.save_for_backward(x > 0)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        """gradient where the input and the gradient are positive."""
        (positive,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * positive * (gradient > 0)


class AgeClassifier(nn.Module):
    """VGG-16 with an output for every year (DEX, Rothe et al., IJCV 2018).

    Args:
        widths: Channels of the five groups of convolutions.
        pooled: Height and width of the last feature map.
        hidden: Units of ``fc6`` and ``fc7``.
        outputs: Number of ages.
        guided: Use :class:`GuidedReLU`.
    """

    def __init__(
        self, widths: tuple[int, ...], pooled: int, hidden: int, outputs: int, *, guided: bool = False
    ) -> None:
        super().__init__()
        self.guided = guided
        previous = 3
        for group, (width, count) in enumerate(zip(widths, _GROUPS, strict=True), start=1):
            for index in range(1, count + 1):
                self.add_module(f"conv{group}_{index}", nn.Conv2d(previous, width, 3, padding=1))
                previous = width
        self.fc6 = nn.Linear(previous * pooled * pooled, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8_101 = nn.Linear(hidden, outputs)

    def _relu(self, x: Tensor) -> Tensor:
        return GuidedReLU.apply(x) if self.guided else F.relu(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, R, R), RGB in -1..1, to logits (N, outputs)."""
        x = x.flip(1)
        if x.shape[-1] != CLASSIFIER_SIDE or x.shape[-2] != CLASSIFIER_SIDE:
            x = F.interpolate(x, (CLASSIFIER_SIDE, CLASSIFIER_SIDE), mode="bilinear", align_corners=False)
        x = (x + 1) * 127.5 - 255 * x.new_tensor(_MEANS).view(1, 3, 1, 1)
        for group, count in enumerate(_GROUPS, start=1):
            for index in range(1, count + 1):
                x = self._relu(self.get_submodule(f"conv{group}_{index}")(x))
            x = F.max_pool2d(x, 2, 2)
        x = self._relu(self.fc6(x.flatten(1)))
        logits: Tensor = self.fc8_101(self._relu(self.fc7(x)))
        return logits


def kernel_taps(size: int, rule: MaskRule) -> int:
    """Taps of the mask's smoothing for images of ``size`` pixels: 2 floor(v / 2) + 1.

    ``intended``: v = 29/224 of the image. ``as_released_head``: v = 224/29 of it, which is what the released code
    computes, having its arguments in another order; it is so wide that the mask is 0 everywhere.
    """
    width = size * 29 / 224 if rule == "intended" else size * 224 / 29
    return 2 * math.floor(width / 2) + 1


def smoothing_line(taps: int) -> Tensor:
    """Gaussian of standard deviation 0.3 (taps / 2 - 1) + 0.8 pixels over ``taps`` taps, sum 1, float32."""
    sigma = 0.3 * (taps / 2 - 1) + 0.8
    distance = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    line = torch.exp(-(distance**2) / (2 * sigma**2))
    return (line / line.sum()).float()


def mask_is_zero(size: int, rule: MaskRule) -> bool:
    """Whether the mask is 0 everywhere for every gradient map that is not 0 everywhere.

    The smoothed map is a mixture, with weights that are not negative, of smoothed single pixels. Its minimum is at
    least the mixture of their minima and its standard deviation at most the mixture of theirs, so that
    min > 2 std for every single pixel means the same for every map; then everything saturates.
    """
    if rule == "off":
        return True
    taps = kernel_taps(size, rule)
    if taps < 2 * size:  # a pixel in one corner does not reach the other
        return False
    line = smoothing_line(taps).double()
    centre = taps // 2
    rows = torch.stack([line[centre - p : centre - p + size] for p in range(size)])
    low, mean, square = rows.amin(dim=1), rows.mean(dim=1), rows.square().mean(dim=1)
    minimum = low[:, None] * low[None, :]
    count = size * size
    variance = (square[:, None] * square[None, :] - (mean[:, None] * mean[None, :]).square()) * count / (count - 1)
    return bool((minimum > 2 * variance.clamp_min(0).sqrt()).all())


def gradient_map(classifier: AgeClassifier, images: Tensor, *, score: Literal["sum", "max"] = "sum") -> Tensor:
    """Mean over the colours of the absolute gradient of the score, scaled to unit standard deviation.

    Args:
        classifier: The age classifier.
        images: (N, 3, R, R), RGB in -1..1.
        score: ``sum`` of all logits, as the released pipeline computes it, or the ``max`` logit.

    Returns:
        (N, 1, R, R), not negative.
    """
    with torch.enable_grad():
        x = images.detach().clone().requires_grad_(True)
        logits = classifier(x)
        value = logits.sum() if score == "sum" else logits.amax(dim=1).sum()
        (gradient,) = torch.autograd.grad(value, x)
    magnitude = gradient.abs().mean(dim=1, keepdim=True)
    return magnitude / (magnitude.std(dim=(1, 2, 3), keepdim=True) + _TINY)


def saturated_mask(gradients: Tensor, rule: MaskRule) -> Tensor:
    """Mask of gradient maps (N, 1, R, R): 1 where the structure is kept, 0 where it may change.

    The map is smoothed; what reaches twice the smoothed map's standard deviation is 0.
    """
    size = gradients.shape[-1]
    smooth = filter_separable(gradients, _reachable(smoothing_line(kernel_taps(size, rule)), size))
    top = 2 * smooth.std(dim=(1, 2, 3), keepdim=True) + _TINY
    return 1 - torch.minimum(smooth, top) / top


def _reachable(line: Tensor, size: int) -> Tensor:
    """The middle of a line, as far as a picture of ``size`` pixels reaches; the rest meets zeros alone."""
    half = min(line.numel() // 2, size - 1)
    centre = line.numel() // 2
    return line[centre - half : centre + half + 1]
