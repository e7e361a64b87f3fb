"""Any ONNX recogniser, run by onnxruntime as it is: embeds, cannot be trained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import sha256_json
from frbias.core.recognisers.base import Description, Faces, Pixels, Vectors, check_faces
from frbias.core.recognisers.input_format import InputFormat, Layout, format_beside
from frbias.core.recognisers.onnx_graph import OnnxFile
from frbias.core.recognisers.probing import TOLERANCE, probe, relative_difference, two_crops

_USUAL_SIZE = (112, 112)


@dataclass(frozen=True)
class Reading:
    """What an ONNX recogniser is given, everything decided.

    Attributes:
        input_size: Height and width.
        layout: Order of the axes.
        pixels: Colour order, mean and scale.
        output: Name of the output, empty for the only fitting one.
        assumed: Names of what nobody said.
        told: True when an option or a file beside the model decided any of it.
    """

    input_size: tuple[int, int]
    layout: Layout
    pixels: Pixels
    output: str
    assumed: tuple[str, ...]
    told: bool

    def format(self) -> InputFormat:
        """As a format in which nothing is left open."""
        pixels = self.pixels
        return InputFormat(self.input_size, self.layout, pixels.colour, pixels.mean, pixels.scale, self.output or None)

    def __str__(self) -> str:
        about = self.pixels.to_json()
        said = f"{self.input_size[1]}x{self.input_size[0]} {about['colour']} {self.layout}, (pixel - {about['mean']}) / {about['scale']}"
        return said + (f", {', '.join(self.assumed)} assumed" if self.assumed else "")


def decide_reading(file: OnnxFile, given: InputFormat) -> Reading:
    """Settle what a file is given: by options, the file beside it, its metadata, its graph, or as usual.

    Raises:
        BadInputError: What was said contradicts the graph, or a side file cannot be used.
    """
    outside = given.over(format_beside(file.path))
    said = outside.over(file.metadata)
    graph = file.input
    for what, asked, fixed in (
        ("input size", said.input_size, graph.input_size),
        ("layout", said.layout, graph.layout),
    ):
        if asked is not None and fixed is not None and asked != fixed:
            raise BadInputError(f"{file.path} has the {what} {fixed}, but {asked} was asked for.")
    assumed = [] if said.input_size or graph.input_size else ["input size"]
    assumed += [] if said.layout or graph.layout else ["layout"]
    layout = said.layout or graph.layout or "NCHW"
    mean, scale = said.mean, said.scale
    if mean is None and scale is None and file.takes != "unknown":
        mean, scale = (0.0,), (1.0 if file.takes == "pixels" else 255.0,)
    assumed += [name for name, value in (("colour", said.colour), ("mean", mean), ("scale", scale)) if value is None]
    pixels = replace(said, mean=mean, scale=scale).pixels()
    size = said.input_size or graph.input_size or _USUAL_SIZE
    return Reading(size, layout, pixels, said.output or "", tuple(assumed), outside != InputFormat())


@dataclass(frozen=True, eq=False)
class OnnxRecogniser:
    """A :class:`frbias.core.recognisers.base.Recogniser` run by onnxruntime; make one with :func:`run_onnx`.

    Attributes:
        name: Short name for tables and files.
        sha256: Hash of the file (and of the files with its weights, and of what was said about it elsewhere).
        description: What is known about it.
        file: The parsed file.
        reading: What it is given.
        session: The onnxruntime session.
        output: Name of the output.
        batch: Images a call takes; None for any number.
    """

    name: str
    sha256: str
    description: Description
    file: OnnxFile
    reading: Reading
    session: Any
    output: str
    batch: int | None

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        return self.reading.input_size

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding."""
        return self.description.embedding_length

    def on(self, device: str) -> Self:
        """The same on ``cpu`` or, where onnxruntime has it, ``cuda[:i]``; without CUDA it stays on the CPU."""
        wanted = _providers(device)
        if self.session.get_providers()[0] == _name(wanted[0]) and _name(wanted[0]) == "CPUExecutionProvider":
            return self
        return replace(self, session=_session(self.file, wanted))

    def embed(self, faces: Faces) -> Vectors:
        """Embeddings (N, D) of faces (N, height, width, 3); see :class:`frbias.core.recognisers.base.Recogniser`."""
        check_faces(faces, self.input_size)
        blob = self._blob(faces)
        step = self.batch or len(blob)
        parts = [self._run(blob[first : first + step], step) for first in range(0, len(blob), step)]
        return np.concatenate(parts)

    def _blob(self, faces: Faces) -> Any:
        pixels = self.reading.pixels
        ordered = faces if pixels.colour == "RGB" else faces[..., ::-1]
        if self.file.input.kind == "uint8":
            values = ordered
        else:
            mean, scale = (np.array(v, dtype=np.float32) for v in (pixels.mean, pixels.scale))
            values = ((ordered.astype(np.float32) - mean) / scale).astype(self.file.input.kind)
        return np.ascontiguousarray(values if self.reading.layout == "NHWC" else values.transpose(0, 3, 1, 2))

    def _run(self, blob: Any, step: int) -> Vectors:
        count = len(blob)
        if count < step:
            blob = np.concatenate([blob, np.zeros((step - count, *blob.shape[1:]), blob.dtype)])
        found = self.session.run([self.output], {self.file.input.name: blob})[0]
        if np.ndim(found) < 2 or len(found) != step:
            raise ValueError(f"{step} faces give an output of shape {np.shape(found)}")
        return np.asarray(found, dtype=np.float32).reshape(step, -1)[:count]


