from dataclasses import replace

import numpy as np
import pytest

from frbias.synth.mesh import averages as module
from frbias.synth.mesh.averages import ACTIONS, average, average_form, average_pigment, averages
from frbias.synth.mesh.build import control_mesh
from frbias.synth.mesh.drawing import _creases, _softness
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.pigments import BLOOD, MELANIN
from frbias.synth.mesh.proportions import neutral_control
from frbias.synth.mesh.scans import scan_modes
from frbias.synth.mesh.skin import SkinPainter, _averaged
from frbias.synth.mesh.view import Ranges, sample_view

SKIN = {"melanin", "blood", "lips", "lids", "rough", "bump"}
SHADE = {"soft", "crease"}
VIEW = {"key", "fill", "distance"}


@pytest.fixture
def table(monkeypatch):
    """Use another table; ``table(name=(child, grown))`` replaces plain rows."""
    known = averages()
    made = (module._forms, module._pigments, module.average_form, _averaged)

    def use(base=known, **rows):
        monkeypatch.setattr(module, "averages", lambda: replace(base, plain=base.plain | rows))
        for cached in made:
            cached.cache_clear()

    yield use
    monkeypatch.undo()
    for cached in made:
        cached.cache_clear()


def test_every_row_is_of_a_known_kind_and_small():
    found = averages()
    assert set(found.plain) == SKIN | SHADE | VIEW | set(ACTIONS)
    assert set(found.scan) <= set(range(100))
    assert len(found.scan) > 50
    assert all(x >= 0 and axis in (0, 1, 2) for x, _, _, axis in found.push)
    every = [*found.scan.values(), *found.push.values(), *found.plain.values()]
    every += [*found.melanin.values(), *found.blood.values()]
    assert np.isfinite(every).all()
    assert np.abs(list(found.scan.values())).max() < 3  # standard deviations of the scans, as people's own
    assert np.abs(list(found.push.values())).max() < 0.05  # decimetres
    assert np.abs([*found.melanin.values(), *found.blood.values()]).max() < 0.4


def test_children_share_one_amount_and_young_grown_ups_another_and_the_old_none(table):
    table(key=(0.25, -0.5))
    assert [average("key", age) for age in (5, 10, 18, 35, 60, 80)] == [0.25, 0.25, -0.5, -0.5, 0, 0]
    assert average("key", 0) == average("key", 3) == pytest.approx(0.6 * 0.25)  # small children are alike anyway
    assert average("key", 14) == pytest.approx(-0.125)
    assert average("key", 47.5) == pytest.approx(-0.25)
    assert np.array_equal(average_form(6.0), average_form(9.0))
    assert not np.allclose(average_form(9.0), average_form(20.0), atol=1e-3)
    assert not average_form(70.0).any()


def test_the_form_is_the_sum_of_its_rows_and_mirrored(table):
    rest, modes = neutral_control(load_head()).astype(np.float64), scan_modes()
    table(module.Averages({7: (0.5, 0.0)}, {(0.3, 7.0, 1.2, 0): (0.0, 0.02)}, {}, {}, averages().plain))
    child, grown = average_form(5.0), average_form(25.0)
    expected = np.zeros_like(child)
    expected[modes.vertices] = 0.5 * modes.scale[7] * modes.steps[7]
    np.testing.assert_allclose(child, expected, atol=1e-6)
    near = int(np.argmin(((rest - [0.3, 7.0, 1.2]) ** 2).sum(axis=1)))
    other = int(np.argmin(((rest - rest[near] * [-1, 1, 1]) ** 2).sum(axis=1)))
    away = np.exp(-((rest[near] - [0.3, 7.0, 1.2]) ** 2).sum() / (2 * 0.17**2))
    assert grown[near, 0] == pytest.approx(0.02 * away, abs=5e-4)
    assert grown[other, 0] == pytest.approx(-grown[near, 0], abs=1e-5)
    assert not grown[:, 1:].any()


def test_pushes_leave_the_shoulders_alone(table):
    rest = neutral_control(load_head()).astype(np.float64)
    table(module.Averages({}, {(0.1, 5.6, 0.6, 2): (0.0, 0.02)}, {}, {}, averages().plain))
    moved = np.abs(average_form(25.0)).max(axis=1)
    assert not moved[rest[:, 1] <= 5.5].any()
    assert moved[(rest[:, 1] > 5.7) & (rest[:, 1] < 6.0)].max() > 0.001


def test_no_part_of_the_average_form_is_lopsided():
    rest = neutral_control(load_head()).astype(np.float64)
    right = np.flatnonzero((rest[:, 0] > 0.1) & (rest[:, 1] > 6.2) & (rest[:, 2] > 0.5))[::7]
    left = [int(np.argmin(((rest - rest[k] * [-1, 1, 1]) ** 2).sum(axis=1))) for k in right]
    for age in (6.0, 25.0):
        field = average_form(age)
        assert np.abs(field).max() > 0.01
        uneven = np.abs(field[right] - field[left] * [-1, 1, 1])  # the scans' own, which one component in four is
        assert uneven.mean() < 0.15 * np.abs(field[right]).mean()
        assert uneven.max() < 0.15 * np.abs(field).max()


def test_everybody_has_the_average_form(table):
    person, head = sample_identity(3, 5), load_head()
    whole = control_mesh(head, person, 25.0, {})
    moved = average_form(25.0)
    table(module.Averages({}, {}, {}, {}, averages().plain))
    rest = neutral_control(head)
    away = (np.abs(rest[:, 1] - 7.2) > 0.5) & (rest[:, 1] > 6.2)  # the lids follow the eyeballs
    np.testing.assert_allclose((whole - control_mesh(head, person, 25.0, {}))[away], moved[away], atol=1e-5)


