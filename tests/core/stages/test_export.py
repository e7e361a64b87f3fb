"""Exports load where people use them and compute the same; ONNX recognisers come back as networks."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from frbias.core.assets.embedded import embedded_model
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.recognisers.base import Description
from frbias.core.recognisers.loading import load_recogniser
from frbias.core.recognisers.onnx_check import check_onnx
from frbias.core.recognisers.onnx_export import write_onnx
from frbias.core.recognisers.onnx_graph import read_onnx
from frbias.core.recognisers.probing import fixed_images
from frbias.core.recognisers.trainable.onnx_import import import_onnx
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.recognisers.trainable.weights import build, from_state
from frbias.core.stages.export import ONNX_FILE, export_recogniser
from frbias.core.stages.requests.export import ExportRequest


@pytest.fixture(scope="module")
def resnet() -> Trainable:
    """An iresnet18 with random weights and statistics, 32 numbers per face."""
    torch.manual_seed(3)
    model = build("iresnet18", 32)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif "bn" in name or "downsample.1" in name:
                value.mul_(torch.empty_like(value).uniform_(0.8, 1.2)) if name.endswith("weight") else None
            elif name.endswith("conv1.weight") or name.endswith("conv2.weight"):
                value.mul_(0.5)
    return Trainable(
        model.eval(), "small", "0" * 64, Description("iresnet18", 32, (112, 112), True, "test", licence="none")
    )


@pytest.fixture(scope="module")
def pack(resnet: Trainable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "pack"
    done = export_recogniser(resnet, out, ExportRequest(weights="small"), detector=embedded_model("yunet"))
    assert done.largest_difference is not None
    assert done.largest_difference < 1e-5
    return out


def embeddings(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(model.preprocess(torch.from_numpy(images))).numpy()


def test_insightface_loads_the_file_and_the_pack(resnet: Trainable, pack: Path) -> None:
    from insightface.app import FaceAnalysis
    from insightface.model_zoo import get_model

    images = fixed_images(3, 112)
    wanted = embeddings(resnet.model, images)
    loaded = [
        get_model(str(pack / ONNX_FILE)),
        get_model(str(pack), model_task="recognition"),
        FaceAnalysis(name=str(pack)).models["recognition"],
    ]
    for recogniser in loaded:
        found = recogniser.get_feat([image[:, :, ::-1] for image in images])
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    face = SimpleNamespace(kps=np.float32([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]]))
    assert loaded[2].get(images[0][:, :, ::-1], face).shape == (32,)


def test_one_file_one_output_open_batch(pack: Path) -> None:
    graph = onnx.load(str(pack / ONNX_FILE)).graph
    assert [o.name for o in graph.output] == ["embedding"]
    assert [d.dim_value or d.dim_param for d in graph.input[0].type.tensor_type.shape.dim] == ["N", 3, 112, 112]
    assert {p.name for p in pack.iterdir()} == {
        ".files.csv",
        "README.md",
        "MODEL.LICENSE",
        "backbone.safetensors",
        "detection.onnx",
        "manifest.json",
        "provenance.json",
        "recognition.onnx",
    }


def test_onnx_becomes_a_network_again(resnet: Trainable, pack: Path) -> None:
    assert not any(
        n.op_type == "BatchNormalization" and "conv" in n.input[0] for n in onnx.load(str(pack / ONNX_FILE)).graph.node
    )
    again = from_state(import_onnx(read_onnx(pack / ONNX_FILE)), "it")
    assert (again.architecture, again.embedding_dim) == ("iresnet18", 32)
    images = fixed_images(4, 112)
    wanted = embeddings(resnet.model, images)
    assert np.abs(embeddings(again, images) - wanted).max() <= 1e-5 * np.abs(wanted).max()
    loaded = load_recogniser(str(pack / ONNX_FILE))
    assert loaded.description.batch_norm == "folded"
    assert loaded.model.fc.weight.requires_grad


def test_pack_folders_load_by_their_weights(resnet: Trainable, pack: Path, tmp_path: Path) -> None:
    assert torch.equal(load_recogniser(str(pack)).model.fc.weight, resnet.model.fc.weight)
    bare = tmp_path / "bare"
    shutil.copytree(pack, bare)
    (bare / "backbone.safetensors").unlink()
    assert load_recogniser(str(bare)).description.source == ONNX_FILE
    (bare / "manifest.json").write_text('{"tasks": {"recognition": {"file": "../../secret.onnx"}}}')
    with pytest.raises(BadInputError, match="not in the folder"):
        load_recogniser(str(bare))


def test_sface_is_rescaled_for_insightface(tmp_path: Path) -> None:
    from insightface.model_zoo import get_model

    sface = load_recogniser("sface")
    write_onnx(sface.model, tmp_path / "sface.onnx")
    assert check_onnx(sface.model, tmp_path / "sface.onnx") < 1e-5
    images = fixed_images(2, 112)
    found = get_model(str(tmp_path / "sface.onnx")).get_feat([image[:, :, ::-1] for image in images])
    assert np.abs(found - embeddings(sface.model, images)).max() < 1e-4
    again = load_recogniser(str(tmp_path / "sface.onnx"))
    assert (again.description.architecture, again.description.trainable) == ("sface", True)
    assert np.abs(again.embed(images) - embeddings(sface.model, images)).max() < 1e-4


def test_a_wrong_graph_is_not_written(resnet: Trainable, tmp_path: Path) -> None:
    write_onnx(resnet.model, tmp_path / "a.onnx")
    graph = onnx.load(str(tmp_path / "a.onnx"))
    weight = next(i for i in graph.graph.initializer if len(i.dims) == 2)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    onnx.save(graph, str(tmp_path / "b.onnx"))
    with pytest.raises(BadInputError, match="not used"):
        check_onnx(resnet.model, tmp_path / "b.onnx")


def test_a_detector_without_a_pack_has_no_place() -> None:
    with pytest.raises(UsageError, match="--detector"):
        ExportRequest(weights="small", pack=False, detector="insightface:x")
