"""A fine-tuned recogniser in the forms that other tools load: ONNX, safetensors, an insightface pack.

The ONNX file follows what insightface's model zoo expects of a recogniser: pixels are normalised outside of the
graph, the batch axis is open, there is one output and no side file. insightface subtracts 127.5 and divides by 127.5
whatever a recogniser was trained with, so another divisor (and another order of colours) is worked into the first
convolution of the exported graph. Another mean cannot be, because of the padding: it is stated in the manifest.
"""

import copy
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from frbias.core.foundation.errors import BadInputError, FrbiasError, UsageError
from frbias.core.foundation.files import atomic_path, sha256_file, write_bytes, write_json, write_text
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.provenance import PROVENANCE_NAME, claim_folder
from frbias.core.recognisers.adapted import AdaptedRecogniser
from frbias.core.recognisers.base import Pixels, Recogniser
from frbias.core.recognisers.input_format import AS_THE_MODEL_SAYS, InputFormat
from frbias.core.recognisers.loading import BACKBONE_FILE, insightface_pack, load_recogniser
from frbias.core.recognisers.onnx_check import MEAN, check_onnx
from frbias.core.recognisers.onnx_graph import read_onnx
from frbias.core.recognisers.onnx_map import append_map, load_whole, note_reading
from frbias.core.recognisers.onnx_running import OnnxRecogniser, run_onnx
from frbias.core.recognisers.probing import TOLERANCE, fixed_images, relative_difference
from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.recognisers.trainable.recogniser import Trainable, require_trainable
from frbias.core.recognisers.trainable.weights import write_state
from frbias.core.stages.requests.export import ExportRequest

STAGE, VERSION = "export", 1
ONNX_FILE, MANIFEST_FILE, LICENCE_FILE = "recognition.onnx", "manifest.json", "MODEL.LICENSE"
DETECTOR_FILE, ONNX_OUTPUT = "detection.onnx", "embedding"
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


@led
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
    recogniser = load_recogniser(request.weights, progress=machine.progress)
    if not isinstance(recogniser, AdaptedRecogniser):
        recogniser = require_trainable(recogniser, STAGE)
    machine.tell(f"exporting {recogniser.name}")
    place = out if out is not None else Path("exports") / recogniser.name
    return export_recogniser(recogniser, place, request, detector=detector, force=force)


