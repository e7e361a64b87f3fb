"""Shape of a CUSP network, read from its tensors; only what tensors cannot tell comes from the checkpoint's options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from frbias.core.foundation.errors import BadInputError

DEFAULT_CLAMP = 256.0
DEFAULT_FP16_BLOCKS = 4
_BLOCK = re.compile(r"image_dec\.b(\d+)\.conv1\.weight")


@dataclass(frozen=True)
class CuspConfig:
    """Architecture of one CUSP network (Gomez-Trenado et al., ECCV 2022).

    Attributes:
        resolution: Height and width of images, pixels.
        labels: Number of age labels: 101 (years, FFHQ-RR) or 10 (bins, FFHQ-LS).
        encoder_channels: Channels of the encoders' outputs, finest first.
        block_resolutions: Resolutions of the decoder's blocks, coarsest first.
        block_channels: Channels of the decoder's blocks.
        style_dim: Size of a code.
        style_layers, attr_layers: Layers of the two mapping networks.
        skip_level: Encoder output that is the blurred skip connection.
        skip_block: Decoder block that takes it.
        blurs: Number of kernels in the blur bank.
        blur_taps: Their width.
        clamp: Limit of the decoder's layer outputs; None for none.
        fp16_blocks: How many of the finest blocks the original runs in half precision on CUDA (counted over six).
    """

    resolution: int
    labels: int
    encoder_channels: tuple[int, ...]
    block_resolutions: tuple[int, ...]
    block_channels: tuple[int, ...]
    style_dim: int
    style_layers: int
    attr_layers: int
    skip_level: int
    skip_block: int
    blurs: int
    blur_taps: int
    clamp: float | None = DEFAULT_CLAMP
    fp16_blocks: int = DEFAULT_FP16_BLOCKS

    def half_precision(self, resolution: int) -> bool:
        """Whether the original runs the block of this resolution in fp16 on CUDA."""
        start = self.resolution // 32
        return resolution >= max(start * 2 ** (6 - self.fp16_blocks), 8)


def infer_config(tensors: Mapping[str, Tensor], options: Mapping[str, Any]) -> CuspConfig:
    """Read the architecture off a state dict.

    Args:
        tensors: State dict of the generator.
        options: The checkpoint's constructor arguments: ``synthesis_kwargs`` gives clamp and fp16 blocks; the rest
            only has to agree with the tensors.

    Raises:
        BadInputError: The tensors are not those of a CUSP network of the kind released, or the options say that
            the network works in a way that is not implemented.
    """
    _refuse_unknown_kinds(options)
    try:
        resolutions = tuple(sorted(int(m.group(1)) for m in map(_BLOCK.fullmatch, tensors) if m))
        levels = _count(tensors, "content_enc.conv{}.weight")
        encoder = tuple(tensors[f"content_enc.conv{i}.weight"].shape[0] for i in range(levels))
        channels = tuple(tensors[f"image_dec.b{r}.conv1.weight"].shape[0] for r in resolutions)
        inputs = [tensors[f"image_dec.b{r}.conv0.weight"].shape[1] for r in resolutions]
        blurs, taps, _ = tensors["blur_list"].shape
        synthesis = options.get("synthesis_kwargs") or {}
        skip_block, skip_level = _skip(inputs, channels, encoder)
        return CuspConfig(
            resolution=resolutions[-1],
            labels=int(tensors["attr_map.fc0.weight"].shape[1]),
            encoder_channels=encoder,
            block_resolutions=resolutions,
            block_channels=channels,
            style_dim=int(tensors["style_map.fc0.weight"].shape[0]),
            style_layers=_count(tensors, "style_map.fc{}.weight"),
            attr_layers=_count(tensors, "attr_map.fc{}.weight"),
            skip_level=skip_level,
            skip_block=skip_block,
            blurs=int(blurs),
            blur_taps=int(taps),
            clamp=synthesis.get("conv_clamp", DEFAULT_CLAMP),
            fp16_blocks=int(synthesis.get("num_fp16_res", DEFAULT_FP16_BLOCKS)),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise BadInputError(f"These tensors are not those of a CUSP generator: {error}.") from error


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    count = 0
    while pattern.format(count) in tensors:
        count += 1
    return count


def _skip(inputs: list[int], channels: tuple[int, ...], encoder: tuple[int, ...]) -> tuple[int, int]:
    if not channels or inputs[0] != encoder[-1]:
        raise ValueError("the decoder does not start from the encoder's last output")
    blocks = [i for i in range(1, len(inputs)) if inputs[i] != channels[i - 1]]
    if len(blocks) != 1:
        raise ValueError(f"{len(blocks)} skip connections, expected one")
    block = blocks[0]
    level = len(encoder) - 1 - block
    if level < 0 or inputs[block] - channels[block - 1] != encoder[level]:
        raise ValueError("the skip connection does not have the channels of the encoder's output")
    return block, level


def _refuse_unknown_kinds(options: Mapping[str, Any]) -> None:
    expected: dict[str, Any] = {"skip_kind": "linear", "style_enc": True, "bottleneck_class": False, "blur_skip": True}
    expected |= {"skip_grad_blur": "gb", "learn_mask": None}
    for name, value in expected.items():
        if options.get(name, value) != value:
            raise BadInputError(f"This CUSP network was made with {name}={options[name]!r}; only {value!r} is known.")
    if (options.get("synthesis_kwargs") or {}).get("rgb_attention"):
        raise BadInputError("This CUSP network was made with rgb_attention, which is not known.")
