import cv2
import numpy as np
import pytest

from frbias.core.faces.detect import load_detector
from frbias.core.foundation.errors import UsageError
from frbias.synth.mesh.backend import MeshBackend, render_face
from frbias.synth.mesh.faces import Sitter
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.landmarks import EYE_CENTRES, MOUTH_CORNERS, NOSE_TIP
from frbias.synth.mesh.request import MeshRequest
from frbias.synth.mesh.shape import shape_weights
from frbias.synth.mesh.view import sample_view

OPTIONS = MeshRequest(subjects=1)
AGES = (1.0, 9.0, 34.0, 71.0)


@pytest.fixture(scope="module")
def faces():
    sitters = [Sitter(0, subject) for subject in (3, 4, 5)]
    return {(s.person.subject, age): s.portray(age, int(age) % 2) for s in sitters for age in AGES}


def test_a_picture_is_a_function_of_seed_subject_age_and_variant(faces):
    image = faces[3, 34.0].image
    assert image.shape == (256, 256, 3)
    assert image.dtype == np.uint8
    again = render_face(3, 34.0, 0, OPTIONS)
    assert np.array_equal(again.image, image)
    other_order = Sitter(0, 3)
    other_order.portray(71.0, 5)
    assert np.array_equal(other_order.portray(34.0, 0).image, image)
    for changed in (
        render_face(3, 34.0, 1, OPTIONS),
        render_face(3, 35.0, 0, OPTIONS),
        render_face(3, 34.0, 0, MeshRequest(subjects=1, seed=1)),
    ):
        assert not np.array_equal(changed.image, image)


def test_who_somebody_is_does_not_depend_on_age():
    person = sample_identity(0, 7)
    assert person == sample_identity(0, 7)
    assert person != sample_identity(0, 8)
    assert person != sample_identity(1, 7)
    own = [name for name in person.shape if name.startswith("local/nose")]
    young, old = (shape_weights(person, age, {}) for age in (20, 30))
    assert own
    assert all(young[name] == old[name] for name in own)


def test_faces_of_one_person_are_more_alike_than_faces_of_two(faces):
    """Drawn geometry, without pose: distances between the 68 points in the head's frame."""
    from frbias.synth.mesh.head_data import load_head
    from frbias.synth.mesh.landmarks import face_points

    head = load_head()

    def points(subject, age):
        control = head.control(shape_weights(sample_identity(0, subject), age, {}))
        found = face_points(head, control, head.refine(control))
        found = found - found.mean(axis=0)
        return found / np.linalg.norm(found)

    people = range(8)
    same = [np.linalg.norm(points(s, 25) - points(s, 38)) for s in people]
    different = [np.linalg.norm(points(s, 25) - points((s + 1) % 8, 25)) for s in people]
    assert max(same) < min(different)


def test_yunet_finds_every_face_where_the_known_points_say(faces):
    """The detector's own points scatter by a fifth of the distance between the eyes, so their mean is judged."""
    cv2.setNumThreads(1)
    detector = load_detector("yunet")
    away = []
    for face in faces.values():
        found = detector.detect(face.image)
        assert found
        best = max(found, key=lambda one: one.area)
        away.append((best.points - face.points5) / np.linalg.norm(face.points5[0] - face.points5[1]))
    distance = np.linalg.norm(away, axis=2)
    assert np.linalg.norm(np.mean(away, axis=0), axis=1).max() < 0.2
    assert np.median(distance) < 0.15
    assert np.sqrt((distance**2).mean(axis=1)).max() < 0.6


def test_the_known_points_lie_in_the_picture_in_fgnet_order(faces):
    for face in faces.values():
        assert face.points68.shape == (68, 2)
        assert ((face.points68 > -20) & (face.points68 < 276)).all()
        assert ((face.points5 > 0) & (face.points5 < 255)).all()
        order = [*EYE_CENTRES, NOSE_TIP, *MOUTH_CORNERS]
        assert np.array_equal(face.points5, face.points68[order])
        assert face.points5[0, 0] < face.points5[1, 0]
        assert face.points5[3, 0] < face.points5[4, 0]
        upright = face.points68 @ _upright(face.points5)
        assert upright[7, 1] == upright[:15, 1].max()  # the chin is the lowest point of the outline
        assert upright[21, 0] < upright[24, 0] < upright[18, 0] < upright[15, 0]  # brows from left to right
        assert upright[27, 0] < upright[31, 0] < upright[29, 0] < upright[34, 0] < upright[36, 0] < upright[32, 0]
        assert upright[51, 1] < upright[57, 1]


def _upright(points5):
    across = points5[1] - points5[0]
    c, s = across / np.linalg.norm(across)
    return np.array([[c, -s], [s, c]])


def test_the_nose_points_where_the_yaw_says():
    options = MeshRequest(subjects=1, yaw=45, pitch=0, roll=0)
    for subject, variant in ((3, 1), (4, 1), (5, 3)):
        face = render_face(subject, 30, variant, options)
        if abs(face.yaw) > 8:
            middle = (face.points5[0, 0] + face.points5[1, 0]) / 2
            assert np.sign(face.points5[2, 0] - middle) == np.sign(face.yaw)


def test_even_variants_look_ahead():
    from frbias.synth.mesh.view import Ranges

    yaw = np.array([[sample_view(0, s, 20.0, v, Ranges()).yaw for v in (0, 1)] for s in range(200)])
    assert np.abs(yaw[:, 0]).max() <= 10
    assert 25 < np.abs(yaw[:, 1]).max() <= 30
    assert abs(yaw.mean()) < 2


@pytest.mark.parametrize("age", [-1.0, 80.5, float("nan")])
def test_ages_that_the_head_does_not_cover_are_refused(age):
    with pytest.raises(UsageError, match="0 to 80"):
        MeshBackend(MeshRequest(subjects=1, ages=(20.0, age)))
    with pytest.raises(UsageError, match="0 to 80"):
        render_face(0, age, 0, OPTIONS)


@pytest.mark.parametrize(
    "bad",
    [{"subjects": 0}, {"variants": 0}, {"ages": (5.0, 5.0)}, {"size": 32}, {"seed": -1}, {"yaw": 80.0}],
)
def test_options_that_make_no_sense_are_refused(bad):
    with pytest.raises(UsageError):
        MeshBackend(MeshRequest(**{"subjects": 2, **bad}))
