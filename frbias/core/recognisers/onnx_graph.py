"""An ONNX file as data: what it takes, what it gives, and whether it normalises pixels itself.

Nothing is run here. The file is parsed, its side files (weights kept apart) are found and hashed, and the first nodes
behind the input are followed as long as they are affine (Sub, Mul, Div, Add, BatchNormalization with constants).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import sha256_file, sha256_json
from frbias.core.recognisers.input_format import InputFormat, Layout

Arrays = dict[str, npt.NDArray[Any]]
_MAX_BYTES = 2**31 - 1
_KINDS = {1: "float32", 2: "uint8", 10: "float16", 11: "float64"}
_PASSING = frozenset({"Cast", "Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Dropout"})
_METADATA_KEY = "frbias"


@dataclass(frozen=True)
class GraphInput:
    """The one input of a recogniser.

    Attributes:
        name: Its name.
        kind: ``float32``, ``float16``, ``float64`` or ``uint8``.
        batch: Images a call takes; None when the axis is open.
        layout: Order of the axes; None when the shape does not tell.
        input_size: Height and width; None when open.
    """

    name: str
    kind: str
    batch: int | None
    layout: Layout | None
    input_size: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A parsed file; make one with :func:`read_onnx`.

    Attributes:
        path: Where it is.
        model: The parsed protobuf (``onnx.ModelProto``), weights in side files not loaded.
        side_files: Files beside it that hold weights, in the order of their names.
    """

    path: Path
    model: Any
    side_files: tuple[Path, ...]

    @property
    def graph(self) -> Any:
        """The graph (``onnx.GraphProto``)."""
        return self.model.graph

    @cached_property
    def sha256(self) -> str:
        """Hash of the file, or of the file and its side files together."""
        if not self.side_files:
            return sha256_file(self.path)
        return sha256_json([sha256_file(p) for p in (self.path, *self.side_files)])

    @cached_property
    def arrays(self) -> Arrays:
        """Constant tensors by name; identities of constants included.

        Raises:
            BadInputError: One of them is damaged.
        """
        from onnx import numpy_helper

        try:
            base = str(self.path.parent)
            arrays = {i.name: numpy_helper.to_array(i, base) for i in self.graph.initializer}
            for node in self.graph.node:
                if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                    arrays[node.output[0]] = numpy_helper.to_array(node.attribute[0].t, base)
                elif node.op_type == "Identity" and node.input and node.input[0] in arrays:
                    arrays[node.output[0]] = arrays[node.input[0]]
        except Exception as error:  # onnx has kinds of its own
            raise BadInputError(f"{self.path} holds a damaged tensor: {_first(error)}.") from error
        return arrays

    @cached_property
    def input(self) -> GraphInput:
        """The image input.

        Raises:
            BadInputError: There is none or more than one, or it takes no images.
        """
        weights = {i.name for i in self.graph.initializer}
        free = [i for i in self.graph.input if i.name not in weights]
        if len(free) != 1:
            raise BadInputError(f"{self.path} has {len(free)} inputs; a recogniser has one, for images.")
        tensor = free[0].type.tensor_type
        dims = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
        kind = _KINDS.get(tensor.elem_type)
        layout: Layout | None = None
        if len(dims) == 4:
            layout = "NCHW" if dims[1] == 3 else "NHWC" if dims[3] == 3 else None
        if kind is None or len(dims) != 4 or (layout is None and None not in (dims[1], dims[3])):
            shown = "x".join("?" if d is None else str(d) for d in dims)
            raise BadInputError(
                f"{self.path} takes {kind or 'something else than numbers'} of shape {shown}, not colour images."
            )
        height, width = dims[1:3] if layout == "NHWC" else dims[2:4]
        size = None if height is None or width is None else (height, width)
        return GraphInput(free[0].name, kind, dims[0], layout, size)

    @cached_property
    def metadata(self) -> InputFormat:
        """What the entry ``frbias`` of the metadata says.

        Raises:
            BadInputError: It is there and says nothing usable.
        """
        for entry in self.model.metadata_props:
            if entry.key == _METADATA_KEY:
                try:
                    values = json.loads(entry.value)
                except (ValueError, RecursionError):
                    values = None
                if not isinstance(values, dict):
                    raise BadInputError(f"{self.path}: its metadata {_METADATA_KEY!r} are no JSON object.")
                return InputFormat.of_values(values, f"{self.path}, metadata")
        return InputFormat()

    @cached_property
    def takes(self) -> Literal["pixels", "unit", "unknown"]:
        """Pixels 0..255, or values 0..1, when the graph normalises them itself; else unknown."""
        if self.input.kind == "uint8":
            return "pixels"
        slope, offset, found = self._affine()
        if not found or not slope:
            return "unknown"
        # Of two ranges the one whose middle the graph moves nearer to 0; without an offset the one it makes about 1 wide.
        if offset:
            as_pixels = abs(127.5 * slope + offset) / abs(127.5 * slope)
            as_unit = abs(0.5 * slope + offset) / abs(0.5 * slope)
            return "pixels" if as_pixels <= as_unit else "unit"
        return "pixels" if abs(slope) < 0.2 else "unit"

    def _affine(self) -> tuple[float, float, bool]:
        """Mean slope and offset of what the first nodes do to the input, and whether they do anything."""
        users: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                users.setdefault(name, []).append(node)
        tensor, slope, offset, found = self.input.name, 1.0, 0.0, False
        while len(users.get(tensor, [])) == 1:
            node = users[tensor][0]
            if node.op_type not in _PASSING:
                step = self._step(node, tensor)
                if step is None:
                    break
                slope, offset, found = slope * step[0], offset * step[0] + step[1], True
            tensor = node.output[0]
        return slope, offset, found

    def _step(self, node: Any, tensor: str) -> tuple[float, float] | None:
        if node.op_type == "BatchNormalization":
            if any(name not in self.arrays for name in node.input[1:5]):
                return None
            scale, shift, mean, variance = (self.arrays[name].astype(np.float64) for name in node.input[1:5])
            factor = scale / np.sqrt(variance + 1e-5)
            return float(factor.mean()), float((shift - mean * factor).mean())
        if node.op_type not in ("Sub", "Mul", "Div", "Add") or len(node.input) != 2:
            return None
        first = node.input[0] == tensor
        constant = self.arrays.get(node.input[1 if first else 0])
        if constant is None or not constant.size or (node.op_type == "Div" and not first):
            return None
        value = float(constant.astype(np.float64).mean())
        if node.op_type == "Sub":
            return (1.0, -value) if first else (-1.0, value)
        if node.op_type == "Add":
            return 1.0, value
        return (value, 0.0) if node.op_type == "Mul" else (1 / value if value else 0.0, 0.0)


