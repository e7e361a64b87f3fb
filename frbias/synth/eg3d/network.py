"""The networks of EG3D (Chan et al., CVPR 2022): mapping, tri-plane backbone, decoder, super-resolution.

Module names are those of the published state dicts. Age acts only through the mapping network: stock EG3D
and age-EG3D differ in nothing but the size of its condition.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.synth.eg3d.config import Eg3dConfig, SuperResolutionConfig
from frbias.synth.resampling import fir_kernel
from frbias.synth.stylegan2 import FullyConnected, Mapping, Noise, SynthesisBlock, truncate


class Backbone(nn.Module):
    """StyleGAN2 whose 'image' is three feature planes.

    Args:
        config: Shape of the generator.
    """

    def __init__(self, config: Eg3dConfig) -> None:
        super().__init__()
        self.resolutions = sorted(config.channels)
        self.synthesis = nn.Module()
        inputs = 0
        for resolution in self.resolutions:
            outputs = config.channels[resolution]
            block = SynthesisBlock(
                inputs, outputs, config.w_dim, resolution, 3 * config.plane_channels, clamp=config.clamp
            )
            self.synthesis.add_module(f"b{resolution}", block)
            inputs = outputs
        self.mapping = Mapping(config.z_dim, config.c_dim, config.w_dim, config.mapping_layers)

    def forward(self, ws: Tensor, noise: Noise) -> Tensor:
        """Styles (N, num_ws, w_dim) -> planes (N, 3 * plane_channels, R, R), float32."""
        x: Tensor | None = None
        image: Tensor | None = None
        first = 0
        for resolution in self.resolutions:
            block = self.synthesis.get_submodule(f"b{resolution}")
            slots = 3 if first else 2
            x, image = block(x, image, ws[:, first : first + slots], noise)
            first += slots - 1  # torgb shares its style with the next block's first layer
        if image is None:
            raise ValueError("a backbone needs at least one block")
        return image


class Decoder(nn.Module):
    """Two fully connected layers from plane features to density and colours.

    Args:
        config: Shape of the generator.
    """

    def __init__(self, config: Eg3dConfig) -> None:
        super().__init__()
        gain = config.rendering.decoder_lr_mul
        self.net = nn.Sequential(
            FullyConnected(config.plane_channels, config.decoder_width, lr_multiplier=gain),
            nn.Softplus(),
            FullyConnected(config.decoder_width, 1 + config.colours, lr_multiplier=gain),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (..., plane_channels), averaged over planes -> raw densities (..., 1), colours (..., colours).

        Colours are in (-0.001, 1.001).
        """
        raw = self.net(features)
        return raw[..., :1], colour(raw[..., 1:])


def colour(raw: Tensor) -> Tensor:
    """Raw colours to (-0.001, 1.001), as in mip-NeRF (Barron et al., ICCV 2021)."""
    return torch.sigmoid(raw) * 1.002 - 0.001


class SuperResolution(nn.Module):
    """Two StyleGAN2 blocks from the feature image to the finished image.

    Args:
        config: Shape of the network.
        features: Channels of the feature image.
        w_dim: Size of the style vector; the last style of the backbone feeds all layers.
        antialias: Low-pass when the feature image has to be shrunk.
        noise: Noise of all layers.
    """

    def __init__(
        self, config: SuperResolutionConfig, features: int, w_dim: int, *, antialias: bool, noise: Noise
    ) -> None:
        super().__init__()
        self.input_resolution, self.antialias, self.noise = config.input_resolution, antialias, noise
        if config.own_filter:
            self.register_buffer("resample_filter", fir_kernel())
        first, second = config.channels
        low, high = config.resolutions
        self.block0 = SynthesisBlock(features, first, w_dim, low, 3, clamp=config.clamp, up=config.first_up)
        self.block1 = SynthesisBlock(first, second, w_dim, high, 3, clamp=config.clamp)

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Run the blocks in ``dtype`` (float32, float16, bfloat16); images stay float32."""
        self.block0.dtype = self.block1.dtype = dtype

    def resized(self, features: Tensor) -> Tensor:
        """A feature image (N, C, R, R) at the input resolution (bilinear)."""
        size = self.input_resolution
        if features.shape[-1] == size:
            return features
        return F.interpolate(features, (size, size), mode="bilinear", align_corners=False, antialias=self.antialias)

    def first(self, features: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Output of the first block: features and image."""
        x = self.resized(features)
        x, image = self.block0(x, x[:, :3], self._styles(w), self.noise)
        return x, image

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Feature image (N, C, R, R) and styles (N, w_dim) -> image (N, 3, S, S), about -1..1, not clamped."""
        x, image = self.first(features, w)
        image = self.block1(x, image, self._styles(w), self.noise)[1]
        return image

    def _styles(self, w: Tensor) -> Tensor:
        return w.unsqueeze(1).expand(-1, 3, -1)


class TriPlaneGenerator(nn.Module):
    """All networks of one generator, under the names of its state dict.

    Args:
        config: Its shape.
    """

    dataset_label_std: Tensor

    def __init__(self, config: Eg3dConfig) -> None:
        super().__init__()
        self.config = config
        rendering = config.rendering
        self.register_buffer("dataset_label_std", torch.ones(config.c_dim))
        self.backbone = Backbone(config)
        self.superresolution = SuperResolution(
            config.superresolution,
            config.colours,
            config.w_dim,
            antialias=rendering.sr_antialias,
            noise=rendering.superresolution_noise_mode,
        )
        self.decoder = Decoder(config)

    def styles(self, z: Tensor, c: Tensor, *, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Latents (N, z_dim) and conditions (N, c_dim) to styles (N, num_ws, w_dim)."""
        rendering = self.config.rendering
        c = torch.zeros_like(c) if rendering.c_gen_conditioning_zero else c * rendering.c_scale
        w: Tensor = self.backbone.mapping(z, c)
        ws = w.unsqueeze(1).expand(-1, self.config.num_ws, -1)
        return truncate(ws, self.backbone.mapping.w_avg, psi, cutoff)

    def planes(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """Styles (N, num_ws, w_dim) to planes (N, 3, plane_channels, R, R); they do not depend on the view."""
        planes: Tensor = self.backbone(ws, noise)
        return planes.unflatten(1, (3, self.config.plane_channels))
