"""The CUSP network (Gomez-Trenado et al., Custom Structure Preservation in Face Aging, ECCV 2022), for inference."""

import torch
from torch import Tensor, nn

from frbias.synth.cusp.blur import bank_line, filter_separable
from frbias.synth.cusp.config import CuspConfig
from frbias.synth.stylegan2 import DownConv, Mapping, Noise, SynthesisBlock

IMAGE_CHANNELS = 3


class Encoder(nn.Module):
    """Five halving convolutions; always float32, never clamped."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        sizes = [IMAGE_CHANNELS, *channels]
        for i in range(len(channels)):
            self.add_module(f"conv{i}", DownConv(sizes[i], sizes[i + 1]))
        self.levels = len(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (N, 3, R, R) to the outputs of all levels, finest first: (N, c_i, R / 2^(i+1), R / 2^(i+1))."""
        outputs = []
        for i in range(self.levels):
            x = self.get_submodule(f"conv{i}")(x)
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    """Blocks of the 'skip' architecture that start from the content and take one skip connection on the way."""

    def __init__(self, config: CuspConfig) -> None:
        super().__init__()
        self.skip_block, self.resolutions = config.skip_block, config.block_resolutions
        inputs = config.encoder_channels[-1]
        for i, (resolution, channels) in enumerate(zip(config.block_resolutions, config.block_channels, strict=True)):
            extra = config.encoder_channels[config.skip_level] if i == config.skip_block else 0
            block = SynthesisBlock(
                inputs + extra, channels, config.style_dim, resolution, IMAGE_CHANNELS, clamp=config.clamp, bias=False
            )
            self.add_module(f"b{resolution}", block)
            inputs = channels

    def blocks(self) -> list[SynthesisBlock]:
        """The blocks, coarsest first."""
        found = [self.get_submodule(f"b{resolution}") for resolution in self.resolutions]
        return [block for block in found if isinstance(block, SynthesisBlock)]

    def forward(self, content: Tensor, skip: Tensor, ws: Tensor, noise: Noise) -> Tensor:
        """Decode.

        Args:
            content: Coarsest content features (N, c, R / 32, R / 32).
            skip: Blurred skip (N, c_skip, ...).
            ws: Codes, three slots a block: (N, 3 * blocks, style_dim).
            noise: Of the feature maps.

        Returns:
            Image (N, 3, R, R), float32, not clamped.
        """
        x, image = content, None
        for i, block in enumerate(self.blocks()):
            if i == self.skip_block:
                x = torch.cat([x.float(), skip], dim=1)
            x, image = block(x, image, ws[:, 3 * i : 3 * i + 3], noise)
        if image is None:
            raise ValueError("the decoder has no blocks")
        return image


class CuspNetwork(nn.Module):
    """Encoders, codes, blur bank and decoder under the names of released checkpoints (140 entries)."""

    blur_list: Tensor

    def __init__(self, config: CuspConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("blur_list", torch.zeros(config.blurs, config.blur_taps, config.blur_taps))
        self.content_enc = Encoder(config.encoder_channels)
        self.style_enc = Encoder(config.encoder_channels)
        self.style_map = Mapping(config.encoder_channels[-1], 0, config.style_dim, config.style_layers)
        self.attr_map = Mapping(config.labels, 0, config.style_dim, config.attr_layers)
        self.image_dec = Decoder(config)

    def blur(self, skip: Tensor, strength: float) -> Tensor:
        """Blur a skip (N, C, H, W) with the bank's entry for ``strength`` (0..1), zeros outside."""
        return filter_separable(skip, bank_line(self.blur_list, strength))

    def style_code(self, x: Tensor) -> Tensor:
        """Style codes (N, style_dim) of images (N, 3, R, R)."""
        code: Tensor = self.style_map(self.style_enc(x)[-1].mean(dim=(2, 3)))
        return code

    def age_codes(self, labels: Tensor) -> Tensor:
        """Codes (n, style_dim) of integer labels (n,)."""
        one_hot = torch.nn.functional.one_hot(labels, self.config.labels).float()
        code: Tensor = self.attr_map(one_hot)
        return code

    def slots(self, style: Tensor, age: Tensor) -> Tensor:
        """Codes of all layers: per block age, style, style; (N, 3 * blocks, style_dim)."""
        return torch.stack([age, style, style] * len(self.config.block_resolutions), dim=1)

    def merge_skip(self, skip: Tensor, mask: Tensor | None, global_blur: float, mask_blur: float) -> Tensor:
        """The skip that is decoded: lightly blurred where the mask is 1, blurred again where it is 0.

        Args:
            skip: Encoder output (N, C, H, W).
            mask: (N, 1, R, R) in 0..1 at image resolution, averaged down to the skip; None: 0 everywhere.
            global_blur: Strength of the first blur.
            mask_blur: Strength of the second, of what is blurred already.
        """
        light = self.blur(skip, global_blur)
        strong = self.blur(light, mask_blur)
        if mask is None:
            return strong
        small = nn.functional.adaptive_avg_pool2d(mask, (skip.shape[-2], skip.shape[-1]))
        return light * small + strong * (1 - small)
