"""Folders that hold a recogniser: runs, exports, and packs of insightface."""

import json
from pathlib import Path

from frbias.core.foundation.errors import AssetMissingError, BadInputError
from frbias.core.recognisers.trainable.weights import TORCH_SUFFIXES

BACKBONE_FILE = "backbone.safetensors"
# How insightface, and frbias after it, name the recognisers of packs.
_RECOGNISERS = ("w600k", "glint360k", "ms1mv3", "webface", "arcface", "r50", "r100", "recognition")


def weight_file(path: Path) -> Path:
    """The weight file that a path means: itself, or the best one of a run, checkpoint, export or pack folder.

    Raises:
        BadInputError: The folder holds no weights.
    """
    if path.is_file():
        return path
    for place in ("checkpoints/final", "checkpoints/best", "checkpoints/last", "."):
        if (path / place / BACKBONE_FILE).is_file():
            return path / place / BACKBONE_FILE
    for name in ("backbone.pth", "model.pt"):
        if (path / name).is_file():
            return path / name
    if (path / "manifest.json").is_file():
        return _of_manifest(path)
    found = sorted(p for p in path.glob("*") if p.suffix in TORCH_SUFFIXES | {".safetensors", ".onnx"})
    if len(found) == 1:
        return found[0]
    if found and all(p.suffix == ".onnx" for p in found):
        return pack_recogniser(path)
    what = "no weights" if not found else f"several weight files ({', '.join(p.name for p in found[:3])}); name one"
    raise BadInputError(f"{path} holds {what}.")


def pack_recogniser(folder: Path) -> Path:
    """The recogniser among the ONNX files of an insightface pack.

    Raises:
        BadInputError: None is named like one.
    """
    for path in sorted(folder.glob("*.onnx")):
        if path.name.startswith(_RECOGNISERS):
            return path
    raise BadInputError(f"{folder} holds no recogniser (an .onnx file such as w600k_r50.onnx).")


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


def _of_manifest(folder: Path) -> Path:
    try:
        name = json.loads((folder / "manifest.json").read_text())["tasks"]["recognition"]["file"]
    except (KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        raise BadInputError(f"{folder / 'manifest.json'} names no recognition model.") from error
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BadInputError(f"{folder / 'manifest.json'} names {name!r}, which is not in the folder.")
    return path
