import hashlib
from importlib import resources

import numpy as np
import pytest

from frbias.synth.mesh import build
from frbias.synth.mesh.backend import GENERATOR_VERSION
from frbias.synth.mesh.build import control_mesh
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import average_identity, sample_identity
from frbias.synth.mesh.landmarks import face_points
from frbias.synth.mesh.proportions import growth_field, neutral_control, proportions, symmetric_inverse
from frbias.synth.mesh.scans import MODES_FILE, grown_part, scan_field, scan_modes, scanned_share, spreads
from frbias.synth.mesh.shape import shape_weights
from frbias.synth.mesh.variation import SCALES, _places, variation_field


def _half_widths(points):
    """|x| and y (down) of eye corner, mouth corner, jaw and chin in distances between the pupils."""
    middle = (points[31] + points[36]) / 2
    depth = 13 / (13 - (points[:, 2:] - 0.4))
    seen = (points[:, :2] - middle[:2] + [0, 0.15]) * depth
    size = seen[36, 0] - seen[31, 0]
    level = seen[[31, 36], 1].mean()
    pairs = ((27, 32), (48, 54), (2, 12), (7, 7))
    return np.array([((seen[b, 0] - seen[a, 0]) / 2, level - (seen[a, 1] + seen[b, 1]) / 2) for a, b in pairs]) / size


def test_the_table_of_proportions_grows_as_faces_do():
    table = proportions()
    assert table.points.shape == (10, 33, 2)
    chin, tip = table.names.index("chin"), table.names.index("nose_tip")
    for low, high in zip(table.ages[:-3], table.ages[1:-2], strict=True):
        assert table.at(high)[chin, 1] > table.at(low)[chin, 1]
    assert table.at(18)[tip, 1] > table.at(2)[tip, 1] + 0.08
    assert np.allclose(table.at(6.5), (table.at(5) + table.at(8)) / 2)
    assert np.allclose(table.at(99), table.at(60))


def _errors(age, field):
    """Distances of eye corner, mouth corner, jaw and chin from the measured proportions, without and with ``field``."""
    head = load_head()
    smile = {"mouthSmileLeft": 0.25, "mouthSmileRight": 0.25}
    plain = head.control(shape_weights(average_identity(), age, smile))
    names = ("eye_outer", "mouth_corner", "jaw2", "chin")
    expected = np.array([proportions().at(age)[proportions().names.index(name)] for name in names])
    return [
        np.abs(_half_widths(face_points(head, c, head.refine(c)).astype(float)) - expected)
        for c in (plain, plain + field)
    ]


def test_the_average_head_of_60_has_the_measured_proportions_and_that_of_25_a_quarter_of_them():
    before, after = _errors(60.0, growth_field(60.0))
    assert after.max() < 0.03
    assert after.mean() < 0.4 * before.mean()
    before, whole = _errors(25.0, 4 * growth_field(25.0))
    assert whole.max() < 0.03
    _, quarter = _errors(25.0, growth_field(25.0))
    assert whole.mean() < quarter.mean() < before.mean()


def test_a_symmetric_matrix_is_inverted():
    root = np.random.default_rng(1).normal(size=(40, 40))
    matrix = root @ root.T + 0.1 * np.eye(40)
    np.testing.assert_allclose(symmetric_inverse(matrix) @ matrix, np.eye(40), atol=1e-9)
    np.testing.assert_allclose(symmetric_inverse(matrix), np.linalg.inv(matrix), rtol=1e-6, atol=1e-9)


def test_shoulders_stay_where_they_are():
    head = load_head()
    low = neutral_control(head)[:, 1] < 5.4
    assert low.sum() > 100
    assert not growth_field(25.0)[low].any()
    assert not variation_field(0, 3)[low].any()
    assert not scan_field(0, 3)[low].any()


def test_a_persons_form_is_their_own_and_has_the_spread_it_should():
    fields = np.array([variation_field(5, subject) for subject in range(24)])
    assert np.array_equal(fields[3], variation_field(5, 3))
    assert not np.allclose(fields[3], variation_field(6, 3))
    rest = neutral_control(load_head())
    cheek = np.argmin(((rest - [0.5, 7.0, 0.9]) ** 2).sum(axis=1))
    expected = np.sqrt(sum(np.array(scale.spread) ** 2 for scale in SCALES))
    assert np.allclose(fields[:, cheek].std(axis=0), expected, rtol=0.45)


def test_a_persons_form_is_mostly_mirrored_and_smooth():
    rest = neutral_control(load_head())
    left = np.flatnonzero((rest[:, 0] > 0.2) & (rest[:, 1] > 6.5) & (rest[:, 2] > 0.6))[::7]
    right = [int(((rest - rest[i] * [-1, 1, 1]) ** 2).sum(axis=1).argmin()) for i in left]
    exact = np.linalg.norm(rest[right] - rest[left] * [-1, 1, 1], axis=1) < 1e-3
    a = np.concatenate([variation_field(0, s)[left[exact]].ravel() for s in range(8)])
    b = np.concatenate([(variation_field(0, s)[np.array(right)[exact]] * [-1, 1, 1]).ravel() for s in range(8)])
    assert 0.8 < np.corrcoef(a, b)[0, 1] < 0.999
    near = ((rest - rest[left[0]]) ** 2).sum(axis=1).argsort()[1]
    far = int(((rest - [0, 8.2, 0.3]) ** 2).sum(axis=1).argmin())
    field = variation_field(0, 2)
    assert np.linalg.norm(field[near] - field[left[0]]) < 0.25 * np.linalg.norm(field[far] - field[left[0]])


