import numpy as np

from frbias.synth.mesh import drawing
from frbias.synth.mesh.build import control_mesh
from frbias.synth.mesh.complexion import complexion
from frbias.synth.mesh.faces import Sitter
from frbias.synth.mesh.film import Film, expose, sample_film, stored
from frbias.synth.mesh.glasses import Frame, frame_of, glasses
from frbias.synth.mesh.head_data import MOUTH, TEETH, TONGUE, load_head
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.lighting import sample_light
from frbias.synth.mesh.streams import stream

PLAIN = Film(1.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 1.0, 95)


def _picture():
    return np.random.default_rng(3).random((64, 64, 3)).astype(np.float32)


def test_plain_film_changes_nothing_and_grey_film_takes_the_colour():
    picture = _picture()
    assert np.allclose(expose(picture, PLAIN, np.random.default_rng(0)), picture, atol=1e-6)
    grey = expose(picture, Film(0.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 1.0, 95), np.random.default_rng(0))
    assert np.ptp(grey, axis=2).max() < 1e-6
    assert np.allclose(grey[..., 0], picture @ [0.299, 0.587, 0.114], atol=1e-6)


def test_softness_shrinking_fading_and_grain_do_what_they_say():
    picture, rng = _picture(), np.random.default_rng(0)
    soft = expose(picture, Film(1.0, (1.0, 1.0, 1.0), 0.0, 6.0, 0.0, 0.0, 1.0, 95), rng)
    small = expose(picture, Film(1.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.5, 95), rng)
    assert soft.std() < 0.6 * picture.std()
    assert small.std() < 0.8 * picture.std()
    assert small.shape == picture.shape
    faded = expose(np.zeros_like(picture), Film(1.0, (1.0, 1.0, 1.0), 0.1, 0.0, 0.0, 0.0, 1.0, 95), rng)
    assert np.allclose(faded, 0.1)
    grain = expose(np.full_like(picture, 0.5), Film(1.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.02, 0.0, 1.0, 95), rng)
    assert 0.005 < grain.std() < 0.05
    assert np.ptp(grain, axis=2).max() < 1e-6
    kept = (picture * 255).astype(np.uint8)
    assert np.abs(stored(kept, 95).astype(int) - kept).mean() < np.abs(stored(kept, 30).astype(int) - kept).mean()


def test_pictures_of_childhood_are_older_photographs():
    young, old = ([sample_film(0, s, age, 0).saturation == 0 for s in range(300)] for age in (3.0, 50.0))
    assert np.mean(young) > np.mean(old) + 0.1
    assert sample_film(0, 4, 3.0, 0) == sample_film(0, 4, 3.0, 0)
    assert sample_film(0, 4, 3.0, 0) != sample_film(0, 4, 3.0, 1)


def test_glasses_come_with_the_years_and_a_persons_frame_stays_the_same():
    people = [sample_identity(0, s) for s in range(250)]
    worn = {age: [frame_of(p, age, 0) for p in people] for age in (3.0, 30.0, 70.0)}
    shares = [np.mean([f is not None for f in worn[age]]) for age in (3.0, 30.0, 70.0)]
    assert shares[0] < 0.05 < shares[1] < 0.25 < shares[2] < 0.6
    both = [(a, b) for a, b in zip(worn[30.0], worn[70.0], strict=True) if a and b]
    assert both
    assert all(a == b for a, b in both)


def test_frames_sit_before_the_eyes_and_reach_the_ears():
    head = load_head()
    control = control_mesh(head, sample_identity(0, 3), 30.0, {})
    drawn = head.refine(control)
    frame = Frame(0.22, 0.16, 2.5, 0.02, 0.02, (0.01, 0.01, 0.01))
    found = glasses(frame, head, control, drawn, 1.0)
    assert np.allclose(found.near, found.far)
    for ball in (head.eye_left, head.eye_right):
        eye = control[ball]
        centre, front = (eye.max(axis=0) + eye.min(axis=0)) / 2, eye[:, 2].max()
        rim = found.points[(np.abs(found.points[:, 0] - centre[0]) < 0.3) & (found.points[:, 2] > front - 0.05)]
        assert (rim[:, 2] > front).mean() > 0.8
        assert rim[:, 1].max() > centre[1] + 0.1
        assert rim[:, 1].min() < centre[1] - 0.1
    assert found.points[:, 2].min() < 0.3


def test_skin_is_uneven_in_a_persons_own_way():
    fields = np.array([complexion(sample_identity(0, s)) for s in range(12)])
    assert fields.shape[1:] == (2, 512, 512)
    assert np.array_equal(fields[3], complexion(sample_identity(0, 3)))
    assert 0.03 < fields[:, 0].std(axis=0).mean() < 0.3
    assert abs(fields.mean()) < 0.05
    far = np.corrcoef(fields[0, 0].ravel(), fields[1, 0].ravel())[0, 1]
    assert abs(far) < 0.5


def test_hollows_are_darkened_and_level_skin_and_the_background_are_not():
    depth = np.full((128, 128), 10.0, np.float32)
    depth[:, 100:] = np.inf
    depth[60:68, 30:70] = 10.03
    factor = drawing._creases(depth, 60.0, 1.0, 40.0)
    assert factor.shape == depth.shape
    assert factor[64, 50] < 0.93
    assert np.allclose(factor[110:, :60], 1, atol=0.02)
    assert np.allclose(factor[:, 110:], 1)
    assert np.allclose(drawing._creases(depth, 60.0, 1.0, 0.0), 1)


def test_the_inside_of_the_mouth_is_seen_between_the_lips_only(monkeypatch):
    """Two children whose short chins used to let the mouth's inside through."""
    seen = {}
    original = drawing._visible

    def spy(scene, screen, strands_screen, camera, wide):
        ids, bare = original(scene, screen, strands_screen, camera, wide)
        lips = drawing.projected(scene.landmarks[48:60], camera)[:, :2]
        solid = (ids >= 0) & (ids < len(scene.triangles))
        inner = np.zeros_like(solid)
        inner[solid] = np.isin(scene.material[ids[solid]], (MOUTH, TEETH, TONGUE))
        seen["inner"], seen["lips"] = np.argwhere(inner)[:, ::-1], lips
        return ids, bare

    monkeypatch.setattr(drawing, "_visible", spy)
    for subject, age, variant in ((1005, 5.0, 1), (1001, 6.0, 0)):
        Sitter(0, subject).portray(age, variant, size=128)
        low, high = seen["lips"].min(axis=0) - 2, seen["lips"].max(axis=0) + 2
        assert ((seen["inner"] >= low) & (seen["inner"] <= high)).all()


def test_light_comes_from_rooms_windows_flashes_and_the_sun():
    lights = [sample_light(stream(0, s, "light test")) for s in range(200)]
    assert all(abs(np.linalg.norm(light.key) - 1) < 1e-9 for light in lights)
    ahead = np.array([light.key[2] for light in lights])
    assert (ahead > 0.95).mean() > 0.12
    assert (ahead < 0.6).mean() > 0.12