def export_recogniser(
    recogniser: Trainable | AdaptedRecogniser,
    out: Path,
    request: ExportRequest,
    *,
    detector: Path | None = None,
    force: bool = False,
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
    difference: float | None
    if isinstance(recogniser, AdaptedRecogniser):
        difference = _export_adapted(recogniser, out, request, detector)
    else:
        difference = _export_trainable(recogniser, out, request, detector)
    files = sorted(p.name for p in out.iterdir() if p.name != PROVENANCE_NAME and not p.name.startswith("."))
    folder.finish({"files": files, "largest_difference": difference})
    return Exported(out, files, difference)


def _export_trainable(recogniser: Trainable, out: Path, request: ExportRequest, detector: Path | None) -> float | None:
    with atomic_path(out / BACKBONE_FILE) as temporary:
        write_state(temporary, recogniser.weights(), recogniser.model.pixels)
    if not request.onnx:
        return None
    with atomic_path(out / ONNX_FILE) as temporary:
        write_onnx(recogniser.model, temporary)
        difference = check_onnx(recogniser.model, temporary, exported_pixels(recogniser.model))
    if request.pack:
        _write_pack(out, recogniser, exported_pixels(recogniser.model), detector)
    return difference


def _export_adapted(recogniser: AdaptedRecogniser, out: Path, request: ExportRequest, detector: Path | None) -> float:
    """The graph of the recogniser behind, with the map at its end; compared with the adapted recogniser on faces."""
    base, given = recogniser.base, AS_THE_MODEL_SAYS
    if not request.onnx:
        raise UsageError(
            f"{recogniser.name} has a map behind its network, which only ONNX can hold; leave out --no-onnx."
        )
    with atomic_path(out / ONNX_FILE) as temporary:
        if isinstance(base, Trainable):
            pixels = exported_pixels(base.model)
            given = InputFormat(mean=pixels.mean, scale=pixels.scale, colour=pixels.colour)
            write_onnx(base.model, temporary)
            model, output = load_whole(temporary), ONNX_OUTPUT
        elif isinstance(base, OnnxRecogniser):
            model, output = load_whole(base.file.path), base.output
        else:
            raise BadInputError(
                f"{recogniser.name} has no graph that could be written: it is {base.description.architecture}."
            )
        made = append_map(model, output, recogniser.map)
        if isinstance(base, OnnxRecogniser):
            note_reading(made, base.reading)
        write_bytes(temporary, made.SerializeToString())
        written = run_onnx(read_onnx(temporary), recogniser.name, given)
        faces = fixed_images(3, recogniser.input_size)
        difference = relative_difference(written.embed(faces), recogniser.embed(faces))
        if not difference <= TOLERANCE:
            raise FrbiasError(f"The ONNX graph differs from the recogniser by {difference:.2g} of the largest value.")
    if request.pack and isinstance(base, Trainable):
        _write_pack(out, recogniser, exported_pixels(base.model), detector)
    elif detector is not None:
        raise UsageError(f"{recogniser.name} normalises pixels in its own way, so it cannot be put into a pack.")
    return difference


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

    Input ``data``: RGB (N, 3, 112, 112), normalised as :func:`exported_pixels` says, which is (pixel - 127.5) / 127.5 unless
    the weights were trained with another mean. Output ``embedding``: (N, D), not normalised. The metadata entry ``frbias``
    says how pixels are normalised.
    """
    import onnx

    size = model.input_size
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor on every call
        torch.onnx.export(
            _for_insightface(model),
            (example,),
            str(path),
            input_names=["data"],
            output_names=[ONNX_OUTPUT],
            dynamic_axes={"data": {0: "N"}, ONNX_OUTPUT: {0: "N"}},
            opset_version=_OPSET,
            dynamo=False,
        )

    written = onnx.load(str(path))
    pixels = exported_pixels(model).to_json()
    onnx.helper.set_model_props(written, {"frbias": json.dumps({"layout": "NCHW", **pixels})})
    onnx.save(written, str(path))


def exported_pixels(model: Backbone) -> Pixels:
    """What has to be done to pixels before the exported file: (pixel - 127.5) / 127.5 wherever that can be.

    Raises:
        FrbiasError: Every channel has a mean or scale of its own, which insightface has no place for.
    """
    pixels = model.pixels
    if pixels.mean == (MEAN,) * 3:
        return Pixels()
    if len(set(pixels.mean)) == len(set(pixels.scale)) == 1:
        return Pixels("RGB", pixels.mean, pixels.scale)
    raise FrbiasError(f"{model.architecture} normalises pixels in a way that insightface has no place for.")


def _for_insightface(model: Backbone) -> Backbone:
    """A copy that takes RGB pixels normalised as :func:`exported_pixels` says."""
    twin = copy.deepcopy(model).eval()
    first = next(m for m in twin.modules() if isinstance(m, torch.nn.Conv2d))
    ratio = torch.tensor(exported_pixels(model).scale) / torch.tensor(twin.pixels.scale)
    with torch.no_grad():
        first.weight.mul_(ratio.reshape(1, 3, 1, 1))
        if twin.pixels.colour == "BGR":
            first.weight.copy_(first.weight.flip(1).clone())
    return twin


def _write_pack(out: Path, backbone: Recogniser, pixels: Pixels, detector: Path | None) -> None:
    """Write manifest, licence and detector: what insightface needs beside the recogniser."""
    licence = backbone.description.licence or "that of the weights the training started from"
    tasks: dict[str, Any] = {}
    if detector is not None:
        write_bytes(out / DETECTOR_FILE, detector.read_bytes())
        tasks["detection"] = {"file": DETECTOR_FILE, "sha256": sha256_file(out / DETECTOR_FILE)}
    tasks["recognition"] = {
        "file": ONNX_FILE,
        "preprocessing": {"mean": pixels.mean[0], "std": pixels.scale[0]},
        "input_size": list(backbone.input_size),
        "embedding_dimension": backbone.embedding_length,
        "sha256": sha256_file(out / ONNX_FILE),
    }
    manifest = {"manifest_version": 2, "model_id": _model_id(backbone.name), "license": LICENCE_FILE, "tasks": tasks}
    write_text(out / LICENCE_FILE, f"Recogniser {backbone.name}, written by frbias. Licence: {licence}.\n")
    write_json(out / MANIFEST_FILE, manifest)


def _model_id(name: str) -> str:
    return "frbias-" + re.sub(r"[^A-Za-z0-9._-]", "-", name)[:100]
