"""Every stored tensor of the published EG3D code's runs, against this implementation.

Reads ``<fixtures>/eg3d``: any number of cases (folders with ``config.json``), units and a snapshot. A case without
``state_dict.safetensors`` has its weights made by the recipe. On CUDA (if there is one) the same in float32 with
TF32 off, and with half-precision super-resolution at its own tolerance.
"""

import json
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from frbias.core.assets.networks import read_network
from frbias.synth.eg3d.cameras import camera_condition, intrinsics, look_at, split_condition
from frbias.synth.eg3d.conditions import age_scalar
from frbias.synth.eg3d.config import Eg3dConfig, read_config
from frbias.synth.eg3d.loading import build, from_record
from frbias.synth.eg3d.marching import interval_weights, mean_depth, sample_weights
from frbias.synth.eg3d.network import Decoder, TriPlaneGenerator
from frbias.synth.eg3d.rays import coarse_depths, even_positions, fine_depths, make_rays
from frbias.synth.eg3d.renderer import CPU_TILE, Jitter, clamp_depth, render, render_tile
from frbias.synth.eg3d.sampling import to_bytes
from frbias.synth.eg3d.triplanes import mean_features, merge_planes, plane_features
from frbias.synth.stylegan2 import Mapping, StyledConv, ToImage, fir_kernel, truncate, upsample

Tensors = dict[str, Tensor]
# (largest, mean) absolute difference; where a mean is given it is what catches small mistakes.
TINY = {
    "mid.ws": (4e-6, 5e-7),
    "mid.planes": (1e-4, 4e-6),
    "mid.backbone": (1e-4, 2e-6),
    "mid.ray": (2e-6, 2e-7),
    "mid.depths_coarse": (2e-6, 2e-7),
    "mid.depths_fine": (3e-4, 2e-6),
    "mid.decoder": (3e-2, 3e-4),
    "mid.merged.depths": (3e-4, 2e-6),
    "mid.merged.sigma": (3e-2, 3e-4),
    "mid.march_call0.weights": (1e-3, 2e-6),
    "mid.march_call1.weights": (1e-3, 2e-6),
    "mid.render.features": (1e-3, 1e-5),
    "mid.render.weight_sum": (1e-3, 8e-6),
    "mid.sr_block0": (1e-3, 1e-5),
    "out.image": (1e-3, 8e-6),
    "out.image_raw": (1e-3, 8e-6),
}
FULL = {**TINY, "mid.planes": (1e-4, 1e-5), "mid.sr_block0": (3e-3, 5e-5), "out.image": (3e-3, 6e-5)}
FULL |= {"mid.render.features": (3e-3, 4e-5), "out.image_raw": (3e-3, 4e-5), "mid.render.weight_sum": (2e-3, 3e-5)}
DEPTH = 5e-3
VISIBLE = 0.05


@dataclass(frozen=True)
class Case:
    """One stored configuration."""

    folder: Path
    description: dict[str, Any]

    @property
    def stored_weights(self) -> bool:
        """Whether the weights are stored, not made by the recipe."""
        return (self.folder / "state_dict.safetensors").is_file()

    def tensors(self) -> Tensors:
        """The state dict."""
        if self.stored_weights:
            return load_file(self.folder / "state_dict.safetensors")
        made = weights_by_recipe(self.description)
        return {k: made.get(k, fir_kernel()) for k in self.description["state_dict_shapes"]}

    def network(self, run: dict[str, Any], tensors: Tensors) -> TriPlaneGenerator:
        """The generator with a run's overrides."""
        init = self.description["init_kwargs"]
        kwargs = {**init["rendering_kwargs"], **run.get("rendering_overrides", {})}
        resolution = run["neural_rendering_resolution"]
        return build(read_config(tensors, kwargs, init_kwargs=init, rendering_resolution=resolution), tensors)