def run_onnx(file: OnnxFile, name: str, given: InputFormat, device: str = "cpu") -> OnnxRecogniser:
    """A recogniser that runs an ONNX file, tried on two crops.

    Args:
        file: The parsed file.
        name: Short name for tables and files.
        given: What the user says about its input.
        device: ``cpu`` or ``cuda[:i]``.

    Raises:
        BadInputError: It does not run, gives no embeddings, or contradicts what was said about it.
    """
    reading = decide_reading(file, given)
    if file.input.kind == "uint8" and (set(reading.pixels.mean), set(reading.pixels.scale)) != ({0.0}, {1.0}):
        raise BadInputError(f"{file.path} takes whole pixels (uint8); a mean or scale has no place.")
    session = _session(file, _providers(device))
    output = _output(file, session, reading.output)
    about = Description("onnx", 0, reading.input_size, False, file.path.name, reading.pixels, assumed=reading.assumed)
    digest = sha256_json([file.sha256, reading.format().to_json()]) if reading.told else file.sha256
    found = OnnxRecogniser(name, digest, about, file, reading, session, output, file.input.batch)
    if found.batch is None and not _batches(found):
        found = replace(found, batch=1)
    length = probe(lambda faces: _guarded(found, faces), reading.input_size, file.path.name)
    return replace(found, description=replace(about, embedding_length=length))


def _batches(recogniser: OnnxRecogniser) -> bool:
    """Whether an open batch axis is open inside too: two faces together give what they give one at a time."""
    crops = two_crops(recogniser.input_size)
    try:
        together = recogniser.embed(crops)
    except Exception:  # onnxruntime has kinds of its own; one at a time will tell
        return False
    alone = replace(recogniser, batch=1)
    single = _guarded(alone, crops)
    return together.shape == single.shape and not relative_difference(together, single) > TOLERANCE


def _guarded(recogniser: OnnxRecogniser, faces: Faces) -> Vectors:
    try:
        return recogniser.embed(faces)
    except Exception as error:  # onnxruntime has kinds of its own
        raise BadInputError(f"{recogniser.file.path} does not run on two faces: {_first(error)}") from error


def _session(file: OnnxFile, providers: Sequence[Any]) -> Any:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(file.path), options, providers=list(providers))
    except Exception as error:  # onnxruntime has kinds of its own
        raise BadInputError(f"{file.path} does not run: {_first(error)}") from error


def has_cuda() -> bool:
    """Whether the installed onnxruntime can use CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _providers(device: str) -> list[Any]:
    if device.startswith("cuda") and has_cuda():
        index = int(device.partition(":")[2] or 0)
        return [("CUDAExecutionProvider", {"device_id": index, "use_tf32": 0}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _name(provider: Any) -> str:
    return str(provider if isinstance(provider, str) else provider[0])


def _output(file: OnnxFile, session: Any, wanted: str) -> str:
    """The output that is the embedding: the one named, or the only one with more than one number a face."""
    outputs = {o.name: o.shape for o in session.get_outputs()}
    if wanted:
        if wanted not in outputs:
            raise BadInputError(f"{file.path} has no output {wanted!r}; it has {', '.join(outputs)}.")
        return wanted
    fitting = [name for name, shape in outputs.items() if len(shape) >= 2 and shape[1] != 1]
    if len(outputs) == 1:
        fitting = list(outputs)
    if len(fitting) != 1:
        raise BadInputError(
            f"{file.path} has the outputs {', '.join(outputs)}; name the embedding in {file.path.with_suffix('.toml').name}: "
            f'[input] output = "{next(iter(outputs), "name")}".'
        )
    return fitting[0]


def _first(error: Exception) -> str:
    return reason_of(error)[:300]
