"""Where a face shows its age: gradients of an age classifier (DEX), smoothed and saturated into a mask."""

import math
from typing import Literal

import torch
from torch import Tensor

from frbias.core.faces.dex import AgeClassifier
from frbias.synth.cusp.blur import filter_separable

MaskRule = Literal["as_released_head", "intended", "off"]
MASK_RULES: tuple[MaskRule, ...] = ("as_released_head", "intended", "off")
_TINY = 1e-15


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