def weights_by_recipe(description: dict[str, Any]) -> Tensors:
    """Weights of a configuration from its rules: each tensor from its own seed, then the overrides."""
    made: dict[str, np.ndarray] = {}
    for key, shape in description["state_dict_shapes"].items():
        rule = next((r for r in description["weight_rules"] if re.fullmatch(r[0], key)), None)
        if rule is None or key.endswith("resample_filter"):
            continue
        rng = np.random.RandomState((description["weight_seed"] * 1000003 + zlib.crc32(key.encode())) % 2**32)
        made[key] = np.asarray(rule[1] + rule[2] * rng.standard_normal(shape), dtype=np.float32).reshape(shape)
    for key, action, where, value in description["weight_overrides"]:
        if action == "set":
            made[key][where] = value
        elif action == "mul":
            made[key][where] *= np.float32(value)
        else:
            made[key][:, where] *= np.float32(value)
    return {key: torch.tensor(value) for key, value in made.items()}


def cases(root: Path) -> list[Case]:
    found = [Case(p.parent, json.loads(p.read_text())) for p in sorted((root / "eg3d").glob("*/config.json"))]
    assert found, f"there is no EG3D case in {root / 'eg3d'}"
    return found


def as_slice(text: str) -> slice:
    """``224:288`` or ``::8`` as a slice."""
    return slice(*(int(part) if part.strip() else None for part in text.split(":")))


def close(name: str, mine: Tensor, stored: Tensor, limits: dict[str, tuple[float, float]]) -> None:
    """Assert that a stored tensor (or the slice that its name says) is met."""
    base, _, index = name.partition("[")
    if index:
        mine = mine[tuple(as_slice(part) for part in index.rstrip("]").split(","))]
    limit = limits[max((key for key in limits if base.startswith(key)), key=len)]
    assert mine.shape == stored.shape, f"{name}: {tuple(mine.shape)} for {tuple(stored.shape)}"
    difference = (mine.cpu().double() - stored.double()).abs()
    assert difference.max() <= limit[0], f"{name}: largest difference {difference.max():.2e}"
    assert difference.mean() <= limit[1], f"{name}: mean difference {difference.mean():.2e}"


def jitter_of(run: dict[str, Any], stored: Tensors, config: Eg3dConfig) -> Jitter:
    rendering = config.rendering
    n, rays = len(stored["in.z"]), config.rendering_resolution**2
    if run["jitter"]["mode"] == "mid":
        middle = torch.full((1, 1, rendering.depth_resolution), 0.5)
        return Jitter(middle, even_positions(rendering.depth_resolution_importance).view(1, 1, -1))
    fine = stored.get("in.u_fine", torch.zeros(0))
    return Jitter(stored["in.u_coarse"].squeeze(-1), fine.view(n, rays, -1))


def run_case(network: TriPlaneGenerator, run: dict[str, Any], stored: Tensors, device: str = "cpu") -> Tensors:
    """Everything a run can store, by its name."""
    config = network.config
    network = network.to(device)
    made: Tensors = {}
    ws = network.styles(
        stored["in.z"].float().to(device),
        stored["in.c_cond"].to(device),
        psi=run["truncation_psi"],
        cutoff=run["truncation_cutoff"],
    )
    hooks = [
        network.backbone.synthesis.get_submodule(f"b{r}").register_forward_hook(
            lambda _m, _a, out, r=r: made.update({f"mid.backbone_b{r}.x": out[0], f"mid.backbone_b{r}.img": out[1]})
        )
        for r in network.backbone.resolutions
    ]
    planes = network.planes(ws, run["noise_mode"])
    for hook in hooks:
        hook.remove()
    matrices = [m.to(device) for m in split_condition(stored["in.c_render"])]
    rays = make_rays(*matrices, config.rendering_resolution)
    jitter = jitter_of(run, stored, config)
    jitter = Jitter(jitter.coarse.to(device), jitter.fine.to(device))
    table = merge_planes(planes)
    made |= {"mid.ws": ws, "mid.planes": planes.flatten(1, 2)}
    made |= {"mid.ray_origins": rays[0], "mid.ray_directions": rays[1]}
    made |= samples_of(network, table, rays, jitter)
    rendered = render(table, network.decoder, rays, jitter, config.rendering)
    made |= {"mid.render.features": rendered.features, "mid.render.weight_sum": rendered.weight_sum}
    made["mid.render.depth"] = rendered.depth
    side = config.rendering_resolution
    image = rendered.features.transpose(1, 2).unflatten(2, (side, side))
    made["out.image_raw"] = image[:, :3]
    made["out.image_depth"] = rendered.depth.transpose(1, 2).unflatten(2, (side, side))
    x, rgb = network.superresolution.first(image, ws[:, -1])
    made |= {"mid.sr_block0.x": x, "mid.sr_block0.rgb": rgb}
    made["out.image"] = network.superresolution(image, ws[:, -1])
    made["out.image_u8"] = to_bytes(made["out.image"])
    return made


