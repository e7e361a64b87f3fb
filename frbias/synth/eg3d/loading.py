"""Building a generator from weights: converted files, snapshots, or a tiny random one for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frbias.core.assets.networks import NetworkRecord, read_network
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file
from frbias.synth.eg3d.config import Eg3dConfig, RenderingConfig, SuperResolutionConfig, read_config
from frbias.synth.eg3d.network import TriPlaneGenerator
from frbias.synth.eg3d.triplanes import PLANE_AXES
from frbias.synth.resampling import check_fir_kernels

TINY = "tiny"
_TINY_SEED = 20240229


@dataclass(frozen=True, eq=False)
class LoadedGenerator:
    """A generator ready to run.

    Attributes:
        network: Its networks, in eval mode, without gradients.
        weights_sha256: Hash of the weights; empty for the tiny test model.
        description: Where it comes from, as JSON values.
    """

    network: TriPlaneGenerator
    weights_sha256: str
    description: dict[str, Any]


def load_generator(path: Path) -> LoadedGenerator:
    """Load a snapshot (``.pkl``; nothing in it is run) or what ``frbias models add`` made of one.

    Raises:
        BadInputError: It is no EG3D generator, or one of a kind that is not supported.
    """
    record = read_network(path)
    network = from_record(record)
    kind = network.config.age_kind
    described = {"weights": Path(path).name, "source_sha256": record.source_sha256, "age_condition": kind}
    return LoadedGenerator(network, sha256_file(path), described)


def from_record(record: NetworkRecord) -> TriPlaneGenerator:
    """Build the generator that a record describes.

    Raises:
        BadInputError: As :func:`load_generator`.
    """
    _check_axes(record.extra_tensors.get("renderer.plane_axes"))
    # The attribute has been patched since the network was made; what it was made with is only the second choice.
    kwargs = record.attributes.get("rendering_kwargs") or record.init_kwargs.get("rendering_kwargs")
    if not isinstance(kwargs, dict):
        raise BadInputError("The generator's rendering_kwargs are missing; it is no EG3D snapshot.")
    config = read_config(
        record.tensors,
        kwargs,
        init_kwargs=record.init_kwargs,
        rendering_resolution=record.attributes.get("neural_rendering_resolution"),
    )
    return build(config, record.tensors)


def build(config: Eg3dConfig, tensors: Mapping[str, Tensor]) -> TriPlaneGenerator:
    """Build a generator and fill it; every tensor has to be used and every place filled.

    Raises:
        BadInputError: Tensors are missing, left over or of another shape.
    """
    with torch.device("meta"):
        network = TriPlaneGenerator(config)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
    if wrong:
        raise BadInputError(
            f"{len(wrong)} tensors are missing, unknown or of another shape; the first is {wrong[0]} "
            f"(expected {expected.get(wrong[0])}, found {given.get(wrong[0])})."
        )
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    check_fir_kernels(network)
    return network.requires_grad_(False).eval()


def tiny_generator(c_dim: int = 26) -> LoadedGenerator:
    """A small generator with random weights, the same on every machine; its images show no faces.

    Args:
        c_dim: 25, 26 or 126, as :attr:`Eg3dConfig.age_kind` explains.
    """
    config = Eg3dConfig(
        z_dim=32,
        c_dim=c_dim,
        w_dim=32,
        mapping_layers=2,
        channels={4: 16, 8: 16, 16: 16, 32: 8},
        superresolution=SuperResolutionConfig(16, (12, 8), (32, 64)),
        rendering=RenderingConfig(depth_resolution=8, depth_resolution_importance=8),
        rendering_resolution=16,
    )
    network = TriPlaneGenerator(config)
    generator = torch.Generator().manual_seed(_TINY_SEED)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(_tiny_values(name, parameter, generator))
        network.backbone.mapping.w_avg.normal_(generator=generator).mul_(0.3)
        for name, buffer in network.named_buffers():
            if name.endswith("noise_const"):
                buffer.normal_(generator=generator)
    described = {"weights": TINY, "test_model": "random weights; its images show no faces"}
    return LoadedGenerator(network.requires_grad_(False).eval(), "", {**described, "age_condition": config.age_kind})


def _tiny_values(name: str, like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator)
    if "mapping.fc" in name:
        return noise * (100.0 if name.endswith("weight") else 20.0)
    if name.endswith("affine.bias"):
        return 1.0 + noise * 0.3
    if name.endswith(("bias", "noise_strength")):
        return noise * 0.2
    if name == "decoder.net.2.weight":
        noise[0] *= 8.0
    return noise


def _check_axes(axes: Tensor | None) -> None:
    """Refuse other planes than the published ones; a file without the attribute is taken to have these."""
    if axes is None:
        return
    expected = torch.zeros(3, 3, 3)
    for plane, (across, down) in enumerate(PLANE_AXES):
        expected[plane, across, 0] = expected[plane, down, 1] = expected[plane, 3 - across - down, 2] = 1
    # A point (as a row) is projected by the inverse of the stored matrix.
    if axes.shape != (3, 3, 3) or not torch.allclose(axes.float().cpu(), torch.linalg.inv(expected)):
        raise BadInputError("The generator's plane_axes are not the published ones; it would render nonsense.")
