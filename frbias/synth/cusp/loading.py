"""From a checkpoint to a network: exact keys, the age classifier, and the evidence for the mask rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frbias.core.assets.networks import NetworkRecord, read_network
from frbias.core.errors import BadInputError
from frbias.core.files import sha256_file, sha256_json
from frbias.synth.cusp.config import infer_config
from frbias.synth.cusp.evidence import mask_rule_of
from frbias.synth.cusp.network import CuspNetwork
from frbias.synth.cusp.saliency import AgeClassifier, MaskRule
from frbias.synth.stylegan2 import check_fir_kernels

_CLASSIFIER_PREFIX = "skip_grad_blur.model.classifier."


@dataclass(frozen=True)
class LoadedCusp:
    """A CUSP network with what its checkpoint says of itself.

    Attributes:
        network: In eval mode, float32, on the CPU.
        sha256: Hash of the weight file.
        rule: Mask rule shown by the embedded source text; None without evidence.
        classifier: The age classifier inside the checkpoint, if it has one.
        texts_sha256: Hash of the embedded source texts, the evidence; empty when there are none.
    """

    network: CuspNetwork
    sha256: str
    rule: MaskRule | None
    classifier: AgeClassifier | None
    texts_sha256: str = ""


def load_cusp(path: Path) -> LoadedCusp:
    """Read a CUSP snapshot (``.pkl``) or what ``frbias models add`` made of it (``.safetensors``).

    Nothing in the file is executed.

    Raises:
        BadInputError: It is no CUSP network, or tensors are missing, left over or of other shapes.
    """
    record = read_network(Path(path))
    network = network_of(record.tensors, record.init_kwargs)
    texts = record.sources
    evidence = sha256_json(texts) if texts else ""
    return LoadedCusp(network, sha256_file(Path(path)), mask_rule_of(texts.values()), _classifier_in(record), evidence)


def network_of(tensors: Mapping[str, Tensor], options: Mapping[str, Any]) -> CuspNetwork:
    """The network of a state dict, every key of it used and none missing.

    Raises:
        BadInputError: It is no CUSP network, or tensors are missing, left over or of other shapes.
    """
    network = CuspNetwork(infer_config(tensors, options))
    load_exactly(network, tensors, "CUSP network")
    check_fir_kernels(network)
    return network.eval().requires_grad_(False)


def classifier_of(tensors: Mapping[str, Tensor], *, guided: bool = False) -> AgeClassifier:
    """The age classifier of a state dict in DEX's names (``conv1_1`` ... ``fc8-101``).

    Raises:
        BadInputError: Tensors are missing, left over or of other shapes.
    """
    renamed = {name.replace("-", "_"): value.float() for name, value in tensors.items()}
    try:
        widths = tuple(int(renamed[f"conv{group}_1.weight"].shape[0]) for group in range(1, 6))
        hidden, inputs = renamed["fc6.weight"].shape
        outputs = int(renamed["fc8_101.weight"].shape[0])
    except (KeyError, ValueError) as error:
        raise BadInputError(f"These tensors are not those of the DEX age classifier: {error} is missing.") from error
    pooled = round((inputs / widths[-1]) ** 0.5)
    classifier = AgeClassifier(widths, pooled, int(hidden), outputs, guided=guided)
    load_exactly(classifier, renamed, "DEX age classifier")
    return classifier.eval().requires_grad_(False)


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict of exactly the module's keys and shapes.

    Raises:
        BadInputError: Names the first key that is missing, left over or of another shape.
    """
    own = module.state_dict()
    missing, surplus = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or surplus:
        first = f"{missing[0]} is missing" if missing else f"{surplus[0]} is not known"
        raise BadInputError(
            f"This is not a {what} as released: {len(missing)} keys missing, {len(surplus)} left over ({first})."
        )
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
            raise BadInputError(f"This is not a {what} as released: {name} has shape {shapes}.")
    with torch.no_grad():
        module.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})


def _classifier_in(record: NetworkRecord) -> AgeClassifier | None:
    found = {
        name.removeprefix(_CLASSIFIER_PREFIX): value
        for name, value in record.extra_tensors.items()
        if name.startswith(_CLASSIFIER_PREFIX)
    }
    return classifier_of(found) if found else None
