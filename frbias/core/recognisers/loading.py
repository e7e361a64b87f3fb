"""From a name or a path to a recogniser that is ready to embed or to be trained."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from frbias.core.assets.embedded import EMBEDDED_MODELS, embedded_model
from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.recognisers.base import Description, Pixels, Recogniser
from frbias.core.recognisers.onnx_check import check_onnx
from frbias.core.recognisers.trainable.base import StateDict, parameter_count
from frbias.core.recognisers.trainable.onnx_import import read_iresnet_onnx
from frbias.core.recognisers.trainable.recogniser import Trainable, require_trainable
from frbias.core.recognisers.trainable.sface import read_sface_onnx
from frbias.core.recognisers.trainable.weights import TORCH_SUFFIXES, from_state, read_state, state_sha256

EMBEDDED = "sface"
BACKBONE_FILE = "backbone.safetensors"
_INSIGHTFACE = "insightface:"
_RECOGNISERS = ("w600k", "glint360k", "ms1mv3", "webface", "arcface", "r50", "r100", "recognition")


def load_recogniser(spec: str, *, device: str | torch.device = "cpu") -> Recogniser:
    """Load a recogniser.

    Args:
        spec: ``sface`` (embedded); a run folder of ``frbias finetune`` (its best checkpoint); a weight file
            (``.pth``, ``.pt``, ``.safetensors``, or the ``.onnx`` of an insightface recogniser); a folder that
            holds one; a registered name; or ``insightface:<pack>``, a pack that insightface has on this machine.
        device: Where the weights go.

    Raises:
        AssetMissingError: Nothing of that name is installed; says where it comes from.
        BadInputError: The file holds no recogniser that frbias knows.
    """
    if spec == EMBEDDED:
        found = _loaded(_embedded(), EMBEDDED, "embedded", device)
        return replace(found, description=replace(found.description, licence=EMBEDDED_MODELS[EMBEDDED].licence))
    if spec.startswith(_INSIGHTFACE):
        path = _insightface_recogniser(spec.removeprefix(_INSIGHTFACE))
        return _from_file(path, spec.replace(":", "-"), device)
    path = Path(spec)
    if not path.exists():
        from frbias.core.assets.store import resolve_weights

        path = resolve_weights(spec, "recogniser")
        return _from_file(weight_file(path), Path(spec).name, device)
    return _from_file(weight_file(path), path.resolve().name if path.is_dir() else path.stem, device)


def load_trainable(spec: str, command: str, *, device: str | torch.device = "cpu") -> Trainable:
    """Load a recogniser for ``command``, which trains or exports it.

    Raises:
        AssetMissingError: Nothing of that name is installed.
        BadInputError: The file holds no recogniser, or one that can only be run.
    """
    return require_trainable(load_recogniser(spec, device=device), command)


def weight_file(path: Path) -> Path:
    """The weight file that a path means: itself, or the best one of a run, checkpoint, export or pack folder.

    Raises:
        BadInputError: The folder holds no weights.
    """
    if path.is_file():
        return path
    for place in ("checkpoints/best", "checkpoints/last", "."):
        if (path / place / BACKBONE_FILE).is_file():
            return path / place / BACKBONE_FILE
    for name in ("backbone.pth", "model.pt"):
        if (path / name).is_file():
            return path / name
    if (path / "manifest.json").is_file():
        return _pack_recogniser(path)
    found = sorted(p for p in path.glob("*") if p.suffix in TORCH_SUFFIXES | {".safetensors", ".onnx"})
    if len(found) == 1:
        return found[0]
    what = "no weights" if not found else f"several weight files ({', '.join(p.name for p in found[:3])}); name one"
    raise BadInputError(f"{path} holds {what}.")


def _embedded() -> StateDict:
    return read_sface_onnx(embedded_model(EMBEDDED))


def _from_file(path: Path, name: str, device: str | torch.device) -> Recogniser:
    if path.suffix == ".onnx":
        loaded = _loaded(read_iresnet_onnx(path), name, path.name, "cpu")
        check_onnx(loaded.model, path)
        loaded.model.to(device)
        return replace(loaded, description=replace(loaded.description, batch_norm="folded"))
    return _loaded(read_state(path), name, path.name, device)


def _loaded(state: StateDict, name: str, source: str, device: str | torch.device) -> Trainable:
    model = from_state(state, source if source != "embedded" else name)
    mean, scale = model.pixel_mean, model.pixel_scale
    description = Description(
        architecture=model.architecture,
        embedding_length=model.embedding_dim,
        input_size=(model.input_size, model.input_size),
        trainable=True,
        source=source,
        pixels=Pixels("RGB", (mean, mean, mean), (scale, scale, scale)),
        parameters=parameter_count(model),
    )
    return Trainable(model.to(device), name, state_sha256(model.state_dict()), description)


def insightface_pack(name: str) -> Path:
    """Folder of an insightface model pack on this machine.

    Raises:
        AssetMissingError: The pack is not installed.
        BadInputError: That is no name of a pack.
    """
    folder = Path.home() / ".insightface" / "models" / name
    if not name or any(part in name for part in ("/", "\\", "..")):
        raise BadInputError(f"insightface:{name} names no pack; write e.g. insightface:buffalo_l.")
    if not folder.is_dir():
        raise AssetMissingError(
            f"The insightface pack {name!r} is not in {folder} (weights for non-commercial research only, "
            "https://github.com/deepinsight/insightface/tree/master/model_zoo).",
            hint=f"python -c \"import insightface; insightface.app.FaceAnalysis(name='{name}')\" downloads it.",
        )
    return folder


def _insightface_recogniser(name: str) -> Path:
    folder = insightface_pack(name)
    for path in sorted(folder.glob("*.onnx")):
        if path.name.startswith(_RECOGNISERS):
            return path
    raise BadInputError(f"{folder} holds no recogniser (an .onnx file such as w600k_r50.onnx).")


def _pack_recogniser(folder: Path) -> Path:
    try:
        name = json.loads((folder / "manifest.json").read_text())["tasks"]["recognition"]["file"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{folder / 'manifest.json'} names no recognition model.") from error
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BadInputError(f"{folder / 'manifest.json'} names {name!r}, which is not in the folder.")
    return path
