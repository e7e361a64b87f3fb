"""The low-pass filter of StyleGAN2 (Karras et al., CVPR 2020) and the resampling made of it."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.core.foundation.constants import constant
from frbias.core.foundation.errors import BadInputError

_TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel() -> Tensor:
    """The 4x4 low-pass filter of all resampling, float32, sum 1."""
    taps = torch.tensor(_TAPS) / sum(_TAPS)
    return torch.outer(taps, taps)


def check_fir_kernels(module: nn.Module) -> None:
    """Refuse a checkpoint whose stored filters are not :func:`fir_kernel`, which the layers use in their place.

    Raises:
        BadInputError: A ``resample_filter`` buffer holds something else.
    """
    for name, buffer in module.named_buffers():
        if name.endswith("resample_filter") and not torch.allclose(buffer.float().cpu(), fir_kernel(), atol=1e-6):
            raise BadInputError(f"The checkpoint's filter {name} is not the [1, 3, 3, 1] filter this generator uses.")


def fir_filter(x: Tensor, padding: tuple[int, int, int, int], gain: float = 1.0) -> Tensor:
    """Filter every channel with :func:`fir_kernel` after zero padding.

    Args:
        x: (N, C, H, W).
        padding: Zeros at the left, right, top, bottom.
        gain: Factor on the result.

    Returns:
        (N, C, H + top + bottom - 3, W + left + right - 3).
    """
    channels = x.shape[1]
    taps = constant(_TAPS, x.dtype, x.device) * (math.sqrt(gain) / sum(_TAPS))
    if x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last):
        same = len(set(padding)) == 1
        kernel = torch.outer(taps, taps).expand(channels, 1, 4, 4)
        # One pass over 16 taps beats two over 4 in this layout, where it runs over the channels.
        return F.conv2d(x if same else F.pad(x, padding), kernel, padding=padding[0] if same else 0, groups=channels)
    x = F.pad(x, padding)
    x = F.conv2d(x, taps.view(1, 1, 4, 1).expand(channels, 1, 4, 1), groups=channels)
    return F.conv2d(x, taps.view(1, 1, 1, 4).expand(channels, 1, 1, 4), groups=channels)


def upsample(x: Tensor) -> Tensor:
    """Double an image (N, C, H, W) as the skip connections do: zeros in between, then the low-pass filter times 4."""
    n, c, h, w = x.shape
    if x.is_contiguous(memory_format=torch.channels_last):
        inner = x.new_zeros(n, h, 2, w, 2, c)
        inner[:, :, 0, :, 0] = x.permute(0, 2, 3, 1)
        return fir_filter(inner.view(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2), (2, 1, 2, 1), gain=4.0)
    spread = x.new_zeros(n, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = x
    return fir_filter(spread.view(n, c, 2 * h, 2 * w), (2, 1, 2, 1), gain=4.0)
