"""Backbones, SFace and losses against numbers computed by the original code.

The fixtures name their own cases: other seeds, sizes, numbers of classes and backbones are picked up as they come.
"""

import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frbias.core.assets.embedded import embedded_model
from frbias.core.recognisers.trainable.base import Backbone
from frbias.core.recognisers.trainable.sface import read_sface_onnx
from frbias.core.recognisers.trainable.weights import build, from_state
from frbias.core.training.losses import margin_logits

NAMES = {f"r{n}": f"iresnet{n}" for n in (18, 34, 50, 100, 200)} | {"mbf": "mobilefacenet"}
F64, F32 = 1e-9, 5e-5


@pytest.fixture(scope="module")
def folder(fixtures_dir: Path) -> Path:
    return fixtures_dir / "arcface"


@pytest.fixture(scope="module")
def backbones(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    return load_file(folder / "backbones.safetensors"), json.loads((folder / "backbones.json").read_text())


def uniform(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [0, 1) of the fixtures' rule: the top 24 bits of Philox words keyed by seed and name."""
    generator = np.random.Philox(key=np.array([seed, zlib.crc32(name.encode())], np.uint64))
    words = np.atleast_1d(generator.random_raw(math.prod(shape)))
    return ((words >> np.uint64(40)) / 2.0**24).reshape(shape)


def filled(model: Backbone, seed: int) -> dict[str, torch.Tensor]:
    """State dict by the fixtures' rule."""
    entries = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    return {key: torch.from_numpy(_value(key, shape, entries, seed)) for key, shape in entries.items()}


def _value(key: str, shape: tuple[int, ...], entries: dict, seed: int) -> np.ndarray:
    stem, _, leaf = key.rpartition(".")
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    u = uniform(seed, key, shape)
    v = 2 * u - 1
    norm = f"{stem}.running_var" in entries
    if leaf == "running_var":
        value = 0.5 + u
    elif leaf in ("running_mean", "bias"):
        value = 0.1 * v
    elif norm:
        value = 0.2 + 0.1 * u if key.endswith(".bn3.weight") else 0.75 + 0.5 * u
    elif len(shape) >= 2:
        value = math.sqrt(3.0 / math.prod(shape[1:])) * v
    else:
        value = 0.25 + 0.1 * v
    return value.astype(np.float32)


def blank(name: str) -> Backbone:
    with torch.device("meta"):
        return build(NAMES[name])


def weights_for(name: str, seed: int) -> dict[str, torch.Tensor]:
    return filled(blank(name), seed)


def names_in(tensors: dict[str, torch.Tensor], suffix: str) -> list[str]:
    return [key.removesuffix(suffix) for key in tensors if key.endswith(suffix)]


def test_rule_known_answer() -> None:
    weight = _value("conv1.weight", (64, 3, 3, 3), {}, 20250101).reshape(-1)[:4]
    np.testing.assert_array_equal(weight, np.float32([-0.23393369, -0.25528547, 0.26256856, 0.16025884]))


def test_state_dict_keys_shapes_and_order(folder: Path) -> None:
    listed = json.loads((folder / "rules" / "state_dict_shapes.json").read_text())
    assert listed
    for name, entries in listed.items():
        found = {
            key: [str(v.dtype).removeprefix("torch."), list(v.shape)] for key, v in blank(name).state_dict().items()
        }
        assert list(found.items()) == list(entries.items()), name


def test_embeddings_in_eval_mode(backbones: tuple) -> None:
    tensors, facts = backbones
    images = tensors["input_uint8_rgb_nchw"].permute(0, 2, 3, 1).contiguous()
    names = names_in(tensors, ".embedding.f64")
    names = [n for n in names if not n.endswith(".train")]
    assert names
    for name in names:
        model = from_state(weights_for(name, facts["seed"]), name)
        with torch.no_grad():
            single = model(model.preprocess(images))
        assert (single - tensors[f"{name}.embedding.f32"]).abs().max() <= F32, name
        exact, seen = _watched_pass(model.double(), images, name, tensors)
        assert (exact - tensors[f"{name}.embedding.f64"]).abs().max() <= F64, name
        assert seen, name
        for stage, t in seen.items():
            _check_stage(t, f"{name}.stage.{stage}", tensors)


def _stage_modules(model: Backbone, name: str, stage: str) -> torch.nn.Module:
    if stage == "stem":
        return model.stages()["stem"][-1]
    return model.get_submodule(stage)


def _watched_pass(
    model: Backbone, images: torch.Tensor, name: str, tensors: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Embeddings in float64, and every intermediate map that the fixture knows, taken by hooks."""
    stages = [s.removeprefix(f"{name}.stage.") for s in names_in(tensors, ".stats") if s.startswith(f"{name}.stage.")]
    seen: dict[str, torch.Tensor] = {}
    for stage in stages:
        _stage_modules(model, name, stage).register_forward_hook(
            lambda module, inputs, output, stage=stage: seen.__setitem__(stage, output)
        )
    with torch.no_grad():
        exact = model((images.permute(0, 3, 1, 2).double() - 127.5) / 127.5)
    assert seen.keys() == set(stages)
    return exact, seen


def _check_stage(t: torch.Tensor, name: str, tensors: dict[str, torch.Tensor]) -> None:
    stats = torch.stack([t.mean(), t.std(correction=0), t.abs().max()])
    assert list(t.shape) == tensors[f"{name}.shape"].tolist()
    assert (stats - tensors[f"{name}.stats"]).abs().max() <= F64, name
    part = tensors.get(f"{name}.slice")
    if part is not None:
        step = max(1, t.shape[2] // 7)
        assert (t[:, :4, ::step, ::step] - part).abs().max() <= F64, name


def test_one_training_pass(backbones: tuple) -> None:
    """Batch statistics, gradients of every parameter and running statistics after one step in float64."""
    tensors, facts = backbones
    names = names_in(tensors, ".train.embedding.f64")
    assert names
    for name in names:
        model = from_state(weights_for(name, facts["seed"]), name).double().train()
        pixels = tensors["input_uint8_rgb_nchw"].double()
        x = ((pixels - 127.5) / 127.5).requires_grad_()
        embedding = model(x)
        expected = tensors[f"{name}.train.embedding.f64"]
        assert (embedding.detach() - expected).abs().max() <= F64
        upstream = torch.from_numpy(2 * uniform(facts["seed"], "upstream", tuple(expected.shape)) - 1)
        (embedding * upstream).sum().backward()
        part = tensors[f"{name}.train.grad_input_slice.f64"]
        assert (x.grad[:, :, ::16, ::16] - part).abs().max() <= 1e-9 * max(1.0, part.abs().max().item())
        _check_gradients(model, facts["train_grad_norms"][name])
        for kind in ("mean", "var"):
            stored = facts[f"train_running_{kind}_mean_after_one_step"][name]
            state = model.state_dict()
            for key, value in stored.items():
                assert state[key].mean().item() == pytest.approx(value, abs=1e-9), (name, key)


def _check_gradients(model: Backbone, norms: dict[str, float | None]) -> None:
    parameters = dict(model.named_parameters())
    assert parameters.keys() == norms.keys()
    for key, norm in norms.items():
        grad = parameters[key].grad
        if norm is None:
            assert grad is None
        else:
            assert grad is not None
            assert grad.norm().item() == pytest.approx(norm, rel=1e-8, abs=1e-8), key


def test_weights_of_the_rule(backbones: tuple) -> None:
    """The weights that the fixtures were made with are the ones rebuilt here."""
    _, facts = backbones
    name, wanted = next(iter(facts["weights_sha256"].items()))
    digest = hashlib.sha256()
    for value in weights_for(name, facts["seed"]).values():
        digest.update(value.numpy().tobytes())
    by_key = hashlib.sha256()
    for key, value in sorted(weights_for(name, facts["seed"]).items()):
        by_key.update(key.encode())
        by_key.update(value.numpy().tobytes())
    assert wanted in (digest.hexdigest(), by_key.hexdigest())


def test_sface(folder: Path) -> None:
    tensors = load_file(folder / "sface.safetensors")
    model = from_state(read_sface_onnx(embedded_model("sface")), "sface")
    images = tensors["input_uint8_rgb_nchw"].permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        found = model(model.preprocess(images))
    for other in ("onnxruntime", "cv2_FaceRecognizerSF_feature"):
        assert (found - tensors[f"embedding.{other}"]).abs().max() <= 2e-5, other
    seen: dict[str, torch.Tensor] = {}
    for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
        model.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o))
    with torch.no_grad():
        exact = model.double()((images.permute(0, 3, 1, 2).double() - 127.5) / 128.0)
    assert (exact - tensors["embedding.torch64"]).abs().max() <= F64
    for name, t in seen.items():
        stats = torch.stack([t.mean(), t.std(correction=0), t.abs().max()])
        assert list(t.shape) == tensors[f"stage.{name}.shape"].tolist()
        assert (stats - tensors[f"stage.{name}.stats"]).abs().max() <= F64, name


# --- losses


def filter_of(algorithm: str) -> float:
    found = re.fullmatch(r"if_cosface_filter([\d.]+)", algorithm)
    return float(found[1]) if found else 0.0


def margins_of(algorithm: str) -> tuple[tuple[float, float, float], str]:
    """(m1, m2, m3) and the kind of derivative that an algorithm of the fixtures stands for."""
    if algorithm == "if_ArcFaceClass" or algorithm.startswith(("if_arcface_minus1", "pfc_sampled")):
        return (1.0, 0.5, 0.0), "straight"
    if algorithm == "if_CosFaceClass" or algorithm.startswith("if_cosface_filter"):
        return (1.0, 0.0, 0.4), "straight"
    if found := re.fullmatch(r"(?:if|pfc)_arcface_m([\d.]+)", algorithm):
        return (1.0, float(found[1]), 0.0), "straight"
    if found := re.fullmatch(r"(?:if|pfc)_cosface_m([\d.]+)", algorithm):
        return (1.0, 0.0, float(found[1])), "straight"
    if found := re.fullmatch(r"pml_arcface_([\d.]+)deg", algorithm):
        return (1.0, math.radians(float(found[1])), 0.0), "true"
    if found := re.fullmatch(r"pml_cosface_([\d.]+)", algorithm):
        return (1.0, 0.0, float(found[1])), "true"
    raise AssertionError(f"the fixtures hold an unknown algorithm {algorithm}")


def loss_cases(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, str, str]]:
    found = {tuple(m.groups()) for key in tensors if (m := re.match(r"(\w+?)\.((?:if|pfc|pml)_.+?)\.(f32|f64)\.", key))}
    yield from sorted(found)


def test_losses_and_gradients(folder: Path) -> None:
    tensors = load_file(folder / "losses.safetensors")
    cases = list(loss_cases(tensors))
    assert cases
    for case, algorithm, precision in cases:
        check_loss(tensors, case, algorithm, precision)


def check_loss(tensors: dict[str, torch.Tensor], case: str, algorithm: str, precision: str) -> None:
    prefix = f"{case}.{algorithm}.{precision}"
    kind = torch.float64 if precision == "f64" else torch.float32
    tolerance = 1e-9 if precision == "f64" else 5e-4
    embeddings = tensors[f"{case}.embeddings"].detach().clone().to(kind).requires_grad_()
    centres = tensors[f"{case}.weight"].detach().clone().to(kind).requires_grad_()
    labels = tensors[f"{case}.labels_with_minus1" if "minus1" in algorithm else f"{case}.labels"]
    used, numbers = centres, labels
    if f"{prefix}.class_index" in tensors:
        index = tensors[f"{prefix}.class_index"]
        used = centres[index]
        numbers = torch.searchsorted(index, labels)
    cosine = torch.nn.functional.linear(torch.nn.functional.normalize(embeddings), torch.nn.functional.normalize(used))
    margins, gradient = margins_of(algorithm)
    logits = margin_logits(cosine, numbers, margins, 64.0, gradient=gradient, filter_above=filter_of(algorithm))
    if f"{prefix}.logits" in tensors:
        wanted = tensors[f"{prefix}.logits"]
        assert (logits.detach() - wanted).abs().max() <= tolerance * 64, prefix
    if f"{prefix}.loss" not in tensors:
        return
    loss = torch.nn.functional.cross_entropy(logits, numbers)
    reported = loss.detach()
    if algorithm.startswith("pfc"):  # that code reports at least exp(-loss) = 1e-30 for every image
        chosen = torch.softmax(logits.detach(), 1).gather(1, numbers[:, None])
        reported = -chosen.clamp_min(1e-30).log().mean()
    assert reported.item() == pytest.approx(tensors[f"{prefix}.loss"].item(), rel=tolerance), prefix
    loss.backward()
    for name, parameter in (("embeddings", embeddings), ("weight", centres)):
        check_gradient(parameter.grad, tensors, f"{prefix}.grad_{name}", tolerance)


def check_gradient(found: torch.Tensor, tensors: dict[str, torch.Tensor], name: str, tolerance: float) -> None:
    wanted = tensors.get(name)
    if wanted is None and f"{name}_rows0_3" in tensors:
        wanted, found = tensors[f"{name}_rows0_3"], found[:3]
    if wanted is None:
        return
    assert torch.isfinite(found).all(), name
    usable = torch.isfinite(wanted).all(dim=1)  # the original gives NaN where an embedding meets its centre
    scale = max(wanted[usable].abs().max().item() if usable.any() else 0.0, 1e-6)
    assert (found - wanted)[usable].abs().max().item() <= tolerance * scale if usable.any() else True, name