def read_onnx(path: Path) -> OnnxFile:
    """Parse an ONNX file; weights kept in files beside it are found, and only in the same folder.

    Raises:
        BadInputError: It cannot be read as ONNX, or points to files elsewhere.
    """
    import onnx

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is larger than 2 GB; keep its weights in a file beside it")
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise ValueError("it holds no graph")
    except Exception as error:  # protobuf has kinds of its own
        raise BadInputError(f"{path} cannot be read as ONNX: {_first(error)}.") from error
    names = {
        entry.value
        for tensor in _tensors(model.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return OnnxFile(path, model, tuple(_beside(path, name) for name in sorted(names)))


def _tensors(graph: Any) -> list[Any]:
    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            tensors.extend([attribute.t] if attribute.HasField("t") else attribute.tensors)
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                tensors.extend(_tensors(inner))
    return tensors


def _beside(path: Path, name: str) -> Path:
    file = path.with_name(name) if name and Path(name).name == name else None
    if file is None or file.is_symlink():
        raise BadInputError(f"{path} wants to read {name[:200]!r}, which is not a plain file beside it; it is refused.")
    if not file.is_file():
        raise BadInputError(f"{path} keeps its weights in {name}, which is not beside it; copy both files.")
    return file


def _first(error: Exception) -> str:
    return reason_of(error)[:200].rstrip(".")
