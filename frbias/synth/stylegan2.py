"""Layers of StyleGAN2 (Karras et al., CVPR 2020) as CUSP and EG3D use them, for inference.

Parameter names and shapes are those of published checkpoints, so that state dicts load as they are.
Stored weights have unit scale; the equalised learning-rate gains are applied when they are used.
Order within a layer: convolution, demodulation, noise, bias, leaky ReLU, gain sqrt(2), clamp.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.synth.resampling import fir_filter, fir_kernel, upsample

ACTIVATION_GAIN = math.sqrt(2.0)
LEAKY_SLOPE = 0.2

# What is added to feature maps: each layer's stored constant, nothing, or whatever a function gives for a
# resolution (standard normal, broadcastable to (N, 1, resolution, resolution); called in the order of the layers).
Noise = Literal["const", "none"] | Callable[[int], Tensor]


def normalize_features(x: Tensor) -> Tensor:
    """Scale the last axis to unit mean square: x / sqrt(mean(x^2) + 1e-8)."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-8)


class FullyConnected(nn.Module):
    """Equalised linear layer: y = x (W lr / sqrt(in))^T + b lr, then optionally leaky ReLU times sqrt(2).

    Args:
        inputs: Features in.
        outputs: Features out.
        lr_multiplier: Gain on weight and bias (0.01 in mapping networks, whose stored weights are 100 times larger).
        activate: Apply the activation.
        bias: Have a bias.
        bias_init: Value the bias starts with (before the gain).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        lr_multiplier: float = 1.0,
        activate: bool = False,
        bias: bool = True,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init / lr_multiplier)) if bias else None
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs), dtype of ``x``."""
        bias = None if self.bias is None else self.bias.to(x.dtype) * self.bias_gain
        x = F.linear(x, self.weight.to(x.dtype) * self.weight_gain, bias)
        return F.leaky_relu(x, LEAKY_SLOPE) * ACTIVATION_GAIN if self.activate else x


class Mapping(nn.Module):
    """Mapping network: latent and/or condition to a style vector.

    Args:
        z_dim: Size of the latent.
        c_dim: Size of the condition, 0 for none.
        w_dim: Size of the style vector.
        layers: Number of fully connected layers (``fc0`` ...), learning-rate multiplier 0.01.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.embed = FullyConnected(c_dim, w_dim) if c_dim else None
        sizes = [z_dim + (w_dim if c_dim else 0)] + [w_dim] * layers
        for i in range(layers):
            self.add_module(f"fc{i}", FullyConnected(sizes[i], sizes[i + 1], lr_multiplier=0.01, activate=True))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim) and conditions (N, c_dim) to styles (N, w_dim).

        Computed in double precision, which costs next to nothing here, so that styles are the same on every device
        but for the last bit of a float32.
        """
        x = normalize_features(z.double())
        if self.embed is not None:
            if c is None:
                raise ValueError("this mapping network needs a condition")
            x = torch.cat([x, normalize_features(self.embed(c.double()))], dim=1)
        for i in range(self.layers):
            x = self.get_submodule(f"fc{i}")(x)
        return x.to(self.w_avg.dtype)


def truncate(ws: Tensor, average: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Pull styles towards the average (the truncation trick).

    Args:
        ws: (N, num_ws, w_dim).
        average: (w_dim,).
        psi: 1 leaves everything as it is, 0 gives the average.
        cutoff: Number of leading styles to change; None for all.
    """
    if psi == 1:
        return ws
    count = ws.shape[1] if cutoff is None else cutoff
    return torch.cat([average.lerp(ws[:, :count], psi), ws[:, count:]], dim=1)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution with demodulation, noise, bias, activation and clamp.

    A single image has its style and demodulation folded into the weight; in a batch, activations are scaled
    instead, so that all images share one weight (equal up to rounding). In half precision the weight and the
    style are normalised first, which demodulation cancels exactly, to keep products in range. On the CPU feature
    maps are channels-last, which spares the transposed convolution a rearrangement as long as its arithmetic.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        w_dim: Size of the style vector.
        resolution: Height and width of the output.
        up: Double the resolution.
        clamp: Limit of the absolute value of the output; None for no limit.
        bias: Have a bias here and in the affine layer that makes the style.
    """

    noise_const: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        *,
        up: bool = False,
        clamp: float | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.resolution, self.up, self.clamp = resolution, up, clamp
        self.affine = FullyConnected(w_dim, inputs, bias=bias, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.register_buffer("resample_filter", fir_kernel())
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]))

    def forward(self, x: Tensor, w: Tensor, noise: Noise = "none") -> Tensor:
        """(N, inputs, H, H) and styles (N, w_dim) -> (N, outputs, resolution, resolution), dtype of ``x``."""
        if x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)
        style = self.affine(w)
        weight: Tensor = self.weight
        if x.dtype != torch.float32:
            weight = weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel()))
            style = style / style.abs().amax(dim=1, keepdim=True)
        demodulation = torch.rsqrt(style.square() @ weight.square().sum(dim=(2, 3)).t() + 1e-8)
        # The gain goes before the leaky ReLU, which it commutes with: here into the demodulation, below into
        # noise and bias.
        demodulation = demodulation * ACTIVATION_GAIN
        added = self._added(noise, x)
        if len(x) == 1:
            weight = weight * style.view(1, -1, 1, 1) * demodulation.view(-1, 1, 1, 1)
            if not self.up and added.numel() == added.shape[1]:
                x = F.conv2d(x, weight.to(x.dtype), added.flatten(), padding=1)
            else:
                x = self._convolve(x, weight.to(x.dtype)).add_(added)
        else:
            x = self._convolve(x * style.to(x.dtype)[:, :, None, None], weight.to(x.dtype))
            x = torch.addcmul(added, x, demodulation.to(x.dtype)[:, :, None, None])
        x = F.leaky_relu_(x, LEAKY_SLOPE)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if not self.up:
            return F.conv2d(x, weight, padding=1)
        # The weight is not flipped: a true (zero-insertion) convolution, unlike everywhere else.
        weight = weight.transpose(0, 1)
        if x.device.type == "cpu":
            weight = weight.contiguous(memory_format=torch.channels_last)
        x = F.conv_transpose2d(x, weight, stride=2)
        return fir_filter(x, (1, 1, 1, 1), gain=4.0)

    def _added(self, noise: Noise, x: Tensor) -> Tensor:
        bias = self.weight.new_zeros(self.weight.shape[0]) if self.bias is None else self.bias
        added = (bias * ACTIVATION_GAIN).to(x.dtype).view(1, -1, 1, 1)
        if noise == "none":
            return added
        plane = self.noise_const if noise == "const" else noise(self.resolution)
        plane = plane.to(x.device) * (self.noise_strength * ACTIVATION_GAIN)
        return added + plane.view(-1, 1, self.resolution, self.resolution).to(x.dtype)


