"""Points over several scales: medians, matching of several faces, early stop, bounded views."""

import tracemalloc
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from example_photographs import photograph
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.faces.candidates import Candidates, candidates, distinct, overlaps
from frbias.core.faces.detect import find_face, load_detector
from frbias.core.faces.multiscale import (
    FEWEST_VIEWS,
    LADDER,
    SMALL,
    SMALL_LADDER,
    Face,
    MultiScaleDetector,
    agreement,
    belonging,
)
from frbias.core.faces.views import around, whole

# Where the five points lie in the red square that the made-up network takes for a face; not symmetric.
PLACES = np.array([[0.3, 0.35], [0.68, 0.37], [0.52, 0.58], [0.36, 0.78], [0.66, 0.8]])


@dataclass
class RedSquares:
    """A network that takes red squares for faces; marks of other colours tell it where its points are.

    Attributes:
        good: (smallest, largest) side in the view of the squares whose points are right.
        blind: (smallest, largest) side in the view of the squares that it sees.
        error: How far other points are off, as a fraction of the side.
        seen: Sides of the views, (height, width).
    """

    good: tuple[float, float] = (0.0, 1e9)
    blind: tuple[float, float] = (0.0, 1e9)
    error: float = 0.2
    seen: list[tuple[int, int]] = field(default_factory=list)

    def look(self, pixels: np.ndarray) -> Candidates:
        self.seen.append(pixels.shape[:2])
        red = ((pixels[..., 0] > 150) & (pixels[..., 2] < 100)).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(red, connectivity=8)
        boxes, points, scores = [], [], []
        for label in range(1, count):
            x, y, w, h, area = stats[label]
            if area < 30 or not self.blind[0] <= w <= self.blind[1]:
                continue
            found = self._points(pixels, np.array([x, y]), np.array([w, h]))
            off = 0.0 if self.good[0] <= w <= self.good[1] else self.error * w
            for wobble in (-0.04, -0.02, 0.0, 0.02, 0.04):  # several candidates for each, as real networks have
                boxes.append([x + wobble * w, y, w, h])
                points.append(found + off + wobble * w)
                scores.append(0.9 - abs(wobble))
        return candidates(np.array(boxes), np.array(points), np.array(scores))

    def _points(self, pixels: np.ndarray, corner: np.ndarray, extent: np.ndarray) -> np.ndarray:
        """The viewer's left and right are told by the picture (a green corner), as faces tell them."""
        left = pixels[corner[1] + extent[1] // 12, corner[0] + extent[0] // 12, 1]
        right = pixels[corner[1] + extent[1] // 12, corner[0] + extent[0] - 1 - extent[0] // 12, 1]
        if left >= right:
            return corner - 0.5 + PLACES * extent
        turned = np.array([1, 0]) + np.array([-1, 1]) * PLACES[[1, 0, 2, 4, 3]]
        return corner - 0.5 + turned * extent


def picture(*squares: tuple[int, int, int], shape: tuple[int, int] = (600, 800)) -> np.ndarray:
    """Red squares (x, y, side) with a green mark in the left upper corner, on black."""
    image = np.zeros((*shape, 3), np.uint8)
    for x, y, side in squares:
        image[y : y + side, x : x + side] = (255, 0, 0)
        image[y : y + side // 6, x : x + side // 6] = (255, 255, 0)
    return image


def expected(x: int, y: int, side: int) -> np.ndarray:
    return np.array([x, y]) - 0.5 + PLACES * side


def test_points_are_right_though_the_search_saw_the_face_too_large() -> None:
    network = RedSquares(good=(0, 280), blind=(120, 1e9))
    image = picture((60, 40, 500))
    detector = MultiScaleDetector(network)
    (searched,) = detector.search(picture((60, 40, 500)))
    (face,) = detector.detect(image)
    eyes = np.hypot(*(expected(0, 0, 500)[1] - expected(0, 0, 500)[0]))
    np.testing.assert_allclose(face.points, expected(60, 40, 500), atol=0.03 * eyes)
    assert face.views >= FEWEST_VIEWS
    assert searched.views == 0
    assert np.isnan(searched.agreement)


def test_the_view_that_is_wrong_is_outvoted() -> None:
    """The points of the first view are off; those of the next three are not."""
    image = picture((60, 40, 500))
    for good in ((200.0, 1e9), (0.0, 300.0)):
        (face,) = MultiScaleDetector(RedSquares(good=good)).detect(image)
        np.testing.assert_allclose(face.points, expected(60, 40, 500), atol=0.02 * 500)
        assert face.agreement < 0.9


def test_a_face_that_is_too_large_has_no_second_one_in_its_eye() -> None:
    class SeesEyes(RedSquares):
        def look(self, pixels: np.ndarray) -> Candidates:
            faces = super().look(pixels)
            large = faces.chosen(faces.boxes[:, 2] > 400)
            eyes = large.boxes * [1, 1, 0.25, 0.25] + large.boxes[:, [2, 3, 2, 3]] * [0.2, 0.25, 0, 0]
            return candidates(
                np.vstack([faces.boxes, eyes]),
                np.vstack([faces.points, np.repeat(eyes[:, None, :2], 5, axis=1) + 20 * PLACES]),
                np.hstack([faces.scores, large.scores - 0.1]),
            )

    (face,) = MultiScaleDetector(SeesEyes()).search(picture((60, 40, 520)))
    assert face.box[2] > 450


def test_a_candidate_belongs_to_the_face_it_overlaps_most_with() -> None:
    one, other = np.array([0.0, 0, 100, 100]), np.array([56.0, 0, 100, 100])
    boxes = np.array([[2.0, 0, 100, 100], [35, 0, 100, 100], [60, 0, 100, 100], [0, 0, 30, 30]])
    seen = candidates(boxes, np.zeros((4, 5, 2)), [0.9, 0.8, 0.7, 0.6])
    assert belonging(seen, one, other[None]).scores.tolist() == [0.9]
    assert belonging(seen, other, one[None]).scores.tolist() == [0.8, 0.7]
    assert belonging(seen, one, np.zeros((0, 4))).scores.tolist() == [0.9, 0.8]


def test_several_faces_keep_their_own_points() -> None:
    squares = [(20, 50, 420), (445, 60, 60), (445, 140, 25), (520, 300, 200)]
    found = MultiScaleDetector(RedSquares(good=(0, 330))).detect(picture(*squares))
    assert len(found) == len(squares)
    for square in squares:
        nearest = min(found, key=lambda f: abs(f.box[0] - square[0]) + abs(f.box[1] - square[1]))
        np.testing.assert_allclose(nearest.points, expected(*square), atol=0.06 * square[2])


def test_it_stops_early_when_the_scales_agree() -> None:
    agreeing, other = RedSquares(), RedSquares(good=(0, 200))
    (face,) = MultiScaleDetector(agreeing).detect(picture((100, 100, 300)))
    assert len(agreeing.seen) == 2 + FEWEST_VIEWS
    assert face.agreement > 0.98
    (doubtful,) = MultiScaleDetector(other).detect(picture((100, 100, 300)))
    assert len(other.seen) == 2 + len(LADDER)
    assert doubtful.views == len(LADDER)
    assert doubtful.agreement < 0.8


def test_a_face_that_the_picture_cuts_off_is_found_with_a_margin() -> None:
    class OnlyWithMargin(RedSquares):
        def look(self, pixels: np.ndarray) -> Candidates:
            framed = pixels[0].max() == 0 and pixels[-1].max() == 0
            return super().look(pixels) if framed else candidates([], [], [])

    (face,) = MultiScaleDetector(OnlyWithMargin()).detect(picture((0, 0, 300), shape=(300, 300)))
    assert face.framed
    assert face.views >= FEWEST_VIEWS
    np.testing.assert_allclose(face.points, expected(0, 0, 300), atol=6)


def test_a_find_that_no_view_shows_again_is_no_face_unless_it_is_alone() -> None:
    image = picture((20, 40, 300), (500, 100, 40))
    assert len(MultiScaleDetector(RedSquares()).detect(image)) == 2
    never_again = MultiScaleDetector(_SeenOnceOnly())
    assert [f.box[0] < 100 for f in never_again.detect(image)] == [True]
    (alone,) = never_again.detect(picture((500, 100, 40)))
    assert alone.views == 0
    face, count = find_face(never_again, image, "central")
    assert face is not None
    assert face.box[0] < 100
    assert count == 1


class _SeenOnceOnly(RedSquares):
    """Squares that are small in the picture are seen in views of the whole picture only."""

    def look(self, pixels: np.ndarray) -> Candidates:
        everything = super().look(pixels)
        if max(pixels.shape[:2]) in (320, 640):
            return everything
        return everything.chosen(everything.boxes[:, 2] > 165)


def test_small_faces_are_not_enlarged_as_far_as_large_ones() -> None:
    for side in (40, 100):
        network = RedSquares()
        (face,) = MultiScaleDetector(network).detect(picture((300, 200, side)))
        ladder = SMALL_LADDER if side < SMALL else LADDER
        views = [max(size) for size in network.seen[2:]]
        np.testing.assert_allclose(views, [1.8 * target for target, _ in ladder[: len(views)]], rtol=0.06)
        np.testing.assert_allclose(face.points, expected(300, 200, side), atol=0.05 * side)


def test_only_the_face_that_is_taken_is_looked_at_again() -> None:
    squares = [(20, 50, 300), (400, 60, 120), (600, 300, 150)]
    network = RedSquares()
    face, count = find_face(MultiScaleDetector(network), picture(*squares), "largest")
    assert face is not None
    assert count == 3
    assert len(network.seen) == 2 + FEWEST_VIEWS
    assert find_face(MultiScaleDetector(network), picture(*squares), "reject") == (None, 3)


def test_views_are_bounded_whatever_the_shape() -> None:
    network = RedSquares(blind=(1e8, 1e9))  # sees nothing, so that every search is made
    tracemalloc.start()
    for shape in ((1, 40_000, 3), (40_000, 1, 3), (3, 3, 3)):
        assert MultiScaleDetector(network).detect(np.zeros(shape, np.uint8)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(max(size) for size in network.seen) <= 1282
    assert peak < 30e6


def test_a_real_network_survives_a_picture_of_one_line() -> None:
    assert load_detector("yunet").detect(np.full((1, 40_000, 3), 90, np.uint8)) == []


@given(
    st.integers(20, 300),
    st.integers(20, 300),
    st.floats(0.3, 4.0),
    st.booleans(),
    st.booleans(),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=60, deadline=None)
def test_views_know_where_they_lie(
    width: int, height: int, scale: float, mirrored: bool, padded: bool, where: tuple[float, float]
) -> None:
    """Pixels hold their own place, so that a view says what its coordinates ought to be."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([x * 0.8, y * 0.8, np.full_like(x, 255)], axis=2).astype(np.uint8)
    centre = np.array(where) * [width, height]
    view = around(image, centre, 0.7 * max(width, height), scale, padded=padded, mirrored=mirrored)
    rows, columns = np.nonzero(view.pixels[..., 2] == 255)
    inside = (view.pixels[rows, columns, :2] > 8).all(axis=1)
    told = view.to_picture(np.stack([columns, rows], axis=1)[inside])
    truth = view.pixels[rows, columns, :2][inside] / 0.8
    np.testing.assert_allclose(told, truth, atol=2.6 + 1 / scale)


def test_the_whole_picture_with_and_without_margin() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    assert whole(image, 640).pixels.shape == (480, 640, 3)
    framed = whole(image, 640, 0.5)
    assert framed.pixels.shape == (560, 640, 3)
    np.testing.assert_allclose(framed.to_picture([159.5, 159.5]), [-0.5, -0.5], atol=1e-9)
    assert whole(np.zeros((10, 20, 3), np.uint8), 640).pixels.shape == (40, 80, 3)


def test_agreement() -> None:
    points = 100 * PLACES
    assert np.isnan(agreement([points]))
    assert agreement([points] * 3) == 1
    eyes = np.hypot(*(points[1] - points[0]))
    aside = np.array([3.0, 0.0])
    shifted = agreement([points - aside, points, points + aside])
    assert shifted == pytest.approx(1 - np.sqrt(2 / 3) * 3 / eyes)
    assert agreement([np.zeros((5, 2))] * 2) == 0
    assert agreement([points, points + 1e5, points - 1e5]) == 0


def test_overlaps_and_distinct() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 10, 10], [2, 2, 2, 2], [50, 50, 5, 5]])
    union, smaller = overlaps(boxes[0], boxes)
    np.testing.assert_allclose(union, [1, 1 / 3, 0.04, 0])
    np.testing.assert_allclose(smaller, [1, 0.5, 1, 0])
    found = candidates(boxes, np.zeros((4, 5, 2)), [0.9, 0.5, 0.8, 0.7])
    assert distinct(found, 0.3, 0.8).scores.tolist() == [0.9, 0.7]
    assert distinct(found, 0.4, 1.0).scores.tolist() == [0.9, 0.8, 0.7, 0.5]
    assert len(candidates([[0, 0, np.nan, 1]], np.zeros((1, 5, 2)), [0.9])) == 0


def test_faces_of_a_group_photograph_keep_the_points_they_have_alone() -> None:
    group = photograph("t1.jpg")
    detector = load_detector("yunet")
    together = detector.detect(group)
    assert len(together) == 6
    for face in together:
        alone, _ = find_face(detector, _without_others(group, face, together), "largest")
        assert alone is not None
        eyes = np.hypot(*(face.points[1] - face.points[0]))
        error = np.sqrt(((alone.points - face.points) ** 2).sum(axis=1).mean()) / eyes
        assert error < 0.1
        assert face.agreement > 0.9


def _without_others(group: np.ndarray, face: Face, everyone: list[Face]) -> np.ndarray:
    alone = group.copy()
    for other in everyone:
        if other is not face:
            x, y, w, h = (round(v) for v in other.box)
            alone[max(y, 0) : y + h, max(x, 0) : x + w] = 128
    return alone


def test_a_portrait_that_the_face_fills_has_the_points_of_the_wide_picture() -> None:
    photo = photograph("astronaut")
    (face,) = load_detector("yunet").detect(photo)
    eyes = np.hypot(*(face.points[1] - face.points[0]))
    x, y, w, h = face.box
    for part in (1.0, 1.15, 1.5):
        low = np.clip(np.round([x + w / 2 - part * h / 2, y + h / 2 - part * h / 2]).astype(int), 0, None)
        high = np.round([x + w / 2 + part * h / 2, y + h / 2 + part * h / 2]).astype(int)
        tight = cv2.resize(np.ascontiguousarray(photo[low[1] : high[1], low[0] : high[0]]), None, fx=5, fy=5)
        (seen,) = load_detector("yunet").detect(tight)
        error = np.sqrt((((seen.points + 0.5) / 5 - 0.5 + low - face.points) ** 2).sum(axis=1).mean()) / eyes
        assert error < 0.08
