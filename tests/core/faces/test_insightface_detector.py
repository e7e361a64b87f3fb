"""The insightface detector: a pack with a known answer goes through insightface's own loader and decoder."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from frbias.core.faces.detect import describe_detector, load_detector
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    load_detector.cache_clear()
    yield tmp_path
    load_detector.cache_clear()


def test_faces_of_a_pack_come_back_in_pixels_of_the_image(home: Path) -> None:
    scrfd_with_one_face(home / ".insightface/models/mine/det_test.onnx")
    (face,) = load_detector("insightface:mine").detect(np.zeros((320, 320, 3), np.uint8))
    x, y = 32 * ANCHOR[1] / 2, 32 * ANCHOR[0] / 2  # the image is seen at twice its size
    left, top, right, bottom = (16 * d for d in DISTANCES)
    np.testing.assert_allclose(face.box, (x - left, y - top, left + right, top + bottom), atol=1e-3)
    np.testing.assert_allclose(face.points, OFFSETS * 16 + [x, y], atol=1e-3)
    assert face.score == pytest.approx(0.875)


def test_provenance_names_the_pack_and_the_hash(home: Path) -> None:
    scrfd_with_one_face(home / ".insightface/models/mine/det_test.onnx")
    record = describe_detector("insightface:mine")
    assert record["name"] == "insightface:mine"
    assert len(record["sha256"]) == 64


def test_a_missing_pack_says_where_it_would_be(home: Path) -> None:
    with pytest.raises(AssetMissingError, match="buffalo_l") as caught:
        describe_detector("insightface:buffalo_l")
    assert str(home) in str(caught.value)
    assert "non-commercial" in str(caught.value)
    with pytest.raises(UsageError, match="unknown"):
        load_detector("insightface:")
