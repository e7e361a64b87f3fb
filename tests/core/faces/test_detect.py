"""Detectors by name on real photographs; which face is taken."""

import numpy as np
from example_photographs import photograph
from PIL import Image

from frbias.core.faces.detect import choose_face, load_detector
from frbias.core.faces.multiscale import Face


def test_choice_among_faces() -> None:
    def face(x: float, width: float) -> Face:
        return Face((x, 0, width, width), np.zeros((5, 2)), 0.9)

    big, middle = face(0, 50), face(90, 20)
    assert choose_face([big, middle], "largest", (100, 200)) is big
    assert choose_face([big, middle], "central", (20, 200)) is middle
    assert choose_face([big, middle], "reject", (100, 200)) is None
    assert choose_face([big], "reject", (100, 200)) is big
    assert choose_face([], "largest", (1, 1)) is None


def test_yunet_finds_the_faces_of_photographs() -> None:
    detector = load_detector("yunet")
    group = detector.detect(photograph("t1.jpg"))
    assert len(group) == 6
    single = detector.detect(photograph("astronaut"))
    assert len(single) == 1
    left, right, nose, mouth, _ = single[0].points
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth[1]


def test_yunet_finds_a_face_that_fills_the_picture_and_a_small_one() -> None:
    photo = photograph("astronaut")
    (face,) = load_detector("yunet").detect(photo)
    x, y, w, h = (int(v) for v in face.box)
    tight = load_detector("yunet").detect(np.ascontiguousarray(photo[y : y + h, x : x + w]))
    assert len(tight) == 1
    np.testing.assert_allclose(tight[0].points + np.array([x, y]), face.points, atol=0.08 * w)
    wide = np.full((1500, 2000, 3), 128, np.uint8)
    wide[700:828, 900:1028] = np.array(Image.fromarray(photo).resize((128, 128)))
    assert len(load_detector("yunet").detect(wide)) == 1
    assert load_detector("yunet").detect(np.full((64, 64, 3), 128, np.uint8)) == []
