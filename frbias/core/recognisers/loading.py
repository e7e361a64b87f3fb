"""From a name or a path to a recogniser that is ready to embed or to be trained."""

from dataclasses import replace
from pathlib import Path

import torch

from frbias.core.assets.embedded import EMBEDDED_MODELS, embedded_model
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import sha256_file, sha256_json
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.recognisers.adapted import is_adapted, read_adapted
from frbias.core.recognisers.base import Description, Pixels, Recogniser
from frbias.core.recognisers.callables import is_callable_spec, load_callable
from frbias.core.recognisers.guarded import guarded_of
from frbias.core.recognisers.input_format import AS_THE_MODEL_SAYS, InputFormat, format_beside
from frbias.core.recognisers.onnx_graph import read_onnx
from frbias.core.recognisers.onnx_running import OnnxRecogniser, has_cuda, run_onnx
from frbias.core.recognisers.packs import BACKBONE_FILE, insightface_pack, pack_recogniser, weight_file
from frbias.core.recognisers.probing import TOLERANCE, fixed_images, relative_difference
from frbias.core.recognisers.trainable.adaface import AdaFace
from frbias.core.recognisers.trainable.base import Backbone, StateDict, has_placeholder_norms, parameter_count
from frbias.core.recognisers.trainable.onnx_import import import_onnx
from frbias.core.recognisers.trainable.onnx_walk import OtherGraphError
from frbias.core.recognisers.trainable.recogniser import Trainable, require_trainable
from frbias.core.recognisers.trainable.sface import read_sface_onnx
from frbias.core.recognisers.trainable.weights import from_state, read_pixels, read_state, state_sha256

EMBEDDED = "sface"
_INSIGHTFACE = "insightface:"


def load_recogniser(
    spec: str,
    *,
    device: str | torch.device = "cpu",
    given: InputFormat = AS_THE_MODEL_SAYS,
    progress: Progress = SILENT,
) -> Recogniser:
    """Load a recogniser.

    Args:
        spec: ``sface`` (embedded); a run folder of ``frbias finetune`` (its best checkpoint); a weight file
            (``.pth``, ``.pt``, ``.safetensors``) of a known architecture; any ``.onnx`` that turns faces into vectors;
            a folder that holds one, or of ``frbias adapt``; ``module:function`` or ``file.py:function`` (runs the user's code); a registered
            name; or ``insightface:<pack>``, a pack that insightface has on this machine.
        device: Where the weights go.
        given: What the user says about the input; goes before what the model says.
        progress: Told, in one sentence, when a recogniser can only be run, or runs the user's code.

    Raises:
        AssetMissingError: Nothing of that name is installed; says where it comes from.
        BadInputError: The file holds no recogniser that frbias knows or can run.
        UsageError: ``given`` says what this kind of recogniser cannot be told.

    Example:
        >>> recogniser = load_recogniser("sface")
        >>> recogniser.name, recogniser.input_size, recogniser.embedding_length
        ('sface', (112, 112), 128)
    """
    if spec == EMBEDDED:
        return _embedded(given, device)
    if spec.startswith(_INSIGHTFACE):
        path = pack_recogniser(insightface_pack(spec.removeprefix(_INSIGHTFACE)))
        return _from_file(path, spec.replace(":", "-"), given, device, progress)
    path = Path(spec).expanduser()
    if path.exists():
        name = path.resolve().name if path.is_dir() else path.stem
        if is_adapted(path):
            record = read_adapted(path)
            return record.over(load_recogniser(record.base, device=device, given=given, progress=progress), name)
        found = _from_file(weight_file(path), name, given, device, progress)
        if isinstance(found, Trainable) and path.is_dir():
            return replace(found, description=replace(found.description, guarded=guarded_of(path)))
        return found
    if is_callable_spec(spec):
        if given != AS_THE_MODEL_SAYS:
            raise UsageError(f"{spec} takes faces as they are; what it does to pixels is its own affair.")
        progress.note(f"{spec} is your own code, which frbias now runs; it can embed, but not be trained.")
        return load_callable(spec)
    from frbias.core.assets.store import resolve_weights

    return _from_file(weight_file(resolve_weights(spec, "recogniser")), path.name, given, device, progress)


def load_trainable(
    spec: str,
    command: str,
    *,
    device: str | torch.device = "cpu",
    given: InputFormat = AS_THE_MODEL_SAYS,
    progress: Progress = SILENT,
) -> Trainable:
    """Load a recogniser for ``command``, which trains or exports it; see :func:`load_recogniser`.

    Raises:
        AssetMissingError: Nothing of that name is installed.
        BadInputError: The file holds no recogniser, or one that can only be run.
    """
    return require_trainable(load_recogniser(spec, device=device, given=given, progress=progress), command)