def samples_of(network: TriPlaneGenerator, table: Any, rays: tuple[Tensor, Tensor], jitter: Jitter) -> Tensors:
    """Samples of all rays, rendered in pieces."""
    pieces = [slice(i, i + CPU_TILE) for i in range(0, rays[0].shape[1], CPU_TILE)]
    found = [
        render_tile(table, network.decoder, (rays[0][:, p], rays[1][:, p]), jitter.part(p), network.config.rendering)[1]
        for p in pieces
    ]

    def whole(field: str) -> Tensor:
        return torch.cat([getattr(samples, field) for samples in found], dim=1).unsqueeze(-1)

    last = "mid.march_call1" if network.config.rendering.depth_resolution_importance else "mid.march_call0"
    return {
        "mid.depths_coarse": whole("coarse_depths"),
        "mid.depths_fine": whole("fine_depths"),
        "mid.decoder_call0.sigma": whole("coarse_density").flatten(1, 2),
        "mid.decoder_call1.sigma": whole("fine_density").flatten(1, 2),
        "mid.march_call0.weights": whole("coarse_weights"),
        "mid.merged.depths": whole("depths"),
        "mid.merged.sigma": whole("densities"),
        f"{last}.weights": whole("weights"),
        "mid.march_call0.depth": march_depth(whole("coarse_depths"), whole("coarse_weights")),
        f"{last}.depth": march_depth(whole("depths"), whole("weights")),
    }


def march_depth(depths: Tensor, weights: Tensor) -> Tensor:
    return clamp_depth(mean_depth(depths.squeeze(-1), weights.squeeze(-1)), depths.squeeze(-1))


def check_run(made: Tensors, stored: Tensors, limits: dict[str, tuple[float, float]]) -> int:
    """Compare every stored tensor but the inputs; gives how many there were."""
    checked = 0
    for name, value in stored.items():
        base = name.partition("[")[0]
        if base.startswith("in."):
            continue
        checked += 1
        if base.endswith("depth"):
            weight = (
                made[base.rpartition(".")[0] + ".weights"].sum(dim=2) if "march" in base else stored[weight_key(stored)]
            )
            seen = (weight > VISIBLE).view(-1)
            difference = (made[base].cpu() - value).abs().view(-1)[seen]
            assert seen.any()
            assert difference.max() <= DEPTH, f"{name}: {difference.max():.2e}"
        elif base == "out.image_u8":
            difference = (made[base].cpu().int() - value.int()).abs()
            assert difference.max() <= 1
            assert (difference > 0).float().mean() < 2e-3
        else:
            close(name, made[base], value, limits)
    return checked


def weight_key(stored: Tensors) -> str:
    return next(name for name in stored if name.startswith("mid.render.weight_sum"))


@torch.no_grad()
def check_cases(root: Path, device: str, *, stored_only: bool = False) -> int:
    checked = 0
    for case in cases(root):
        if stored_only and not case.stored_weights:
            continue
        tensors = case.tensors()
        for run in case.description["runs"]:
            path = case.folder / f"{run['name']}.safetensors"
            if not path.is_file():
                continue
            stored = load_file(path)
            made = run_case(case.network(run, tensors), run, stored, device)
            checked += check_run(made, stored, TINY if case.stored_weights else FULL)
    return checked


def test_every_stored_tensor_of_every_run(fixtures_dir: Path) -> None:
    assert check_cases(fixtures_dir, "cpu") >= 10


