"""From a checkpoint to a network: exact keys, the age classifier, and the evidence for the mask rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from frbias.core.assets.exact_loading import load_exactly
from frbias.core.assets.networks import NetworkRecord, read_network
from frbias.core.faces.dex import AgeClassifier, classifier_of
from frbias.core.foundation.files import sha256_file, sha256_json
from frbias.synth.cusp.config import infer_config
from frbias.synth.cusp.evidence import mask_rule_of
from frbias.synth.cusp.network import CuspNetwork
from frbias.synth.cusp.saliency import MaskRule
from frbias.synth.resampling import check_fir_kernels

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


def _classifier_in(record: NetworkRecord) -> AgeClassifier | None:
    found = {
        name.removeprefix(_CLASSIFIER_PREFIX): value
        for name, value in record.extra_tensors.items()
        if name.startswith(_CLASSIFIER_PREFIX)
    }
    return classifier_of(found) if found else None
