"""Unit cases of the published EG3D code (cameras, rays, planes, marching, layers, ages), against this implementation.

Reads ``<fixtures>/eg3d/units*.safetensors``.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from frbias.synth.eg3d.cameras import camera_condition, intrinsics, look_at, split_condition
from frbias.synth.eg3d.conditions import age_scalar
from frbias.synth.eg3d.config import Eg3dConfig
from frbias.synth.eg3d.marching import interval_weights, mean_depth, sample_weights
from frbias.synth.eg3d.network import Decoder, TriPlaneGenerator
from frbias.synth.eg3d.rays import coarse_depths, fine_depths, make_rays
from frbias.synth.eg3d.triplanes import mean_features, merge_planes, plane_features
from frbias.synth.resampling import fir_kernel, upsample
from frbias.synth.stylegan2 import Mapping, StyledConv, ToImage, truncate

Tensors = dict[str, Tensor]


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
