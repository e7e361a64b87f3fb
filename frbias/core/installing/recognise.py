"""Finding out what a weight file is from its content, whatever it is called."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.core.assets.archives import DAMAGED, check_table
from frbias.core.assets.embedded import EMBEDDED_MODELS
from frbias.core.assets.skins import NAME as SKINS
from frbias.core.assets.skins import is_skin_archive, skin_files
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file

if TYPE_CHECKING:
    import torch

    from frbias.core.assets.networks import NetworkRecord
    from frbias.core.recognisers.onnx_running import OnnxRecogniser
    from frbias.core.recognisers.trainable.recogniser import Trainable

MAX_PACK = 100
_DEX_KEYS = frozenset({"conv1_1.weight", "conv5_3.weight", "fc6.weight", "fc7.weight"})


@dataclass(frozen=True, eq=False)
class Recognised:
    """What a file turned out to be.

    Attributes:
        kind: One of :data:`frbias.core.assets.catalogue.KINDS`.
        variant: Closer name: ``r50``, ``cusp-ls``, ``eg3d``, ``buffalo``...
        format: ``persistence pickle``, ``torch``, ``safetensors``, ``onnx``, ``pack``, ``caffemodel``, ``skins``.
        details: Facts read from the content, as JSON values.
        tensors: The state dict to convert; None when the file is kept as it is.
        network: The generator to convert; None for everything else.
        trainable: The recogniser that ``tensors`` are the weights of; None for everything else.
        running: The ONNX recogniser that is kept as it is; None for everything else.
    """

    kind: str
    variant: str
    format: str
    details: dict[str, Any]
    tensors: "Mapping[str, torch.Tensor] | None" = field(default=None, repr=False)
    network: "NetworkRecord | None" = field(default=None, repr=False)
    trainable: "Trainable | None" = field(default=None, repr=False)
    running: "OnnxRecogniser | None" = field(default=None, repr=False)


def recognise(path: Path) -> Recognised:
    """Read a weight file safely and say what it is.

    Raises:
        UnsafePickleError: It asks for more than data.
        BadInputError: It is none of the weights frbias knows.
    """
    path = Path(path)
    if path.is_dir():
        return _pack_folder(path)
    if not path.is_file():
        raise BadInputError(f"{path} does not exist.")
    try:
        return _recognise_file(path)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _recognise_file(path: Path) -> Recognised:
    digest = sha256_file(path)
    if is_skin_archive(digest):
        return Recognised("skins", SKINS, "skins", {"pictures": len(skin_files())})
    known = {model.sha256: name for name, model in EMBEDDED_MODELS.items()}.get(digest)
    if known:
        return Recognised("detector" if known == "yunet" else "recogniser", known, "onnx", {"embedded": True})
    with path.open("rb") as stream:
        head = stream.read(16)
    if head[:2] == b"PK":
        return _zip(path)
    if len(head) == 16 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return _safetensors(path)
    if head[:1] == b"\x80":
        return _pickle(path)
    if path.suffix.lower() == ".onnx" or head[:1] == b"\x08":
        return _onnx(path)
    if path.suffix.lower() == ".caffemodel":
        from frbias.core.assets.caffemodel import read_caffemodel

        return classify(read_caffemodel(path), path, "caffemodel")
    raise BadInputError(f"{path} is no weight file frbias knows (torch, safetensors, ONNX, StyleGAN pickle, Caffe).")


def classify(tensors: "Mapping[str, torch.Tensor]", path: Path, form: str) -> Recognised:
    """Say which network a state dict belongs to.

    Raises:
        BadInputError: To none that frbias knows.
    """
    from frbias.core.recognisers.loading import trainable_of_state

    renamed = {name.replace("-", "_"): value for name, value in tensors.items()}
    if renamed.keys() >= _DEX_KEYS and "fc8_101.weight" in renamed:
        outputs = int(renamed["fc8_101.weight"].shape[0])
        return Recognised("age-classifier", "dex", form, {"outputs": outputs}, renamed)
    found = trainable_of_state(dict(tensors), path)
    return Recognised(
        "recogniser", found.description.architecture, form, _facts(found), found.weights(), trainable=found
    )


def _pickle(path: Path) -> Recognised:
    if _is_torch_stream(path):
        return _torch(path)
    from frbias.core.assets.networks import read_network

    return classify_network(read_network(path), "persistence pickle")


def classify_network(network: "NetworkRecord", form: str) -> Recognised:
    """Say which generator a network is, by its class and conditions.

    Raises:
        BadInputError: It is neither CUSP nor EG3D.
    """
    if network.class_name == "Image2Image":
        labels = int(network.tensors["attr_map.fc0.weight"].shape[1]) if "attr_map.fc0.weight" in network.tensors else 0
        variant = "cusp-ls" if labels == 10 else "cusp"
        details = {"labels": labels, "resolution": network.init_kwargs.get("img_resolution")}
        return Recognised("cusp", variant, form, details, network=network)
    if network.class_name == "TriPlaneGenerator":
        conditions = int(network.init_kwargs.get("c_dim", 0))
        variant = "eg3d-ffhq" if conditions == 25 else "eg3d"
        details = {"conditions": conditions, "resolution": network.init_kwargs.get("img_resolution")}
        return Recognised("eg3d", variant, form, details, network=network)
    raise BadInputError(f"The pickle holds a network of class {network.class_name!r}; frbias knows CUSP and EG3D.")


def _torch(path: Path) -> Recognised:
    from frbias.core.assets.checkpoints import load_checkpoint
    from frbias.core.recognisers.trainable.weights import unwrap_state

    return classify(unwrap_state(load_checkpoint(path), path), path, "torch")


def _safetensors(path: Path) -> Recognised:
    from safetensors import SafetensorError

    from frbias.core.assets.tensor_files import check_head, load_tensors

    check_head(path)
    if path.with_suffix(".json").is_file():
        from frbias.core.assets.networks import read_network

        try:
            return classify_network(read_network(path), "safetensors")
        except BadInputError:
            pass  # a .json of something else
    try:
        return classify(load_tensors(path), path, "safetensors")
    except SafetensorError as error:
        raise BadInputError(f"{path} is a damaged safetensors file: {error}.") from error


def _zip(path: Path) -> Recognised:
    check_table(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (*DAMAGED, NotImplementedError) as error:
        raise BadInputError(f"{path} is a damaged archive ({error}); was the download complete?") from error
    if any(name.endswith("data.pkl") for name in names):
        return _torch(path)
    models = sorted(name for name in names if name.lower().endswith(".onnx"))
    if models and len(names) > MAX_PACK:
        raise BadInputError(f"{path} has {len(names)} members; an insightface pack has at most {MAX_PACK}.")
    if models:
        return Recognised("recogniser", "pack", "pack", {"models": models})
    raise BadInputError(f"{path} is an archive without weights (no data.pkl, no .onnx file).")


def _pack_folder(path: Path) -> Recognised:
    models = sorted(p.name for p in path.glob("*.onnx"))
    if not models:
        raise BadInputError(f"{path} is a folder without .onnx files; give a weight file or an insightface pack.")
    return Recognised("recogniser", "pack", "pack", {"models": models})


def _onnx(path: Path) -> Recognised:
    from frbias.core.recognisers.input_format import InputFormat
    from frbias.core.recognisers.loading import trainable_of_onnx
    from frbias.core.recognisers.onnx_graph import read_onnx
    from frbias.core.recognisers.onnx_running import run_onnx
    from frbias.core.recognisers.trainable.onnx_walk import OtherGraphError

    running = run_onnx(read_onnx(path), path.stem, InputFormat())
    try:
        found = trainable_of_onnx(running)
    except OtherGraphError as error:
        details = {**running.description.to_json(), "not_trainable": str(error)}
        return Recognised("recogniser", "onnx", "onnx", details, running=running)
    return Recognised(
        "recogniser", found.description.architecture, "onnx", _facts(found), found.weights(), trainable=found
    )


def _facts(found: "Trainable") -> dict[str, Any]:
    return {"architecture": found.description.architecture, "embedding_dim": found.embedding_length}


def _is_torch_stream(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(16)
    return head[2:3] == b"\x8a" and head[4:14] == (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