def trainable_of_state(
    state: StateDict, path: Path, *, name: str = "", given: InputFormat = AS_THE_MODEL_SAYS
) -> Trainable:
    """The network that the entries of a weight file tell, with its weights.

    Args:
        state: What was read from it.
        path: The file; what it notes about pixels is read too.
        name: Short name for tables; the file's without one.
        given: What the user says about the pixels.

    Raises:
        BadInputError: No known architecture has these entries, or a value is not finite.
    """
    model = from_state(state, path.name)
    said, noted = given.over(format_beside(path)), read_pixels(path)
    usual, model.pixels = model.pixels, said.pixels(noted or model.pixels)
    found = _described(model, name or path.stem, path.name, usual)
    if said.colour is None and noted is None and isinstance(model, AdaFace):
        return replace(found, description=replace(found.description, assumed=("colour",)))
    return found


def trainable_of_onnx(running: OnnxRecogniser) -> Trainable:
    """The network that an ONNX file was exported from, when frbias knows it and it computes the same.

    Raises:
        OtherGraphError: It is none that frbias can train; says why.
    """
    reading = running.reading
    if reading.layout != "NCHW" or running.file.input.kind not in ("float32", "float16"):
        raise OtherGraphError(f"its input is {running.file.input.kind} {reading.layout}")
    try:
        model = from_state(import_onnx(running.file), running.file.path.name)
    except BadInputError as error:
        raise OtherGraphError(error.message.rstrip(".")) from error
    if reading.input_size != (model.input_size, model.input_size):
        raise OtherGraphError(f"its faces are not {model.input_size} pixels wide")
    usual, model.pixels = model.pixels, reading.pixels
    found = _described(model, running.name, running.file.path.name, usual)
    faces = fixed_images(3, reading.input_size)
    difference = relative_difference(found.embed(faces), running.embed(faces))
    if not difference <= TOLERANCE:
        raise OtherGraphError(f"as {model.architecture} it would differ by {difference:.2g} of the largest value")
    return replace(found, description=replace(found.description, assumed=reading.assumed))


def _embedded(given: InputFormat, device: str | torch.device) -> Trainable:
    if given != AS_THE_MODEL_SAYS:
        raise UsageError(f"{EMBEDDED} is known; its input cannot be chosen.")
    found = _described(from_state(read_sface_onnx(embedded_model(EMBEDDED)), EMBEDDED), EMBEDDED, "embedded")
    found.model.to(device)
    return replace(found, description=replace(found.description, licence=EMBEDDED_MODELS[EMBEDDED].licence))


def _from_file(path: Path, name: str, given: InputFormat, device: str | torch.device, progress: Progress) -> Recogniser:
    if path.suffix.lower() == ".onnx":
        return _from_onnx(path, name, given, device, progress)
    if given.input_size or given.layout or given.output:
        raise UsageError(f"{path.name} has an architecture, so its size, layout and output are known; leave them out.")
    found = trainable_of_state(read_state(path), path, name=name, given=given)
    if found.description.assumed:
        progress.note(
            f"{path.name} does not say its colour order; {found.model.pixels.colour} is taken, as AdaFace has it."
        )
    found.model.to(device)
    return found


def _from_onnx(path: Path, name: str, given: InputFormat, device: str | torch.device, progress: Progress) -> Recogniser:
    if sha256_file(path) == EMBEDDED_MODELS[EMBEDDED].sha256:
        return _embedded(given, device)
    running = run_onnx(read_onnx(path), name, given)
    try:
        found = trainable_of_onnx(running)
    except OtherGraphError:
        progress.note(f"{path.name} is run as it is (trainable: no): {running.reading}.")
        if str(device).startswith("cuda") and not has_cuda():
            progress.note(f"The installed onnxruntime has no CUDA, so {path.name} runs on the CPU.")
        return running.on(str(device))
    if not name.startswith("insightface-") and {"mean", "scale"} & {*running.reading.assumed}:
        progress.note(f"{path.name} does not say how pixels are normalised: {running.reading}.")
    found.model.to(device)
    return found


def _described(model: Backbone, name: str, source: str, usual: Pixels | None = None) -> Trainable:
    """A network with what is known about it; pixels that are not as ``usual`` count to what it computes with."""
    about = Description(
        architecture=model.architecture,
        embedding_length=model.embedding_dim,
        input_size=(model.input_size, model.input_size),
        trainable=True,
        source=source,
        pixels=model.pixels,
        parameters=parameter_count(model),
        batch_norm="folded" if has_placeholder_norms(model) else "",
    )
    digest = state_sha256(model.state_dict())
    if usual is not None and model.pixels != usual:
        digest = sha256_json([digest, model.pixels.to_json()])
    return Trainable(model, name, digest, about)


__all__ = ["BACKBONE_FILE", "insightface_pack", "load_recogniser", "load_trainable", "trainable_of_onnx", "weight_file"]