class ToImage(nn.Module):
    """Modulated 1x1 convolution to image channels, without demodulation, noise or activation (``torgb``).

    Args:
        inputs: Channels in.
        outputs: Image channels.
        w_dim: Size of the style vector.
        clamp: Limit of the absolute value of the output; None for no limit.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, *, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_gain = 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, inputs, H, W) and styles (N, w_dim) -> (N, outputs, H, W), dtype of ``x``."""
        style = self.affine(w) * self.weight_gain
        if len(x) == 1:
            weight = self.weight * style.view(1, -1, 1, 1)
        else:
            x, weight = x * style.to(x.dtype)[:, :, None, None], self.weight
        x = F.conv2d(x, weight.to(x.dtype), self.bias.to(x.dtype))
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution of the 'skip' architecture: ``conv0`` (doubling), ``conv1``, and ``torgb`` onto the image.

    Args:
        inputs: Channels in; 0 for the first block, which starts from a learnt constant and has no ``conv0``.
        outputs: Channels out.
        w_dim: Size of the style vectors.
        resolution: Height and width of the output.
        image_channels: Channels of the image.
        clamp: Limit of the absolute value of layer outputs.
        bias: Whether ``conv0`` and ``conv1`` (and their affine layers) have biases.
        up: Whether ``conv0`` and the image are doubled.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        image_channels: int,
        *,
        clamp: float | None = None,
        bias: bool = True,
        up: bool = True,
    ) -> None:
        super().__init__()
        self.inputs, self.up = inputs, up
        self.dtype = torch.float32
        self.register_buffer("resample_filter", fir_kernel())
        if inputs:
            self.conv0 = StyledConv(inputs, outputs, w_dim, resolution, up=up, clamp=clamp, bias=bias)
        else:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        self.conv1 = StyledConv(outputs, outputs, w_dim, resolution, clamp=clamp, bias=bias)
        self.torgb = ToImage(outputs, image_channels, w_dim, clamp=clamp)

    @property
    def slots(self) -> int:
        """Styles the block takes: one per layer, ``torgb`` last."""
        return 3 if self.inputs else 2

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Tensor, noise: Noise = "none"
    ) -> tuple[Tensor, Tensor]:
        """One step up.

        Args:
            x: Features (N, inputs, H, H); ignored by the first block.
            image: Image so far (N, image_channels, H, H), float32; None to start one.
            ws: Styles (N, slots, w_dim), float32.
            noise: What is added to the features.

        Returns:
            Features (N, outputs, resolution, resolution) in :attr:`dtype`, and the image at that size in float32.
        """
        styles = iter(ws.unbind(dim=1))
        if self.inputs:
            if x is None:
                raise ValueError("only the first block starts from its constant")
            x = self.conv0(x.to(self.dtype), next(styles), noise)
        else:
            x = self.const.to(self.dtype).expand(len(ws), -1, -1, -1)
        x = self.conv1(x, next(styles), noise)
        mine = self.torgb(x, next(styles)).float()
        if image is None:
            return x, mine
        return x, mine.add_(upsample(image) if self.up else image)


class DownConv(nn.Module):
    """3x3 convolution that halves the resolution: low-pass filter, stride 2, bias, activation; no clamp.

    Args:
        inputs: Channels in.
        outputs: Channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", fir_kernel())
        self.weight_gain = ACTIVATION_GAIN / math.sqrt(9 * inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
        x = fir_filter(x, (2, 2, 2, 2))
        x = F.conv2d(x, self.weight * self.weight_gain, self.bias * ACTIVATION_GAIN, stride=2)
        return F.leaky_relu(x, LEAKY_SLOPE)
