"""Every stored tensor of the published EG3D code's runs, against this implementation.

Reads ``<fixtures>/eg3d``: any number of cases (folders with ``config.json``), units and a snapshot. A case without
``state_dict.safetensors`` has its weights made by the recipe. On CUDA (if there is one) the same in float32 with
TF32 off, and with half-precision super-resolution at its own tolerance.
"""

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from frbias.core.assets.networks import read_network
from frbias.synth.eg3d.cameras import split_condition
from frbias.synth.eg3d.config import Eg3dConfig, read_config
from frbias.synth.eg3d.loading import build, from_record
from frbias.synth.eg3d.marching import mean_depth
from frbias.synth.eg3d.network import TriPlaneGenerator
from frbias.synth.eg3d.rays import even_positions, make_rays
from frbias.synth.eg3d.renderer import CPU_TILE, Jitter, clamp_depth, render, render_tile
from frbias.synth.eg3d.sampling import to_bytes
from frbias.synth.eg3d.triplanes import merge_planes
from frbias.synth.resampling import fir_kernel

Tensors = dict[str, Tensor]
# (largest, mean) absolute difference; where a mean is given it is what catches small mistakes.
TINY = {
    "mid.ws": (2e-6, 5e-7),
    "mid.planes": (1e-4, 4e-6),
    "mid.backbone": (1e-4, 2e-6),
    "mid.ray": (2e-6, 2e-7),
    "mid.depths_coarse": (2e-6, 2e-7),
    "mid.depths_fine": (3e-4, 2e-6),
    "mid.decoder_call0": (3e-3, 1e-4),
    "mid.decoder_call1": (3e-2, 3e-4),
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
    if base.endswith(".sigma"):  # densities reach tens, where the last bits alone differ by hundredths
        difference = difference / stored.double().abs().clamp(min=1)
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
