"""Where hair grows, and the waves that fields are made of."""

from dataclasses import replace

import numpy as np

from frbias.synth.mesh.fourier import features
from frbias.synth.mesh.identity import average_identity
from frbias.synth.mesh.scalp import Scalp

# forehead, temple, top, crown, back of the head (template coordinates, decimetres)
PLACES = np.array([[0.0, 7.6, 1.3], [0.55, 8.05, 1.0], [0.0, 8.35, 0.7], [0.0, 8.3, -0.1], [0.0, 7.2, -0.6]])


def scalp(**hair: float) -> Scalp:
    person = replace(average_identity(), female=False)
    return Scalp(replace(person, hair=replace(person.hair, hairline=0.0, peak=0.0, **hair)))


def test_men_who_go_bald_lose_temples_top_and_crown_with_the_years() -> None:
    kept = scalp(bald=0.0, bald_onset=25.0).on(PLACES)
    lost = scalp(bald=1.0, bald_onset=25.0).on(PLACES)
    young, old = lost.density(20.0), lost.density(70.0)
    np.testing.assert_array_equal(young, kept.density(70.0))
    np.testing.assert_array_equal(young, [0, 1, 1, 1, 1])
    assert (old[1:4] < 0.2).all()
    assert (old[0], old[4]) == (0, 1)
    np.testing.assert_array_equal(lost.density(20.0), young)  # nothing is left of the other age


def test_women_keep_top_and_crown() -> None:
    person = replace(average_identity(), female=True)
    hair = replace(person.hair, hairline=0.0, peak=0.0, bald=1.0, bald_onset=25.0)
    assert Scalp(replace(person, hair=hair)).on(PLACES).density(70.0)[2:].min() > 0.9


def test_roots_hide_the_skin_and_brows_lie_over_the_eyes() -> None:
    found = scalp(bald=0.0, bald_onset=25.0).on(PLACES)
    np.testing.assert_allclose(found.cover(30.0), 0.985 * found.density(30.0))
    assert found.cover(0.0)[2] == 0.45
    assert found.brow_cover.max() < 1e-6
    rows = np.array([[0.28, y, 1.0] for y in (7.3, 7.5, 7.7)])
    assert scalp(bald=0.0).on(rows).brow_cover.argmax() == 1


def test_features_are_cosines_of_waves() -> None:
    rng = np.random.default_rng(0)
    place, wave, phase = rng.normal(size=(50, 3)), rng.normal(size=(7, 3)), rng.uniform(0, 6, 7)
    found = np.stack(list(features(place.T, wave, phase)), axis=1)
    np.testing.assert_allclose(found, np.cos(place @ wave.T + phase), atol=1e-12)