@pytest.mark.parametrize("age", [3.0, 30.0])
def test_eyeballs_stay_round_and_lids_stay_on_them(age):
    head = load_head()
    for subject in (2, 9):
        person = sample_identity(0, subject)
        plain = head.control(shape_weights(person, age, {}))
        built = control_mesh(head, person, age, {})
        for ball in (head.eye_left, head.eye_right):
            shift = built[ball] - plain[ball]
            assert np.abs(shift - shift[0]).max() < 1e-5
            before, after = ((c[ball].max(axis=0) + c[ball].min(axis=0)) / 2 for c in (plain, built))
            radius = np.linalg.norm(plain[ball] - before, axis=1).mean()
            was, now = (np.linalg.norm(c - m, axis=1) for c, m in ((plain, before), (built, after)))
            lids = was < 1.1 * radius
            assert lids.sum() > len(ball)
            assert np.abs(now - was)[lids].max() < 1e-4


def test_scanned_forms_have_the_spread_that_is_said():
    modes = scan_modes()
    assert modes.steps.shape == (len(modes.scale), len(modes.vertices), 3)
    assert modes.vertices.max() < len(load_head().base)
    steps = modes.steps * modes.scale[:, None, None]
    size = np.sqrt((steps**2).sum(axis=2).mean(axis=1))
    assert size[0] > 2 * size[1] > 10 * size[-1]  # centimetres: 0.4, 0.2 .. 0.01
    rest = neutral_control(load_head())
    cheek = int(np.argmin(((rest - [0.5, 7.0, 0.9]) ** 2).sum(axis=1)))
    fields = np.array([scan_field(5, subject)[cheek] for subject in range(120)])
    expected = np.sqrt(((steps[:, modes.vertices == cheek][:, 0] * spreads(len(steps))[:, None]) ** 2).sum(axis=0))
    assert np.allclose(fields.std(axis=0), expected, rtol=0.2)
    assert 0.02 < np.linalg.norm(expected) < 0.15


def test_a_persons_scanned_form_is_their_own_and_smaller_in_a_child():
    assert np.array_equal(scan_field(5, 3), scan_field(5, 3))
    assert not np.allclose(scan_field(5, 3), scan_field(5, 4))
    assert not np.allclose(scan_field(5, 3), scan_field(6, 3))
    shares = [scanned_share(age) for age in (0, 5, 10, 18, 60)]
    assert shares == sorted(shares)
    assert shares[0] > 0.5
    assert shares[-2:] == [1.0, 1.0]


def test_a_child_is_not_a_smaller_copy_of_the_grown_up_and_as_different_from_others():
    assert grown_part(18.0) == grown_part(60.0) == (1.0, 0.0)
    angles = [np.arctan2(*grown_part(age)[::-1]) for age in (0, 3, 6, 10, 14, 18)]
    assert angles == sorted(angles, reverse=True)
    assert angles[0] == angles[1] == pytest.approx(0.5)
    for age in (3.0, 10.0):
        assert sum(part**2 for part in grown_part(age)) == pytest.approx(1)
    one, other = scan_field(5, 3).ravel(), scan_field(5, 3, "growth").ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.6  # another draw
    assert np.array_equal(other, scan_field(5, 3, "growth").ravel())


def test_the_size_of_the_head_varies_least_and_fine_components_most():
    found = spreads(100)
    assert found[0] < 1 < found[1] < found[20] < found[60] == found[99]


def test_other_components_or_averages_are_another_version_of_the_generator():
    folder = resources.files("frbias.synth.mesh")
    found = [
        hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()[:16] for name in (MODES_FILE, "averages.csv")
    ]
    assert (GENERATOR_VERSION, found) == (6, ["968e21eecaedb14b", "f46dce48ff8931c8"])


@pytest.mark.parametrize(("age", "share"), [(30.0, 1.0), (6.0, 0.75)])
def test_a_face_has_its_scanned_form(monkeypatch, age, share):
    head, person = load_head(), sample_identity(3, 5)
    build._own_fields.cache_clear()
    whole = control_mesh(head, person, age, {})
    monkeypatch.setattr(build, "scan_field", lambda seed, number, what="scan": np.zeros_like(head.base))
    build._own_fields.cache_clear()
    without = control_mesh(head, person, age, {})
    build._own_fields.cache_clear()
    rest = neutral_control(head)
    away = (np.abs(rest[:, 1] - 7.2) > 0.5) & (rest[:, 1] > 6.2)  # the lids follow the eyeballs
    assert away.sum() > 500
    grown, child = grown_part(age)
    expected = share * (grown * scan_field(3, 5) + child * scan_field(3, 5, "growth"))
    np.testing.assert_allclose((whole - without)[away], expected[away], atol=1e-5)


def test_the_free_form_is_damped_where_the_lips_are():
    head = load_head()
    rest, _, damped = _places()
    points = face_points(head, neutral_control(head), head.refine(neutral_control(head)))
    for number in (50, 51, 52, 56, 57, 58):
        assert damped[((rest - points[number]) ** 2).sum(axis=1).argmin()] > 0.2
    middle = (points[51] + points[57]) / 2
    assert damped[((rest - middle) ** 2).sum(axis=1).argmin()] > 0.5
    assert damped[((rest - points[67]) ** 2).sum(axis=1).argmin()] < 0.05
