"""A fine-tuned recogniser in the forms that other tools load: ONNX, safetensors, an insightface pack, with a card."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import BadInputError, FrbiasError, UsageError
from frbias.core.foundation.files import atomic_path, sha256_file, sha256_json, write_bytes, write_json, write_text
from frbias.core.foundation.group import led
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import PROVENANCE_NAME, Work, claim_work, read_provenance
from frbias.core.recognisers.adapted import AdaptedRecogniser, is_adapted, read_adapted, write_adapted
from frbias.core.recognisers.base import Pixels, Recogniser
from frbias.core.recognisers.input_format import AS_THE_MODEL_SAYS, InputFormat
from frbias.core.recognisers.loading import BACKBONE_FILE, insightface_pack, load_recogniser
from frbias.core.recognisers.onnx_check import check_onnx
from frbias.core.recognisers.onnx_export import ONNX_OUTPUT, exported_pixels, write_onnx
from frbias.core.recognisers.onnx_graph import read_onnx
from frbias.core.recognisers.onnx_map import append_map, load_whole, note_reading
from frbias.core.recognisers.onnx_running import OnnxRecogniser, run_onnx
from frbias.core.recognisers.probing import TOLERANCE, fixed_images, relative_difference
from frbias.core.recognisers.trainable.recogniser import Trainable, require_trainable
from frbias.core.recognisers.trainable.weights import write_state
from frbias.core.reporting.cards import ModelFacts, model_card, write_card
from frbias.core.reporting.documents import read_document
from frbias.core.stages.requests.export import ExportRequest

STAGE, VERSION = "export", 2
ONNX_FILE, MANIFEST_FILE, LICENCE_FILE = "recognition.onnx", "manifest.json", "MODEL.LICENSE"
DETECTOR_FILE = "detection.onnx"


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
    task = _task(request, machine)
    machine.tell(f"exporting {task.recogniser.name}")
    return _export(task, task.place(out), force=force)


def plan_export(request: ExportRequest, out: Path | None = None, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`export` would do; raises as it does before it writes."""
    task = _task(request, machine)
    return Plan((step_of(f"Export {task.recogniser.name}", task.work, task.place(out)),))


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
    return _export(_Task(recogniser, request, detector, _measured(request, recogniser)), out, force=force)


@dataclass(frozen=True, eq=False)
class _Task:
    recogniser: Trainable | AdaptedRecogniser
    request: ExportRequest
    detector: Path | None
    evaluation: Path | None

    @property
    def work(self) -> Work:
        """What the export depends on."""
        recogniser, made = self.recogniser, _made(self.request)
        inputs = {
            "weights": recogniser.sha256,
            "name": recogniser.name,
            "detector": self.detector and sha256_file(self.detector),
            "made": made and sha256_json(made) if self.request.card else None,
            "evaluation": self.evaluation and sha256_file(self.evaluation),
        }
        return Work(STAGE, VERSION, self.request.identity(), inputs)

    def place(self, out: Path | None) -> Path:
        """The folder to write."""
        return out if out is not None else Path("exports") / self.recogniser.name


def _task(request: ExportRequest, machine: Machine) -> _Task:
    detector = None if request.detector is None else detector_file(request.detector)
    recogniser = load_recogniser(request.weights, progress=machine.progress)
    if not isinstance(recogniser, AdaptedRecogniser):
        recogniser = require_trainable(recogniser, STAGE)
    return _Task(recogniser, request, detector, _measured(request, recogniser))


def _measured(request: ExportRequest, recogniser: Recogniser) -> Path | None:
    """The document of an evaluation of this very recogniser.

    Raises:
        BadInputError: It is none, or of another recogniser.
    """
    if request.evaluation is None:
        return None
    document, path = read_document(request.evaluation)
    measured = (document.get("other") or document).get("provenance", {}).get("weights_sha256")
    if measured != recogniser.sha256:
        raise BadInputError(
            f"{path} is about another recogniser than {recogniser.name}; evaluate this one, e.g. frbias evaluate --data "
            f"SET --weights {request.weights}."
        )
    return path


def _made(request: ExportRequest) -> dict[str, Any] | None:
    """What is recorded about the making of a recogniser that frbias trained or adapted."""
    found = read_provenance(Path(request.weights).expanduser())
    if found is None or found.get("stage") not in ("finetune", "adapt"):
        return None
    return {key: found.get(key, {}) for key in ("stage", "arguments", "results")}


def _export(task: _Task, out: Path, *, force: bool) -> Exported:
    folder = claim_work(out, task.work, force=force)
    if folder.finished:
        results = folder.results()
        return Exported(out, results["files"], results["largest_difference"])
    difference: float | None
    if isinstance(task.recogniser, AdaptedRecogniser):
        difference = _export_adapted(task.recogniser, out, task.request, task.detector)
    else:
        difference = _export_trainable(task.recogniser, out, task.request, task.detector)
    if task.evaluation is not None:
        write_bytes(out / "evaluation" / task.evaluation.name, task.evaluation.read_bytes())
    if task.request.card:
        write_card(out, model_card(_facts(task, out)))
    files = sorted(_names(out))
    folder.finish({"files": files, "largest_difference": difference})
    return Exported(out, files, difference)


def _names(out: Path) -> Iterator[str]:
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        if path.is_file() and name != PROVENANCE_NAME and not name.startswith("."):
            yield name


def _facts(task: _Task, out: Path) -> ModelFacts:
    made, recogniser = _made(task.request) or {}, task.recogniser
    return ModelFacts(
        recogniser.name,
        recogniser.sha256,
        recogniser.description,
        sorted(_names(out)),
        made.get("arguments", {}),
        made.get("results", {}),
        read_adapted(out).made_of if is_adapted(out) else (),
        None if task.evaluation is None else read_document(task.evaluation)[0],
    )


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


def _export_adapted(
    recogniser: AdaptedRecogniser, out: Path, request: ExportRequest, detector: Path | None
) -> float | None:
    """Weights and map as frbias loads them, and the graph of both, compared with the adapted recogniser on faces."""
    base, given = recogniser.base, AS_THE_MODEL_SAYS
    if isinstance(base, Trainable):
        with atomic_path(out / BACKBONE_FILE) as temporary:
            write_state(temporary, base.weights(), base.model.pixels)
        write_adapted(out, str(out / BACKBONE_FILE), base, recogniser.map, list(recogniser.made_of))
    elif not request.onnx:
        raise UsageError(f"{recogniser.name} has a map behind a network that only ONNX can hold; leave out --no-onnx.")
    if not request.onnx:
        return None
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
