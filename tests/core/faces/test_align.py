"""Similarity transforms and templates against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frbias.core.faces.align import (
    ARCFACE_112,
    DegenerateFaceError,
    align_arcface,
    align_ffhq,
    apply_transform,
    arcface_template,
    ffhq_square,
    similarity_transform,
)
from frbias.core.foundation.errors import UsageError

coordinate = st.floats(-500, 500)


@given(st.floats(-3.1, 3.1), st.floats(0.05, 20), coordinate, coordinate)
def test_a_known_similarity_is_recovered(angle: float, scale: float, dx: float, dy: float) -> None:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    known = np.array([[c, -s, dx], [s, c, dy]])
    found = similarity_transform(ARCFACE_112, apply_transform(known, ARCFACE_112))
    np.testing.assert_allclose(found, known, atol=1e-8 * max(1, scale, abs(dx), abs(dy)))


@given(st.lists(st.tuples(coordinate, coordinate), min_size=5, max_size=5))
def test_it_is_the_least_squares_optimum(points: list[tuple[float, float]]) -> None:
    source = np.array(points)
    if np.ptp(source, axis=0).max() < 1:
        return
    best = similarity_transform(source, ARCFACE_112)

    def cost(m: np.ndarray) -> float:
        return float(((apply_transform(m, source) - ARCFACE_112) ** 2).sum())

    # normal equations of the linear problem in (a, b, tx, ty), solved independently
    rows, values = [], []
    for (x, y), (u, v) in zip(source, ARCFACE_112, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    assert cost(best) <= cost(np.array([[a, -b, tx], [b, a, ty]])) * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(
    "points",
    [np.full((5, 2), 7.0), np.full((5, 2), np.nan), np.zeros((1, 2)), np.array([[1, 2], [np.inf, 0]])],
)
def test_degenerate_points_are_refused(points: np.ndarray) -> None:
    with pytest.raises(DegenerateFaceError):
        similarity_transform(points, points if len(points) < 5 else ARCFACE_112)


def test_templates() -> None:
    np.testing.assert_allclose(arcface_template(224), ARCFACE_112 * 2)
    np.testing.assert_allclose(arcface_template(256)[0], (ARCFACE_112[0] + [8, 0]) * 2)
    for bad in (0, 100, 160, -112):
        with pytest.raises(UsageError, match="multiple of 112"):
            arcface_template(bad)


def test_points_on_the_template_leave_the_picture_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    face = align_arcface(image, ARCFACE_112)
    np.testing.assert_array_equal(face.image, image)
    np.testing.assert_allclose(face.points, ARCFACE_112, atol=1e-9)
    assert face.residual < 1e-9


def test_mirrored_points_have_a_large_residual() -> None:
    swapped = ARCFACE_112[[1, 0, 2, 4, 3]]
    assert align_arcface(np.zeros((112, 112, 3), np.uint8), swapped).residual > 0.2 * 112 * 0.5


UPRIGHT = np.array([[40.0, 50.0], [80.0, 50.0], [60.0, 70.0], [45.0, 90.0], [75.0, 90.0]])


def test_ffhq_square_by_hand() -> None:
    # eyes (60, 50), across (40, 0), mouth (60, 90), down (0, 40): axis (40+40, 0), half max(80, 72), centre (60, 54)
    centre, right = ffhq_square(UPRIGHT)
    np.testing.assert_allclose(centre, [60, 54])
    np.testing.assert_allclose(right, [80, 0], atol=1e-12)


@given(st.floats(-3, 3), st.floats(0.2, 4))
def test_ffhq_square_turns_and_scales_with_the_face(angle: float, scale: float) -> None:
    m = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre, right = ffhq_square(UPRIGHT @ m.T)
    np.testing.assert_allclose(centre, m @ [60, 54], atol=1e-9)
    np.testing.assert_allclose(right, m @ [80, 0], atol=1e-9)


def test_ffhq_crop_shows_the_square() -> None:
    y, x = np.mgrid[0:300, 0:300]
    image = np.stack([x % 256, y % 256, np.zeros_like(x)], axis=2).astype(np.uint8)
    points = UPRIGHT + 60
    face = align_ffhq(image, points, 160)  # square 160 px wide around (120, 114): no scaling
    np.testing.assert_allclose(face.matrix, [[1, 0, -40.5], [0, 1, -34.5]], atol=1e-6)
    assert abs(int(face.image[80, 80, 0]) - (80 + 40.5)) <= 1
    assert abs(int(face.image[80, 80, 1]) - (80 + 34.5)) <= 1
    np.testing.assert_allclose(face.points, apply_transform(face.matrix, points))


def test_ffhq_crop_of_a_large_picture_is_not_aliased() -> None:
    checker = (np.indices((1200, 1200)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checker[..., None], 3, axis=2)
    crop = align_ffhq(image, (UPRIGHT - 60) * 6 + 600, 128).image
    assert np.abs(crop.astype(int) - 127).max() < 40


def test_ffhq_crop_mirrors_the_border() -> None:
    image = np.full((120, 120, 3), 200, np.uint8)
    assert (align_ffhq(image, UPRIGHT, 64).image == 200).all()
