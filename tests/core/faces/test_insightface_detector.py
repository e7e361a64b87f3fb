"""The insightface detector: a pack with a known answer goes through insightface's own loader and decoder."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from frbias.core.faces.detect import DETECTION_VERSION, describe_detector, load_detector
from frbias.core.faces.networks import InsightFaceNetwork, insightface_detector_file
from frbias.core.foundation.errors import AssetMissingError, UsageError

STRIDES, SIDE = (8, 16, 32), 640
ANCHOR = (10, 6)  # row, column of the stride 32 map
DISTANCES = (2.0, 3.0, 4.0, 5.0)  # left, top, right, bottom, in strides
OFFSETS = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [-0.75, 1.25], [0.75, 1.5]])


def scrfd_with_one_face(path: Path) -> None:
    """A file with the outputs of SCRFD (scores, boxes, points at three strides) that always sees one face."""
    outputs: dict[str, np.ndarray] = {}
    for stride in STRIDES:
        anchors = 2 * (SIDE // stride) ** 2
        outputs[f"score_{stride}"] = np.zeros((anchors, 1), np.float32)
        outputs[f"bbox_{stride}"] = np.ones((anchors, 4), np.float32)
        outputs[f"kps_{stride}"] = np.ones((anchors, 10), np.float32)
    row = 2 * (ANCHOR[0] * (SIDE // 32) + ANCHOR[1])
    outputs["score_32"][row] = 0.875
    outputs["bbox_32"][row] = DISTANCES
    outputs["kps_32"][row] = OFFSETS.ravel()
    order = [f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in STRIDES]
    nodes = [helper.make_node("ReduceMax", ["input"], ["top"], keepdims=0)]
    nodes += [helper.make_node("Mul", ["top", "zero"], ["nothing"])]
    nodes += [helper.make_node("Add", [f"c_{name}", "nothing"], [name]) for name in order]
    constants = [numpy_helper.from_array(outputs[name], f"c_{name}") for name in order]
    constants.append(numpy_helper.from_array(np.zeros((), np.float32), "zero"))
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(outputs[name].shape)) for name in order],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.parent.mkdir(parents=True)
    onnx.save(model, str(path))


def scrfd_of_bright_places(path: Path) -> None:
    """A file with the outputs of SCRFD whose score at stride 32 is the mean brightness of the anchor's cell."""
    nodes = [helper.make_node("ReduceMean", ["input"], ["grey"], axes=[1], keepdims=1)]
    constants = [
        numpy_helper.from_array(np.zeros((), np.float32), "zero"),
        numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
        numpy_helper.from_array(np.array([[2.5, 3.0, 2.5, 3.0]], np.float32), "bbox"),
        numpy_helper.from_array(0.8 * OFFSETS.ravel()[None].astype(np.float32), "kps"),
    ]
    for stride in STRIDES:
        shape = {"kernel_shape": [stride] * 2, "strides": [stride] * 2}
        nodes += [
            helper.make_node("AveragePool", ["grey"], [f"pool_{stride}"], **shape),
            helper.make_node("Relu", [f"pool_{stride}"], [f"bright_{stride}"]),
            helper.make_node("Reshape", [f"bright_{stride}", "column"], [f"one_{stride}"]),
            helper.make_node("Concat", [f"one_{stride}"] * 2, [f"two_{stride}"], axis=1),
            helper.make_node("Reshape", [f"two_{stride}", "column"], [f"all_{stride}"]),
            helper.make_node("Mul", [f"all_{stride}", "zero"], [f"nothing_{stride}"]),
            helper.make_node("Add", ["bbox", f"nothing_{stride}"], [f"bbox_{stride}"]),
            helper.make_node("Add", ["kps", f"nothing_{stride}"], [f"kps_{stride}"]),
            helper.make_node(
                "Identity", [f"all_{stride}" if stride == 32 else f"nothing_{stride}"], [f"score_{stride}"]
            ),
        ]
    widths = {"score": 1, "bbox": 4, "kps": 10}
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [
            helper.make_tensor_value_info(f"{kind}_{stride}", TensorProto.FLOAT, ["anchors", width])
            for kind, width in widths.items()
            for stride in STRIDES
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.parent.mkdir(parents=True)
    onnx.save(model, str(path))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    load_detector.cache_clear()
    yield tmp_path
    load_detector.cache_clear()


def test_candidates_of_a_pack_are_in_pixels_of_the_view(home: Path) -> None:
    scrfd_with_one_face(home / ".insightface/models/mine/det_test.onnx")
    network = InsightFaceNetwork(insightface_detector_file("mine"))
    for shape, scale in (((320, 320, 3), 1.0), ((640, 200, 3), 1.0), ((1280, 700, 3), 2.0)):
        seen = network.look(np.zeros(shape, np.uint8))
        x, y = 32 * ANCHOR[1], 32 * ANCHOR[0]
        left, top, right, bottom = (32 * d for d in DISTANCES)
        np.testing.assert_allclose(seen.boxes / scale, [(x - left, y - top, left + right, top + bottom)], atol=1e-3)
        np.testing.assert_allclose(seen.points[0] / scale, OFFSETS * 32 + [x, y], atol=1e-3)
        assert seen.scores.tolist() == pytest.approx([0.875])


def test_a_pack_is_asked_over_several_scales(home: Path) -> None:
    """A graph of any size whose faces are where it is bright, seen from several anchors."""
    scrfd_of_bright_places(home / ".insightface/models/bright/scrfd_bright.onnx")
    image = np.zeros((480, 640, 3), np.uint8)
    image[150:300, 320:440] = 255
    (face,) = load_detector("insightface:bright").detect(image)
    assert face.views >= 3
    assert face.score > 0.8
    np.testing.assert_allclose(face.points.mean(axis=0), [380, 225], atol=45)  # anchors are corners of cells
    assert face.points[0, 0] < face.points[1, 0]
    assert load_detector("insightface:bright").detect(np.zeros((480, 640, 3), np.uint8)) == []


def test_provenance_names_the_pack_and_the_hash(home: Path) -> None:
    scrfd_with_one_face(home / ".insightface/models/mine/det_test.onnx")
    record = describe_detector("insightface:mine")
    assert record["name"] == "insightface:mine"
    assert len(record["sha256"]) == 64
    assert record["version"] == DETECTION_VERSION


def test_a_missing_pack_says_where_it_would_be(home: Path) -> None:
    with pytest.raises(AssetMissingError, match="buffalo_l") as caught:
        describe_detector("insightface:buffalo_l")
    assert str(home) in str(caught.value)
    assert "non-commercial" in str(caught.value)
    with pytest.raises(UsageError, match="unknown"):
        load_detector("insightface:")
