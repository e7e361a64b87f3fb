"""Cameras, rays, samples, marching and plane lookups against closed forms and brute force."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from frbias.synth.eg3d.cameras import Pose, intrinsics, look_at, pitch_offset
from frbias.synth.eg3d.marching import interval_weights, mean_depth, sample_weights
from frbias.synth.eg3d.rays import coarse_depths, even_positions, fine_depths, make_rays
from frbias.synth.eg3d.renderer import clamp_depth
from frbias.synth.eg3d.triplanes import PLANE_AXES, mean_features, merge_planes, plane_features

PIVOT, RADIUS = (0.0, 0.0, 0.2), 2.7
degrees = st.floats(-80, 80)


@given(degrees, st.floats(-60, 60))
@settings(max_examples=60, deadline=None)
def test_a_pose_puts_the_camera_at_its_true_angles(yaw: float, pitch: float) -> None:
    matrix = look_at(*Pose(yaw, pitch).offsets, PIVOT, RADIUS).double().numpy()
    position = matrix[:3, 3]
    # The face is raised by `pitch` when the camera is that much below; it turns to the viewer's right by `yaw`
    # when the camera goes to the face's other side, -x.
    elevation, azimuth = math.radians(-pitch), math.radians(-yaw)
    expected = [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)]
    np.testing.assert_allclose(position, np.array(expected) * RADIUS, atol=2e-6)


@given(st.floats(-1.4, 1.4), st.floats(-1.2, 1.2))
@settings(max_examples=60, deadline=None)
def test_camera_matrices_are_rigid_and_look_at_the_pivot(yaw: float, pitch: float) -> None:
    matrix = look_at(yaw, pitch, PIVOT, RADIUS).double().numpy()
    rotation = matrix[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-6)
    towards = np.array(PIVOT) - matrix[:3, 3]
    np.testing.assert_allclose(rotation[:, 2], towards / np.linalg.norm(towards), atol=1e-6)
    assert abs(rotation[1, 0]) < 1e-6  # no roll: the right axis is level
    assert rotation[1, 1] < 0  # down is down


def test_the_frontal_camera() -> None:
    expected = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    expected[2, 3] = RADIUS
    assert torch.allclose(look_at(0, 0, PIVOT, RADIUS), expected, atol=1e-6)
    assert Pose().offsets == (0.0, 0.0)


def test_pitch_is_not_an_angle() -> None:
    assert pitch_offset(math.degrees(math.asin(0.4 / math.pi))) == pytest.approx(-0.2)
    assert pitch_offset(90) == pytest.approx(-math.pi / 2)
    assert abs(pitch_offset(30)) > math.radians(30)


def test_published_focal_length() -> None:
    assert float(intrinsics(18.837)[0, 0]) == pytest.approx(4.263391, abs=2e-6)


@given(degrees, st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_rays_start_at_the_camera_and_pass_through_their_pixels(yaw: float, side: int) -> None:
    matrix, pinhole = look_at(math.radians(yaw), 0.3, PIVOT, RADIUS)[None], intrinsics()[None].clone()
    pinhole[0, 0, 1], pinhole[0, 0, 2], pinhole[0, 1, 2] = 0.2, 0.45, 0.55
    origins, directions = make_rays(matrix, pinhole, side)
    assert torch.allclose(directions.norm(dim=-1), torch.ones(1, side * side), atol=1e-6)
    assert torch.equal(origins[0], matrix[0, :3, 3].expand(side * side, 3))
    local = directions[0] @ matrix[0, :3, :3]  # back into the camera's axes
    projected = (local / local[:, 2:]) @ pinhole[0].t()
    for k in range(side * side):
        row, column = divmod(k, side)
        assert projected[k, 0] == pytest.approx((column + 0.5) / side, abs=1e-5)
        assert projected[k, 1] == pytest.approx((row + 0.5) / side, abs=1e-5)


@st.composite
def marches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    seed, samples = draw(st.integers(0, 10**6)), draw(st.integers(4, 20))
    generator = torch.Generator().manual_seed(seed)
    depths = coarse_depths(2.25, 3.3, torch.rand(6, samples, generator=generator)).sort(dim=-1).values
    scale = draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]))
    return depths, torch.randn(6, samples, generator=generator) * scale + draw(st.floats(-50, 50))


@given(marches())
@settings(max_examples=80, deadline=None)
def test_weights_are_shares_of_a_ray(march: tuple[torch.Tensor, torch.Tensor]) -> None:
    depths, densities = march
    weights = interval_weights(depths, densities)
    assert (weights >= 0).all()
    assert (weights <= 1).all()
    assert (weights.sum(dim=-1) <= 1 + 1e-5).all()
    expected = 1 - torch.exp(
        -(F.softplus((densities[:, :-1] + densities[:, 1:]) / 2 - 1) * depths.diff()).double().sum(-1)
    )
    assert torch.allclose(weights.double().sum(-1), expected, atol=1e-5)
    each = sample_weights(weights)
    values = torch.randn(depths.shape)
    between = (values[:, :-1] + values[:, 1:]) / 2
    assert torch.allclose((each * values).sum(-1), (weights * between).sum(-1), atol=1e-4)


@given(marches(), st.integers(1, 16), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_fine_samples_stay_inside_their_edges(march: tuple[torch.Tensor, torch.Tensor], count: int, seed: int) -> None:
    depths, densities = march
    weights = interval_weights(depths, densities)
    positions = torch.rand(len(depths), count, generator=torch.Generator().manual_seed(seed))
    fine = fine_depths(depths, weights, positions)
    edges = (depths[:, :-1] + depths[:, 1:]) / 2
    assert (fine >= edges[:, :1] - 1e-5).all()
    assert (fine <= edges[:, -2:-1] + 1e-5).all()  # the last edge is out of reach
    ordered = fine_depths(depths, weights, positions.sort(dim=-1).values)
    assert (ordered.diff(dim=-1) >= -1e-5).all()  # an increasing function of the position
    for ray in range(2):
        assert fine[ray].tolist() == pytest.approx(plain_samples(depths[ray], weights[ray], positions[ray]), abs=2e-4)


def plain_samples(depths: torch.Tensor, weights: torch.Tensor, positions: torch.Tensor) -> list[float]:
    """Inverse transform sampling of one ray, with loops, in float64."""
    w, t = weights.double().tolist(), depths.double().tolist()
    peaks = [max(w[max(k - 1, 0) : k + 1] or w[-1:]) for k in range(len(w) + 1)]
    smooth = [(a + b) / 2 + 0.01 for a, b in pairwise(peaks)]
    edges = [(a + b) / 2 for a, b in pairwise(t)]
    masses = [m + 1e-5 for m in smooth[1:-1]]
    cumulative = np.concatenate([[0.0], np.cumsum(np.array(masses) / sum(masses))])
    return np.interp(positions.double().numpy(), cumulative, edges[: len(cumulative)]).tolist()


def test_a_solid_wall_is_found() -> None:
    depths = torch.linspace(2, 3, 21)[None]
    densities = torch.where(depths > 2.5, 1e4, -1e4)
    weights = interval_weights(depths, densities)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    assert float(mean_depth(depths, weights)) == pytest.approx(2.575, abs=0.01)
    fine = fine_depths(depths, weights, even_positions(50)[None])
    assert float(((fine > 2.4) & (fine < 2.7)).float().mean()) > 0.8


def test_depth_of_an_empty_ray_is_the_farthest_of_its_own_image() -> None:
    depths = torch.tensor([[[2.0, 2.5, 3.0]], [[2.0, 4.0, 9.0]]])
    depth = mean_depth(depths, torch.zeros(2, 1, 2))
    assert torch.isinf(depth).all()
    assert clamp_depth(depth, depths).flatten().tolist() == [3.0, 9.0]


@given(st.integers(0, 10**6), st.sampled_from([0.7, 1.0, 2.0]), st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_lookups_are_bilinear_with_zeros_outside(seed: int, box: float, side: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    planes = torch.randn(2, 3, 4, side, side, generator=generator)
    points = (torch.rand(2, 30, 3, generator=generator) - 0.5) * box * 1.6
    expected = torch.stack(
        [
            F.grid_sample(planes[:, k], points[:, None, :, list(axes)] * 2 / box, align_corners=False)[:, :, 0]
            for k, axes in enumerate(PLANE_AXES)
        ],
        dim=1,
    ).transpose(2, 3)
    assert torch.allclose(plane_features(planes, points, box), expected, atol=1e-5)
    table = merge_planes(planes)
    assert torch.allclose(mean_features(table, points, box), expected.mean(dim=1), atol=1e-5)
    alone = mean_features(table.image(1), points[1:], box)
    assert torch.equal(alone[0], mean_features(table, points, box)[1])


def test_far_points_meet_nothing() -> None:
    table = merge_planes(torch.ones(1, 3, 2, 4, 4))
    found = mean_features(table, torch.tensor([[[1e9, 0.0, 0.0], [0.0, -1e9, 5.0], [0.0, 0.0, 0.0]]]), 1.0)
    assert found[0, :, 0].tolist() == pytest.approx([0.0, 0.0, 1.0])
