"""A tiny CUSP network with random weights: for trying the command and testing it, never for data."""

import torch

from frbias.core.faces.dex import AgeClassifier
from frbias.synth.cusp.blur import BANK_SIZE, bank_width, make_bank
from frbias.synth.cusp.config import CuspConfig
from frbias.synth.cusp.network import CuspNetwork

NAME = "tiny"
_SIDE, _SKIP_LEVEL = 64, 1


def tiny_network(labels: int, seed: int = 0) -> CuspNetwork:
    """A 64-pixel network; its images show nothing."""
    return random_network(
        CuspConfig(
            resolution=_SIDE,
            labels=labels,
            encoder_channels=(8, 12, 16, 16, 16),
            block_resolutions=(4, 8, 16, 32, 64),
            block_channels=(16, 16, 16, 12, 8),
            style_dim=16,
            style_layers=8,
            attr_layers=8,
            skip_level=_SKIP_LEVEL,
            skip_block=3,
            blurs=BANK_SIZE,
            blur_taps=bank_width(_SIDE, _SKIP_LEVEL)[0],
        ),
        seed,
    )


def released_config(labels: int) -> CuspConfig:
    """Architecture of the released networks: 224 pixels and 101 labels (RR), 256 pixels and 10 labels (LS)."""
    side = 224 if labels == 101 else 256
    blocks = tuple(side // 32 * 2**i for i in range(1, 6))
    return CuspConfig(
        resolution=side,
        labels=labels,
        encoder_channels=(64, 128, 256, 512, 512),
        block_resolutions=blocks,
        block_channels=tuple(min(32768 // r, 512) for r in blocks),
        style_dim=512,
        style_layers=8,
        attr_layers=8,
        skip_level=_SKIP_LEVEL,
        skip_block=3,
        blurs=BANK_SIZE,
        blur_taps=bank_width(side, _SKIP_LEVEL)[0],
    )


def random_network(config: CuspConfig, seed: int) -> CuspNetwork:
    """A network with random weights of ``seed``, noise strengths included."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CuspNetwork(config)
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                torch.nn.init.normal_(parameter, std=0.1)
    network.blur_list.copy_(make_bank(config.resolution, config.skip_level))
    return network.eval().requires_grad_(False)


def random_classifier(widths: tuple[int, ...] = (4, 8, 16, 16, 16), hidden: int = 32, seed: int = 0) -> AgeClassifier:
    """An age classifier with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AgeClassifier(widths, 7, hidden, 101).eval().requires_grad_(False)
