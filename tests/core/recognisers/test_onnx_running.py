"""Any ONNX recogniser gives through frbias what onnxruntime gives; what is none is refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from small_graphs import (
    SmallEdge,
    SmallTransformer,
    constant,
    convolutional,
    exported,
    save,
)

from frbias.core.data.embeddings import read_embeddings
from frbias.core.data.samples import make_table
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.files import sha256_file
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.input_format import InputFormat
from frbias.core.recognisers.loading import load_recogniser, load_trainable
from frbias.core.recognisers.onnx_running import OnnxRecogniser
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.stages.embed import embed_table

FACES = np.random.default_rng(5).integers(0, 256, (7, 40, 24, 3), dtype=np.uint8)


def told_by_onnxruntime(
    path: Path, faces: np.ndarray, mean: object, scale: object, colour: str, layout: str
) -> np.ndarray:
    """One face at a time, straight through onnxruntime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name, rows = session.get_inputs()[0].name, []
    for face in faces:
        pixels = face[..., ::-1] if colour == "BGR" else face
        values = ((pixels.astype(np.float64) - mean) / scale).astype(np.float32)
        rows.append(session.run(None, {name: (values if layout == "NHWC" else values.transpose(2, 0, 1))[None]})[0][0])
    return np.stack(rows)


def near(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.shape == wanted.shape and bool(np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max())


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("batch", ["N", 1, 3])
def test_through_the_stage_it_gives_what_onnxruntime_gives(
    layout: str, colour: str, batch: object, tmp_path: Path
) -> None:
    path = convolutional(tmp_path / "mine.onnx", layout=layout, batch=batch if batch != 3 else 3)  # type: ignore[arg-type]
    mean, scale = (110.0, 100.0, 90.0), (61.0, 62.5, 64.0)
    (tmp_path / "mine.toml").write_text(
        f'[input]\ncolour = "{colour}"\nmean = {list(mean)}\nscale = {list(scale)}\nlayout = "{layout}"\n'
    )
    rows = []
    for i, face in enumerate(FACES):
        Image.fromarray(face).save(tmp_path / f"{i}.png")
        rows.append({"file_name": f"{i}.png", "subject": "s", "age": 20})
    found = load_recogniser(str(path))
    assert isinstance(found, OnnxRecogniser)
    assert (found.input_size, found.embedding_length, found.description.assumed) == ((40, 24), 16, ())
    embed_table(make_table(tmp_path, rows), found, tmp_path / "out")
    read = read_embeddings(tmp_path / "out")
    if batch == 3:  # onnxruntime wants three at a time; the same graph with one gives the same
        path = convolutional(tmp_path / "one.onnx", layout=layout)
    assert near(read.matrix, told_by_onnxruntime(path, FACES, mean, scale, colour, layout))
    assert read.provenance["backbone"]["preprocessing"] == {"colour": colour, "mean": list(mean), "scale": list(scale)}
    assert read.provenance["backbone"]["trainable"] is False


@pytest.mark.parametrize("model", [SmallTransformer, SmallEdge])
@pytest.mark.parametrize("open_batch", [True, False])
def test_transformers(model: type[torch.nn.Module], open_batch: bool, tmp_path: Path) -> None:
    path = exported(tmp_path / "vit.onnx", model(), open_batch=open_batch)
    faces = np.random.default_rng(2).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)
    notes = Notes()
    found = load_recogniser(str(path), progress=notes)  # type: ignore[arg-type]
    assert near(found.embed(faces), told_by_onnxruntime(path, faces, 127.5, 127.5, "RGB", "NCHW"))
    assert len(notes.said) == 1
    assert "trainable: no" in notes.said[0]
    assert "colour, mean, scale assumed" in notes.said[0]


@pytest.mark.parametrize(
    ("inside", "pixels"),
    [
        (("Sub", 127.5, "Mul", 1 / 128), (0.0, 1.0)),
        (("Sub", 127.0, "Div", 128.0), (0.0, 1.0)),
        (("Div", 255.0, "Sub", 0.5), (0.0, 1.0)),
        (("Mul", 1 / 255, "Add", 0.0), (0.0, 1.0)),
        (("Sub", 127.5, "Add", 0.0), (0.0, 1.0)),
        (("Sub", 0.5, "Div", 0.5), (0.0, 255.0)),
        (("Mul", 2.0, "Sub", 1.0), (0.0, 255.0)),
    ],
)
def test_normalisation_inside_the_graph_is_not_done_twice(
    inside: tuple, pixels: tuple[float, float], tmp_path: Path
) -> None:
    path = convolutional(tmp_path / "inside.onnx", inside=inside)
    found = load_recogniser(str(path))
    assert found.description.pixels == Pixels("RGB", (pixels[0],) * 3, (pixels[1],) * 3)
    assert found.description.assumed == ("colour",)
    assert near(found.embed(FACES), told_by_onnxruntime(path, FACES, *pixels, "RGB", "NCHW"))