@pytest.mark.cuda
def test_every_stored_tensor_on_cuda(fixtures_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    assert check_cases(fixtures_dir, "cuda") >= 10


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@torch.no_grad()
def test_half_precision_super_resolution(fixtures_dir: Path, device: str) -> None:
    compared = 0
    for case in (case for case in cases(fixtures_dir) if case.stored_weights):
        for run in case.description["runs"]:
            path = case.folder / f"{run['name']}.safetensors"
            stored = load_file(path) if path.is_file() else {}
            if "out.image" not in stored:
                continue
            network = case.network(run, case.tensors())
            network.superresolution.set_dtype(torch.float16)
            image = run_case(network, run, stored, device)["out.image"].cpu()
            difference = (image - stored["out.image"]).abs()
            scale = max(1.0, float(stored["out.image"].abs().mean()))
            assert difference.max() <= 1e-2 * scale
            assert difference.mean() <= 1e-3 * scale
            assert difference.max() > 0, "nothing was computed in half precision"
            compared += 1
    assert compared


@torch.no_grad()
def test_a_snapshot_gives_the_named_weights_and_settings(fixtures_dir: Path) -> None:
    snapshots = sorted((fixtures_dir / "eg3d").glob("*/expected.json"))
    assert snapshots, "there is no snapshot among the fixtures"
    for path in snapshots:
        described = json.loads(path.read_text())
        network = from_record(read_network(path.parent / described["pickle"], described["take"]))
        expected = load_file(path.parent / described["expected_state_dict"])
        state = network.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
        assert network.config.rendering_resolution == described["expected"]["neural_rendering_resolution"]
        assert network.config.c_dim == described["expected"]["c_dim"]
        kwargs = described["expected"]["rendering_kwargs"]
        assert network.config.rendering.ray_end == kwargs["ray_end"]
        assert network.config.rendering.depth_resolution == kwargs["depth_resolution"]


def units(root: Path) -> Tensors:
    found = sorted((root / "eg3d").glob("units*.safetensors"))
    assert found, "there are no unit cases among the fixtures"
    return load_file(found[0])


def group(tensors: Tensors, name: str) -> Tensors:
    return {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + ".")}


def same(mine: Tensor, stored: Tensor, limit: float = 2e-6) -> None:
    assert mine.shape == stored.shape
    assert (mine.double() - stored.double()).abs().max() <= limit


@torch.no_grad()
def test_camera_units(fixtures_dir: Path) -> None:
    unit = group(units(fixtures_dir), "camera")
    pivot, radius = tuple(unit["pivot"].tolist()), float(unit["radius"])
    same(torch.stack([look_at(y, p, pivot, radius) for y, p in unit["yaw_pitch"].tolist()]), unit["cam2world"])
    same(torch.stack([intrinsics(fov) for fov in unit["fov_deg"].tolist()]), unit["intrinsics"])
    rays = group(units(fixtures_dir), "rays")
    side = round(rays["origins"].shape[1] ** 0.5)
    origins, directions = make_rays(rays["cam2world"], rays["intrinsics"], side)
    same(origins, rays["origins"])
    same(directions, rays["directions"])
    both = split_condition(camera_condition(rays["cam2world"], rays["intrinsics"]))
    assert torch.equal(both[0], rays["cam2world"])
    assert torch.equal(both[1], rays["intrinsics"])


@torch.no_grad()
def test_plane_and_decoder_units(fixtures_dir: Path) -> None:
    unit = group(units(fixtures_dir), "planes")
    box = float(unit["box_warp"])
    same(plane_features(unit["planes"], unit["xyz"], box), unit["features"])
    same(mean_features(merge_planes(unit["planes"]), unit["xyz"], box), unit["features"].mean(dim=1))
    unit = group(units(fixtures_dir), "decoder")
    hidden, channels = unit["net.0.weight"].shape
    rendering = tiny_config().rendering.overridden(decoder_lr_mul=float(unit["lr_mul"]))
    decoder = Decoder(
        replace(
            tiny_config(),
            plane_channels=channels,
            decoder_width=hidden,
            colours=len(unit["net.2.weight"]) - 1,
            rendering=rendering,
        )
    )
    decoder.load_state_dict({key: value for key, value in unit.items() if key.startswith("net.")})
    sigma, rgb = decoder(unit["sampled"].mean(dim=1))
    same(sigma, unit["sigma"], 2e-5)
    same(rgb, unit["rgb"], 2e-6)


def tiny_config() -> Eg3dConfig:
    from frbias.synth.eg3d.loading import tiny_generator

    return tiny_generator().network.config


