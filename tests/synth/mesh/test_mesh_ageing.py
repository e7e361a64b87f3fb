"""People look older with every decade: skin, light under it, hollows, and what an age estimator makes of all of it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from frbias.core.faces.align import align_arcface
from frbias.core.faces.apparent_age import ApparentAge
from frbias.synth.mesh import skin
from frbias.synth.mesh.averages import average
from frbias.synth.mesh.drawing import _creases, _softness
from frbias.synth.mesh.faces import Sitter
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.identity import sample_identity
from frbias.synth.mesh.scalp import Scalp
from frbias.synth.mesh.shape import shape_weights
from frbias.synth.mesh.skin import SkinPainter, _zones
from frbias.synth.mesh.wrinkles import Wrinkles


def _relief(painter, age):
    return float(painter.paint(age)[..., 4:][_zones().front > 0.5].std())


@pytest.mark.parametrize("subject", [1, 4])
def test_skin_grows_rougher_with_every_decade_from_thirty(subject):
    painter = SkinPainter(load_head(), sample_identity(3, subject))
    relief = [_relief(painter, age) for age in (30.0, 40.0, 50.0, 60.0, 70.0, 80.0)]
    assert all(after > 1.05 * before for before, after in itertools.pairwise(relief)), relief


def test_lines_deepen_beyond_what_each_gains_by_its_own_course():
    person = sample_identity(3, 1)
    late = replace(person, ageing=replace(person.ageing, onsets=(-200.0,) * 10))  # all lines are whole at any age
    lines = Wrinkles(load_head(), late)
    height = [np.abs(lines.at(age)[0]).sum() for age in (65.0, 75.0, 80.0)]
    assert height[1] / height[0] == pytest.approx(1.9 / 1.8, rel=1e-4)
    assert height[2] == pytest.approx(height[1], rel=1e-4)


def test_light_goes_further_under_young_skin():
    reach = [_softness(float(age)) / np.exp(average("soft", float(age))) for age in (0, 6, 12, 45, 60)]
    assert all(after < before for before, after in itertools.pairwise(reach)), reach
    assert _softness(20.0) > 2.5 * _softness(60.0)
    assert _softness(60.0) == _softness(80.0)


def test_hollows_are_filled_until_thirty_and_deepen_until_sixty():
    depth = np.full((64, 64), 2.0, np.float32)
    depth[24:40, 24:40] = 2.1
    dark = [float(_creases(depth, 64.0, 1.0, age)[30, 30]) for age in (5.0, 13.0, 45.0, 60.0)]
    assert all(after < before for before, after in itertools.pairwise(dark)), dark
    assert abs(_creases(depth, 64.0, 1.0, 30.0)[30, 30] - dark[1]) < 0.25 * (dark[1] - dark[3])


def test_beards_shadow_comes_in_until_thirty():
    person = sample_identity(3, 1)
    painter = SkinPainter(load_head(), replace(person, skin=replace(person.skin, stubble=1.0, make_up=0.0)))
    where = _zones().beard > 0.8
    light = [float(painter.paint(age)[..., :3][where].mean()) for age in (14.0, 22.0, 26.0, 30.0)]
    assert all(after < 0.97 * before for before, after in itertools.pairwise(light)), light


def test_brows_are_tinted_in_full_after_twenty():
    person = sample_identity(3, 1)
    plain = replace(
        person, ageing=replace(person.ageing, offset=0.0), skin=replace(person.skin, stubble=0.0, make_up=0)
    )
    plain = replace(plain, hair=replace(plain.hair, colour=(0.01, 0.01, 0.01), beard="none"))
    painter = SkinPainter(load_head(), plain)
    brow, bare = Scalp(plain).on(load_head().texel_position).brow_cover, (_zones().front > 0.9)
    under, beside = brow > 0.9 * brow.max(), bare & (brow == 0)
    contrast = []
    for age in (12.0, 17.0, 22.0):
        albedo = painter.paint(age)[..., :3].mean(axis=2)
        contrast.append(float(albedo[under].mean() / albedo[beside].mean()))
    assert contrast[1] - contrast[2] > 0.25 * (contrast[0] - contrast[2]), contrast  # not whole at seventeen
    assert contrast[0] > contrast[1] > contrast[2]


def test_averages_of_skin_are_those_of_the_skins_age(monkeypatch):
    painter, asked = SkinPainter(load_head(), sample_identity(3, 1)), {}

    def amount(name, age):
        asked[name] = age
        return 0.0

    monkeypatch.setattr(skin, "average", amount)
    monkeypatch.setattr(skin, "_averaged", lambda age: asked.update(pigment=age) or np.float32(1))
    painter.paint(21.0)
    assert asked == dict.fromkeys(("rough", "bump", "pigment"), pytest.approx(16.5))


def test_cheeks_stay_full_until_nineteen():
    person = replace(sample_identity(3, 1), shape={})
    full = [shape_weights(person, age, {})["local/l-cheek-inner-incr"] for age in (9.0, 12.0, 15.0, 19.0)]
    assert full[0] > full[1] > full[2] > full[3] == 0
    assert full[2] == pytest.approx(0.45 * 0.485 * 4 / 7)


@pytest.mark.slow
def test_an_estimator_of_age_reads_older_people_as_older():
    ages = (6.0, 25.0, 45.0, 70.0)
    crops = [
        align_arcface(face.image, face.points5).image
        for sitter in (Sitter(12, subject) for subject in range(16))
        for face in (sitter.portray(age, 0) for age in ages)
    ]
    apparent = np.median(ApparentAge()(np.stack(crops)).reshape(16, len(ages)), axis=0)
    assert (np.diff(apparent) > 8).all(), apparent
    assert np.abs(apparent[2:] - ages[2:]).max() < 10, apparent