def test_whole_pixels(tmp_path: Path) -> None:
    path = convolutional(tmp_path / "whole.onnx", kind=TensorProto.UINT8, inside=("Sub", 127.5, "Div", 127.5))
    found = load_recogniser(str(path))
    session = onnxruntime.InferenceSession(str(path))
    wanted = session.run(None, {"face": FACES.transpose(0, 3, 1, 2)})[0]
    assert near(found.embed(FACES), wanted)
    with pytest.raises(BadInputError, match="whole pixels"):
        load_recogniser(str(path), given=InputFormat(mean=(3.0,)))


def test_what_is_said_goes_before_what_is_read(tmp_path: Path) -> None:
    said = json.dumps({"colour": "BGR", "mean": 1, "scale": 2})
    path = convolutional(tmp_path / "m.onnx", metadata=said)
    assert load_recogniser(str(path)).description.pixels == Pixels("BGR", (1.0,) * 3, (2.0,) * 3)
    (tmp_path / "m.json").write_text('{"input": {"mean": 5}, "other": 1}')
    assert load_recogniser(str(path)).description.pixels == Pixels("BGR", (5.0,) * 3, (2.0,) * 3)
    (tmp_path / "m.toml").write_text("[input]\nmean = 6")
    assert load_recogniser(str(path)).description.pixels == Pixels("BGR", (6.0,) * 3, (2.0,) * 3)
    given = InputFormat(mean=(7.0,), colour="RGB")
    assert load_recogniser(str(path), given=given).description.pixels == Pixels("RGB", (7.0,) * 3, (2.0,) * 3)


def test_what_is_said_elsewhere_counts_to_the_hash(tmp_path: Path) -> None:
    path = convolutional(tmp_path / "m.onnx")
    alone = load_recogniser(str(path)).sha256
    assert alone == sha256_file(path)
    given = load_recogniser(str(path), given=InputFormat(colour="BGR")).sha256
    (tmp_path / "m.toml").write_text('[input]\ncolour = "BGR"')
    assert load_recogniser(str(path)).sha256 == given != alone


def test_open_sizes(tmp_path: Path) -> None:
    path = convolutional(tmp_path / "open.onnx", size=("h", "w"))
    found = load_recogniser(str(path))
    assert found.input_size == (112, 112)
    assert "input size" in found.description.assumed
    other = load_recogniser(str(path), given=InputFormat(input_size=(40, 24)))
    assert near(other.embed(FACES), told_by_onnxruntime(path, FACES, 127.5, 127.5, "RGB", "NCHW"))


def test_a_batch_axis_that_is_open_only_in_name(tmp_path: Path) -> None:
    """The graph claims any batch, but reshapes to one face: faces go through one at a time."""
    weights = np.random.default_rng(0).normal(size=(6, 48)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[10, 6], strides=[10, 6]),
        helper.make_node("Reshape", ["p", "s"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], transB=1),
    ]
    initial = [constant("s", np.array([1, 48])), constant("m", weights)]
    path = save(
        tmp_path / "fixed.onnx",
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 40, 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6])],
        initial,
    )
    found = load_recogniser(str(path))
    assert near(found.embed(FACES), told_by_onnxruntime(path, FACES, 127.5, 127.5, "RGB", "NCHW"))


def test_weights_in_a_file_beside(tmp_path: Path) -> None:
    whole = convolutional(tmp_path / "whole.onnx")
    model = onnx.load(str(whole))
    onnx.save(model, str(tmp_path / "split.onnx"), save_as_external_data=True, location="split.data", size_threshold=0)
    one, two = load_recogniser(str(whole)), load_recogniser(str(tmp_path / "split.onnx"))
    assert near(two.embed(FACES), one.embed(FACES))
    data = bytearray((tmp_path / "split.data").read_bytes())
    data[40] ^= 1
    (tmp_path / "split.data").write_bytes(data)
    assert load_recogniser(str(tmp_path / "split.onnx")).sha256 != two.sha256
    (tmp_path / "split.data").unlink()
    with pytest.raises(BadInputError, match=r"split\.data, which is not beside it"):
        load_recogniser(str(tmp_path / "split.onnx"))


@pytest.mark.parametrize("place", ["../secret.data", "/etc/passwd", "a/b"])
def test_weights_elsewhere_are_refused(place: str, tmp_path: Path) -> None:
    model = onnx.load(str(convolutional(tmp_path / "m.onnx")))
    (tmp_path / "secret.data").write_bytes(bytes(10_000))
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, place, 0, len(tensor.raw_data))
    tensor.ClearField("raw_data")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInputError, match="not a plain file beside it"):
        load_recogniser(str(tmp_path / "in/m.onnx"))