@torch.no_grad()
def test_marching_units(fixtures_dir: Path) -> None:
    unit = group(units(fixtures_dir), "march")
    depths, sigma, colours = unit["depths"].squeeze(-1), unit["sigma"].squeeze(-1), unit["colors"]
    weights = interval_weights(depths, sigma)
    same(weights, unit["weights"].squeeze(-1))
    rgb = (sample_weights(weights).unsqueeze(-1) * colours).sum(dim=2)
    same(rgb * 2 - 1, unit["rgb"])
    same((rgb + 1 - weights.sum(dim=-1, keepdim=True)) * 2 - 1, unit["rgb_white"])
    # The published clamp spans the batch; here each image has its own.
    depth = mean_depth(depths, weights).clamp(depths.min(), depths.max())
    same(depth, unit["depth"], 1e-5)
    positions = group(units(fixtures_dir), "importance")
    fine = fine_depths(depths.flatten(0, 1), weights.flatten(0, 1), positions["u"])
    same(fine.view_as(positions["depths"]), positions["depths"], 2e-5)


@torch.no_grad()
def test_layer_units(fixtures_dir: Path) -> None:
    everything = units(fixtures_dir)
    w = group(everything, "layer")["w"]
    for name in ("layer_up", "layer_same"):
        unit = group(everything, name)
        outputs, inputs = unit["weight"].shape[:2]
        up = name.endswith("up")
        layer = StyledConv(inputs, outputs, w.shape[1], len(unit["noise_const"]), up=up, clamp=2.0 if up else None)
        layer.load_state_dict({k: v for k, v in unit.items() if k != "x" and not k.startswith("y_")})
        for noise in ("const", "none"):
            if f"y_{noise}" in unit:
                same(layer(unit["x"], w, noise), unit[f"y_{noise}"])
                alone = [layer(unit["x"][i : i + 1], w[i : i + 1], noise) for i in range(len(w))]
                same(torch.cat(alone), unit[f"y_{noise}"])
    unit = group(everything, "torgb")
    to_image = ToImage(unit["weight"].shape[1], unit["weight"].shape[0], w.shape[1], clamp=1.5)
    to_image.load_state_dict({k: v for k, v in unit.items() if k not in ("x", "y")})
    same(to_image(unit["x"], w), unit["y"])
    same(to_image(unit["x"][:1], w[:1]), unit["y"][:1])
    fir = group(everything, "fir")
    same(fir_kernel(), fir["filter"], 0)
    same(upsample(fir["x"]), fir["upsample2d"])


@torch.no_grad()
def test_mapping_and_age_units(fixtures_dir: Path) -> None:
    unit = group(units(fixtures_dir), "mapping")
    layers = sum(key.startswith("fc") and key.endswith("weight") for key in unit)
    mapping = Mapping(unit["z"].shape[1], unit["c"].shape[1], len(unit["w_avg"]), layers)
    mapping.load_state_dict({key: unit[key] for key in mapping.state_dict()})
    ws = mapping(unit["z"], unit["c"]).unsqueeze(1).expand_as(unit["ws"])
    same(ws, unit["ws"])
    truncated = [key for key in unit if key.startswith("ws_psi")]
    assert truncated
    for key in truncated:
        psi, _, cutoff = key.removeprefix("ws_psi").partition("_cut")
        same(truncate(ws, mapping.w_avg, float(psi), int(cutoff) if cutoff else None), unit[key])
    ages = group(units(fixtures_dir), "age")
    normalised = [key for key in ages if key.startswith("norm_")]
    assert normalised
    for key in normalised:
        low, high = (float(part) for part in key.split("_")[1:])
        mine = torch.tensor([age_scalar(a, low, high) for a in ages["years"].tolist()], dtype=torch.float64)
        same(mine, ages[key], 1e-12)


@torch.no_grad()
def test_resize_units(fixtures_dir: Path) -> None:
    unit = group(units(fixtures_dir), "resize")
    network = TriPlaneGenerator(tiny_config()).superresolution
    for name in (key for key in unit if key.startswith("to")):
        network.input_resolution = int(name[2:])
        same(network.resized(unit["x"]), unit[name])


def test_coarse_depths_reach_one_step_too_far() -> None:
    depths = coarse_depths(1.0, 2.0, torch.tensor([[0.0, 0.5, 1.0 - 2**-24]]))
    assert depths.tolist() == [[1.0, 1.75, pytest.approx(2.5, abs=1e-6)]]
