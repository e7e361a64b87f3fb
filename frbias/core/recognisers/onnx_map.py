"""A map of embeddings at the end of an ONNX graph: normalise, multiply, add."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from frbias.core.recognisers.maps import EmbeddingMap
from frbias.core.recognisers.onnx_running import Reading

OUTPUT = "adapted_embedding"


def append_map(model: Any, output: str, found: EmbeddingMap) -> Any:
    """A copy of a model (``onnx.ModelProto``) whose embedding goes through a map: its one output, (N, K).

    Args:
        model: The model, weights loaded.
        output: Name of the output that is the embedding, (N, D) or (N, D, 1, 1).
        found: The map.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    taken = {name for node in graph.node for name in node.output}
    count = next(n for n in range(1, len(taken) + 2) if f"{OUTPUT}_{n}" not in taken)
    own = {part: f"map{count}_{part}" for part in ("matrix", "shift", "float", "flat", "unit", "mapped")}
    for part, value in (("matrix", found.matrix.T), ("shift", found.shift)):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), own[part]))
    name = f"{OUTPUT}_{count}"
    graph.node.extend(
        [
            helper.make_node("Cast", [output], [own["float"]], to=TensorProto.FLOAT),
            helper.make_node("Flatten", [own["float"]], [own["flat"]], axis=1),
            helper.make_node("LpNormalization", [own["flat"]], [own["unit"]], axis=1, p=2),
            helper.make_node("MatMul", [own["unit"], own["matrix"]], [own["mapped"]]),
            helper.make_node("Add", [own["mapped"], own["shift"]], [name]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(found.shift)]))
    onnx.checker.check_model(made)
    return made


def note_reading(model: Any, reading: Reading) -> None:
    """Write into the metadata of a model what it is to be given, so that no file beside it has to say it."""
    said = {
        "input_size": list(reading.input_size),
        "layout": reading.layout,
        "colour": reading.pixels.colour,
        "mean": list(reading.pixels.mean),
        "scale": list(reading.pixels.scale),
        "output": model.graph.output[0].name,
    }
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != "frbias"}
    del model.metadata_props[:]
    for key, value in {**kept, "frbias": json.dumps(said)}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def load_whole(path: Path) -> Any:
    """An ONNX model with all of its weights."""
    import onnx

    return onnx.load(str(path))
