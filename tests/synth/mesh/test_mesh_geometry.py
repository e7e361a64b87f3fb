import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.synth.mesh.geometry import normals
from frbias.synth.mesh.raster import barycentric, rasterise
from frbias.synth.mesh.scene import rotation
from frbias.synth.mesh.subdivision import catmull_clark

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], dtype=np.int32
)


def test_a_cube_is_subdivided_as_catmull_and_clark_say():
    matrix, quads = catmull_clark(8, CUBE_QUADS)
    refined = matrix @ CUBE
    assert refined.shape == (8 + 12 + 6, 3)
    assert quads.shape == (24, 4)
    np.testing.assert_allclose(np.abs(refined[:8]), 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(refined[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)))
    np.testing.assert_allclose(np.sort(np.abs(refined[20:]), axis=1), np.tile([0, 0, 1.0], (6, 1)))
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)).ravel(), 1.0)


def test_the_rim_of_an_open_mesh_is_a_cubic_spline_and_unused_vertices_stay():
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0], [9, 9, 9]], dtype=float)
    matrix, _ = catmull_clark(7, np.array([[0, 1, 4, 3], [1, 2, 5, 4]], dtype=np.int32))
    refined = matrix @ points
    np.testing.assert_allclose(refined[1], [1, 0, 0])
    np.testing.assert_allclose(refined[0], 0.75 * points[0] + 0.125 * (points[1] + points[3]))
    np.testing.assert_allclose(refined[6], points[6])


def test_normals_of_a_cube_point_outwards():
    triangles = np.concatenate([CUBE_QUADS[:, [0, 1, 2]], CUBE_QUADS[:, [0, 2, 3]]])
    found = normals(CUBE.astype(np.float32), triangles)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert ((found * CUBE).sum(axis=1) > 0.9).all()


def _brute_force(points, triangles, size):
    depth = np.full((size, size), np.inf)
    ids = np.full((size, size), -1)
    for t, (i, j, k) in enumerate(triangles):
        corners = np.column_stack([points[[i, j, k], :2], np.ones(3)]).T
        if abs(np.linalg.det(corners)) < 1e-6:
            continue
        for y in range(size):
            for x in range(size):
                weights = np.linalg.solve(corners, [x + 0.5, y + 0.5, 1])
                z = float(weights @ points[[i, j, k], 2])
                if weights.min() >= 0 and z < depth[y, x]:
                    depth[y, x], ids[y, x] = z, t
    return depth, ids


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8))
def test_the_rasteriser_agrees_with_brute_force(seed, count):
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-3, 15, (3 * count, 2)), rng.uniform(1, 5, 3 * count)]).astype(np.float32)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    depth, ids = rasterise(points, triangles, (12, 12))
    expected_depth, expected = _brute_force(points.astype(float), triangles, 12)
    assert (ids == expected).mean() > 0.98  # a centre on an edge may fall on either side
    same = ids == expected
    np.testing.assert_allclose(depth[same], expected_depth[same], rtol=1e-4)
    weights = barycentric(points, triangles, ids)
    assert weights.shape == ((ids >= 0).sum(), 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_of_two_equally_near_triangles_the_first_is_drawn():
    points = np.array([[0, 0, 1], [8, 0, 1], [0, 8, 1]], dtype=np.float32)
    _, ids = rasterise(points, np.array([[0, 1, 2], [0, 1, 2]], dtype=np.int32), (8, 8))
    assert set(np.unique(ids)) == {-1, 0}


@pytest.mark.parametrize(
    ("pose", "expected"),
    [((90, 0, 0), (1, 0, 0)), ((0, 90, 0), (0, 1, 0)), ((-90, 0, 0), (-1, 0, 0))],
)
def test_positive_yaw_turns_the_face_to_the_viewers_right_and_positive_pitch_up(pose, expected):
    np.testing.assert_allclose(rotation(*pose) @ [0, 0, 1], expected, atol=1e-12)


def test_positive_roll_tilts_the_head_clockwise():
    np.testing.assert_allclose(rotation(0, 0, 90) @ [0, 1, 0], [1, 0, 0], atol=1e-12)
