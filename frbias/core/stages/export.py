"""A fine-tuned recogniser in the forms that other tools load: ONNX, safetensors, an insightface pack.

The ONNX file follows what insightface's model zoo expects of a recogniser: pixels are normalised outside of the
graph, the batch axis is open, there is one output and no side file. insightface divides by 127.5 whatever a
recogniser was trained with, so another divisor is multiplied into the first convolution of the exported graph.
"""

import copy
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frbias.core.foundation.errors import BadInputError, FrbiasError
from frbias.core.foundation.files import atomic_path, sha256_file, write_bytes, write_json, write_text
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.provenance import PROVENANCE_NAME, claim_folder
from frbias.core.recognisers.loading import BACKBONE_FILE, insightface_pack, load_trainable
from frbias.core.recognisers.onnx_check import MEAN, SCALE, check_onnx
from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.recognisers.trainable.weights import write_state
from frbias.core.stages.requests.export import ExportRequest

STAGE, VERSION = "export", 1
ONNX_FILE, MANIFEST_FILE, LICENCE_FILE = "recognition.onnx", "manifest.json", "MODEL.LICENSE"
DETECTOR_FILE = "detection.onnx"
_OPSET = 17


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        out: Folder that was written.
        files: Names of the files in it.
        largest_difference: Between embeddings of the ONNX file and of the module on the checked images, relative to
            the largest embedding value; None when no ONNX was asked for.
    """

    out: Path
    files: list[str]
    largest_difference: float | None


def export(
    request: ExportRequest, out: Path | None = None, *, machine: Machine = LOCAL, force: bool = False
) -> Exported:
    """Write a recogniser for use elsewhere and check that it computes the same; the call behind ``frbias export``.

    Args:
        request: What to write.
        out: Folder to write, the pack folder itself; default: ``exports/<name of the recogniser>``.
        machine: Where to report.
        force: Replace an earlier export in ``out``.

    Raises:
        FrbiasError: The ONNX file does not compute what the module computes.
        UsageError: ``out`` holds something else.
        BadInputError: There is no such recogniser or detector, or the recogniser can only be run.
        AssetMissingError: The recogniser or the detector is not installed.
    """
    detector = None if request.detector is None else detector_file(request.detector)
    recogniser = load_trainable(request.weights, STAGE)
    machine.tell(f"exporting {recogniser.name}")
    place = out if out is not None else Path("exports") / recogniser.name
    return export_recogniser(recogniser, place, request, detector=detector, force=force)


def export_recogniser(
    recogniser: Trainable, out: Path, request: ExportRequest, *, detector: Path | None = None, force: bool = False
) -> Exported:
    """Export a recogniser that is loaded; see :func:`export`.

    Args:
        recogniser: It, on the CPU.
        out: Folder to write.
        request: What to write; what it says of recogniser and detector is taken from the other arguments.
        detector: ONNX of the detector to put into the pack.
        force: Replace an earlier export in ``out``.
    """
    inputs = {"weights": recogniser.sha256, "name": recogniser.name, "detector": detector and sha256_file(detector)}
    folder = claim_folder(out, stage=STAGE, version=VERSION, arguments=request.identity(), inputs=inputs, force=force)
    if folder.finished:
        results = folder.results()
        return Exported(out, results["files"], results["largest_difference"])
    with atomic_path(out / BACKBONE_FILE) as temporary:
        write_state(temporary, recogniser.weights(), recogniser.model.pixels)
    difference = None
    if request.onnx:
        with atomic_path(out / ONNX_FILE) as temporary:
            write_onnx(recogniser.model, temporary)
            difference = check_onnx(recogniser.model, temporary)
        if request.pack:
            _write_pack(out, recogniser, detector)
    files = sorted(p.name for p in out.iterdir() if p.name != PROVENANCE_NAME)
    folder.finish({"files": files, "largest_difference": difference})
    return Exported(out, files, difference)


def detector_file(spec: str) -> Path:
    """The ONNX file of a detector: the file itself, or that of ``insightface:<pack>``.

    Raises:
        BadInputError: It is no such file, or the pack holds none.
        AssetMissingError: The pack is not installed.
    """
    path = Path(spec).expanduser()
    if not spec.startswith("insightface:"):
        if path.suffix == ".onnx" and path.is_file():
            return path
        raise BadInputError(f"--detector {spec} is no .onnx file; give one, or insightface:<pack>.")
    folder = insightface_pack(spec.removeprefix("insightface:"))
    files = sorted(folder.glob("det*.onnx")) + sorted(folder.glob("scrfd*.onnx"))
    if not files:
        raise BadInputError(f"{folder} holds no detector (det_10g.onnx or the like).")
    return files[0]


def write_onnx(model: Backbone, path: Path) -> None:
    """Write a backbone as ONNX.

    Input ``data``: RGB (N, 3, 112, 112), (pixel - 127.5) / 127.5. Output ``embedding``: (N, D), not normalised.
    """
    size = model.input_size
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor on every call
        torch.onnx.export(
            _for_insightface(model),
            (example,),
            str(path),
            input_names=["data"],
            output_names=["embedding"],
            dynamic_axes={"data": {0: "N"}, "embedding": {0: "N"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _for_insightface(model: Backbone) -> Backbone:
    """A copy that takes pixels normalised as insightface does it."""
    twin = copy.deepcopy(model).eval()
    first = next(m for m in twin.modules() if isinstance(m, torch.nn.Conv2d))
    pixels = twin.pixels
    if pixels.mean != (MEAN,) * 3 or first.bias is not None:
        raise FrbiasError(f"{model.architecture} normalises pixels in a way that insightface has no place for.")
    with torch.no_grad():
        first.weight.mul_((SCALE / torch.tensor(pixels.scale)).reshape(1, 3, 1, 1))
        if pixels.colour == "BGR":
            first.weight.copy_(first.weight.flip(1).clone())
    return twin


def _write_pack(out: Path, backbone: Trainable, detector: Path | None) -> None:
    """Write manifest, licence and detector: what insightface needs beside the recogniser."""
    model = backbone.model
    licence = backbone.description.licence or "that of the weights the training started from"
    tasks: dict[str, Any] = {}
    if detector is not None:
        write_bytes(out / DETECTOR_FILE, detector.read_bytes())
        tasks["detection"] = {"file": DETECTOR_FILE, "sha256": sha256_file(out / DETECTOR_FILE)}
    tasks["recognition"] = {
        "file": ONNX_FILE,
        "preprocessing": {"mean": MEAN, "std": SCALE},
        "input_size": [model.input_size, model.input_size],
        "embedding_dimension": model.embedding_dim,
        "sha256": sha256_file(out / ONNX_FILE),
    }
    manifest = {"manifest_version": 2, "model_id": _model_id(backbone.name), "license": LICENCE_FILE, "tasks": tasks}
    write_text(out / LICENCE_FILE, f"Recogniser {backbone.name}, written by frbias. Licence: {licence}.\n")
    write_json(out / MANIFEST_FILE, manifest)


def _model_id(name: str) -> str:
    return "frbias-" + re.sub(r"[^A-Za-z0-9._-]", "-", name)[:100]