def test_of_several_outputs_the_vector_is_taken(tmp_path: Path) -> None:
    path = convolutional(tmp_path / "two.onnx", second_output=True)  # a norm beside it, as AdaFace has
    assert load_recogniser(str(path)).embedding_length == 16
    with pytest.raises(BadInputError, match=r"no output 'x'; it has vector, norm"):
        load_recogniser(str(path), given=InputFormat(output="x"))
    model = onnx.load(str(path))
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["N", 8]))
    onnx.save(model, str(tmp_path / "unclear.onnx"))
    with pytest.raises(BadInputError, match=r"name the embedding in unclear\.toml"):
        load_recogniser(str(tmp_path / "unclear.onnx"))
    (tmp_path / "unclear.toml").write_text('[input]\noutput = "flat"')
    assert load_recogniser(str(tmp_path / "unclear.onnx")).embedding_length == 8


def broken(how: str, path: Path) -> Path:
    if how == "garbage":
        path.write_bytes(b"\x08\x07 garbage")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        convolutional(path)
        path.write_bytes(path.read_bytes()[:700])
    elif how == "nan":
        convolutional(path, value=float("nan"))
    elif how == "zeros":
        convolutional(path, value=0.0)
    elif how == "one":
        convolutional(path, length=1)
    elif how == "text":
        nodes = [helper.make_node("Identity", ["x"], ["y"])]
        info = [helper.make_tensor_value_info(n, TensorProto.STRING, ["N"]) for n in "xy"]
        save(path, nodes, info[:1], info[1:], [])
    elif how == "grey":
        nodes = [helper.make_node("Flatten", ["x"], ["y"])]
        info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 40, 24])
        save(path, nodes, [info], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 960])], [])
    elif how == "two inputs":
        nodes = [helper.make_node("Add", ["x", "z"], ["y"])]
        info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3, 40, 24]) for n in "xzy"]
        save(path, nodes, info[:2], info[2:], [])
    elif how == "unknown operation":
        nodes = [helper.make_node("Exfiltrate", ["x"], ["y"], domain="evil")]
        info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3, 40, 24]) for n in "xy"]
        save(path, nodes, info[:1], info[1:], [])
    elif how == "ignores its input":
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["r"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["r", "zero"], ["n"]),
            helper.make_node("Unsqueeze", ["n", "one"], ["u"]),
            helper.make_node("Add", ["u", "c"], ["y"]),
        ]
        initial = [
            constant("zero", np.float32(0)),
            constant("one", np.array([1])),
            constant("c", np.ones(8, np.float32)),
        ]
        info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 40, 24])
        save(path, nodes, [info], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 8])], initial)
    return path


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("garbage", "cannot be read as ONNX"),
        ("empty", "cannot be read as ONNX"),
        ("cut", "cannot be read as ONNX|does not run"),
        ("nan", "not finite"),
        ("zeros", "embedding of zeros"),
        ("one", r"not one vector a face"),
        ("text", "not colour images"),
        ("grey", "not colour images"),
        ("two inputs", "has 2 inputs"),
        ("unknown operation", "does not run"),
        ("ignores its input", "same embedding for different pictures"),
    ],
)
def test_what_is_no_recogniser(how: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        load_recogniser(str(broken(how, tmp_path / "bad.onnx")))
    assert "\n" not in caught.value.message
    assert "bad.onnx" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mean = 3", r"no table \[input\]"),
        ("[input]\nmeans = 3", "unknown key 'means'; known are input_size, layout"),
        ("[input]\nmean = [1, 2]", "neither one number nor three"),
        ('[input]\nmean = "x"', "neither one number nor three"),
        ("[input]\nscale = 0", "cannot be 0"),
        ("[input]\nmean = nan", "neither one number nor three"),
        ('[input]\ncolour = "GRB"', "RGB or BGR"),
        ('[input]\nlayout = "CHWN"', "NCHW or NHWC"),
        ("[input]\nlayout = 3", "is no text"),
        ("[input]\ninput_size = [112]", "neither one whole number"),
        ("[input]\ninput_size = 999999", "8 to 2048"),
        ("[input]\ninput_size = 112", r"has the input size \(40, 24\), but \(112, 112\)"),
        ("[input", "cannot be read"),
    ],
)
def test_files_beside_that_cannot_be_used(text: str, said: str, tmp_path: Path) -> None:
    convolutional(tmp_path / "m.onnx")
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(BadInputError, match=said):
        load_recogniser(str(tmp_path / "m.onnx"))


def test_what_can_only_be_run_is_not_trained(tmp_path: Path) -> None:
    path = convolutional(tmp_path / "mine.onnx")
    for command in ("finetune", "export"):
        with pytest.raises(
            BadInputError, match=rf"{command} needs a recogniser that frbias can train, but mine \(mine.onnx\)"
        ):
            load_trainable(str(path), command)


def test_known_architectures_take_no_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sface is known"):
        load_recogniser("sface", given=InputFormat(colour="BGR"))


def test_sface_by_its_file(tmp_path: Path) -> None:
    from frbias.core.assets.embedded import embedded_model

    found = load_recogniser(str(embedded_model("sface")))
    assert isinstance(found, Trainable)
    assert found.sha256 == load_recogniser("sface").sha256