def test_patches_lie_on_both_sides(table):
    plain = averages().plain | dict.fromkeys(("melanin", "blood", "lips", "lids"), (0.0, 0.0))
    table(module.Averages({}, {}, {(0.3, 7.0): (0.0, 0.2)}, {}, plain))
    melanin, blood = average_pigment(30.0)
    place = load_head().texel_position
    for side in (0.3, -0.3):
        flat = ((place - [side, 7.0, 1.2])[..., :2] ** 2).sum(axis=-1) + 9 * (place[..., 2] < 0.6)
        assert melanin.flat[int(np.argmin(flat))] == pytest.approx(0.2, abs=0.01)
    assert not blood.any()
    assert not average_pigment(70.0)[0].any()


@pytest.mark.parametrize("name", ["melanin", "blood", "lips", "lids"])
def test_a_row_of_pigment_darkens_the_skin_where_it_is_said(table, name):
    painter, (lips, lids, _) = SkinPainter(load_head(), sample_identity(4, 2)), load_head().texel_masks
    before = painter.paint(25.0)[..., :3]
    table(**{name: (0.0, averages().plain[name][1] + 0.3)})
    where = {"lips": lips, "lids": lids}.get(name, np.ones_like(lips))[..., None]
    pigment = MELANIN if name in ("melanin", "lids") else BLOOD
    np.testing.assert_allclose(painter.paint(25.0)[..., :3], before * np.exp(-0.3 * where * pigment), rtol=1e-4)


def test_a_child_has_the_childs_pigment_and_a_grown_up_the_other(table):
    painter = SkinPainter(load_head(), sample_identity(4, 2))
    before = [painter.paint(age)[..., :3] for age in (7.0, 25.0)]
    child, grown = averages().plain["melanin"]
    table(melanin=(child + 0.2, grown - 0.1))
    for amount, age, was in zip((0.2, -0.1), (7.0, 25.0), before, strict=True):
        np.testing.assert_allclose(painter.paint(age)[..., :3], was * np.exp(-amount * MELANIN), rtol=1e-4)


def test_rough_skin_is_rougher_and_bumps_are_steeper(table):
    painter = SkinPainter(load_head(), sample_identity(4, 2))
    before = painter.paint(25.0)
    plain = averages().plain
    table(rough=(0.0, plain["rough"][1] + 0.1), bump=(0.0, plain["bump"][1] + np.log(2)))
    after = painter.paint(25.0)
    free = (before[..., 3] > 0.31) & (before[..., 3] < 0.8)
    np.testing.assert_allclose((after - before)[..., 3][free], 0.1, atol=1e-5)
    np.testing.assert_allclose(after[..., 4:], 2 * before[..., 4:], rtol=1e-4, atol=1e-6)


def test_soft_reaches_further_and_creases_are_darker(table):
    deep = np.full((64, 64), 10.0, np.float32)
    deep[28:36, 28:36] = 10.05
    reach, hollow = _softness(25.0), _creases(deep, 60.0, 1.0, 25.0)[32, 32]
    plain = averages().plain
    table(soft=(0.0, plain["soft"][1] + np.log(2)), crease=(0.0, plain["crease"][1] + np.log(2)))
    assert _softness(25.0) == pytest.approx(2 * reach)
    assert hollow < 0.99
    assert np.log(_creases(deep, 60.0, 1.0, 25.0)[32, 32]) == pytest.approx(2 * np.log(hollow), rel=1e-3)


def test_no_action_is_stronger_than_whole(table):
    table(browInnerUp=(0.9, 0.9), mouthSmile=(0.9, 0.9))
    every = [sample_view(3, subject, 25.0, 0, Ranges()).expression for subject in range(40)]
    assert max(view["browInnerUp"] for view in every) == max(view["mouthSmileLeft"] for view in every) == 1.0


def test_light_distance_and_expression_follow_the_table(table):
    nothing = dict.fromkeys([*VIEW, *ACTIONS], (0.0, 0.0))
    table(**nothing)
    bare = sample_view(3, 4, 8.0, 0, Ranges())
    table(**nothing | {"key": (np.log(2), 0.0), "fill": (np.log(3), 0.0), "distance": (np.log(0.5), 0.0)})
    view = sample_view(3, 4, 8.0, 0, Ranges())
    np.testing.assert_allclose(view.light.key_colour, 2 * bare.light.key_colour)
    np.testing.assert_allclose(view.light.irradiance, 3 * bare.light.irradiance)
    np.testing.assert_allclose(view.light.radiance, 3 * bare.light.radiance)
    assert view.distance == pytest.approx(0.5 * bare.distance)
    assert view.yaw == bare.yaw
    for action, sides in ACTIONS.items():
        table(**nothing | {action: (0.125, 0.0)})
        moved = sample_view(3, 4, 8.0, 0, Ranges()).expression
        assert {name for name in moved if moved[name] != bare.expression.get(name, 0.0)} == {
            action + side for side in sides
        }
        assert moved[action + sides[0]] == pytest.approx(bare.expression.get(action + sides[0], 0.0) + 0.125)
        table(**nothing | {action: (-5.0, 0.0)})
        assert sample_view(3, 4, 8.0, 0, Ranges()).expression[action + sides[0]] == 0.0
