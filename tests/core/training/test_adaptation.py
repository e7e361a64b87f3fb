"""Maps learned in closed form, against constructed embeddings and other ways to compute them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.maps import EmbeddingMap, read_map, unit, write_map
from frbias.core.training.adaptation import (
    LabelledUnits,
    common_direction,
    discriminants,
    fitted_map,
    growth_direction,
    pose_direction,
    projection,
    shrunk,
    whitening,
    within_covariance,
    within_directions,
    within_person,
)

E = np.eye(8)


def labelled(units: np.ndarray, people: np.ndarray, ages: object = np.nan, yaw: object = np.nan) -> LabelledUnits:
    full = np.full(len(units), 1.0)
    return LabelledUnits(units, people, full * ages, full * yaw)  # type: ignore[operator]


def test_growth_is_the_mean_shift_of_people_seen_at_both_ages() -> None:
    people = np.repeat(np.arange(6), 3)
    ages = np.tile([5.0, 11.0, 18.0], 6)
    units = 0.1 * people[:, None] * E[0] + (ages == 18)[:, None] * E[1] + np.where(ages == 5, 0.5, -0.5)[:, None] * E[2]
    # children of a person: mean of +0.5 and -0.5 along the third axis is 0, adults lie at -0.5
    np.testing.assert_allclose(growth_direction(labelled(units, people, ages), 11, 18), E[1] - 0.5 * E[2], atol=1e-12)
    ages[people == 0] = 15.0
    np.testing.assert_allclose(growth_direction(labelled(units, people, ages), 11, 18), E[1] - 0.5 * E[2], atol=1e-12)
    ages[people == 1] = 15.0
    with pytest.raises(BadInputError, match="4 people"):
        growth_direction(labelled(units, people, ages), 11, 18)


def test_pose_is_told_apart_from_growth_and_from_people() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 6)
    yaw, ages = rng.uniform(-30, 30, 120), rng.uniform(2, 60, 120)
    yaw[ages < 20] *= 0.3  # pose and age go together
    own = rng.normal(size=(20, 8))[people]
    units = own + np.abs(yaw)[:, None] * 0.01 * E[3] + np.minimum(ages, 20)[:, None] * 0.02 * E[4]
    np.testing.assert_allclose(pose_direction(labelled(units, people, ages, yaw)), 0.01 * E[3], atol=1e-12)
    yaw[:30] = np.nan
    np.testing.assert_allclose(pose_direction(labelled(units, people, ages, yaw)), 0.01 * E[3], atol=1e-12)
    for nothing in (np.full(120, np.nan), np.repeat(rng.uniform(-30, 30, 20), 6)):
        with pytest.raises(BadInputError, match="no column yaw"):
            pose_direction(labelled(units, people, ages, nothing))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_what_is_projected_out_is_gone_and_nothing_else(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    directions = [*rng.normal(size=(count, 8))]
    directions += [2.0 * directions[0] + 0.0, directions[0] - directions[-1]] if count > 1 else []
    out = projection(directions, 8)
    for direction in directions:
        assert np.abs(out @ direction).max() < 1e-9 * np.linalg.norm(direction)
    assert np.allclose(out @ out, out)
    assert np.allclose(out, out.T)
    assert round(np.trace(out)) == 8 - count
    left = rng.normal(size=8)
    for direction in np.linalg.qr(np.array(directions).T)[0].T[:count] if count else []:
        left -= direction * (direction @ left)
    assert np.allclose(out @ left, left)


def test_within_directions_are_the_axes_that_people_vary_along() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(200), 5)
    spread = np.array([0.01, 3.0, 0.01, 1.0, 0.01, 0.01, 0.01, 0.01])
    units = 10 * rng.normal(size=(200, 8))[people] + rng.normal(size=(1000, 8)) * spread
    found = within_directions(units, people, 2)
    assert np.allclose(np.abs(found), [E[1], E[3]], atol=0.02)
    with pytest.raises(BadInputError, match="--within 3"):
        within_directions(np.column_stack([units[:, :2], np.zeros((1000, 6))]), people, 3)


def test_covariance_within_people_has_its_degrees_of_freedom() -> None:
    rng = np.random.default_rng(2)
    people = rng.integers(0, 12, 80)
    units = rng.normal(size=(80, 5))
    by_hand, freedom = np.zeros((5, 5)), 0
    for person in np.unique(people):
        own = units[people == person]
        by_hand += (own - own.mean(0)).T @ (own - own.mean(0))
        freedom += len(own) - 1
    np.testing.assert_allclose(within_covariance(units, people), by_hand / freedom, atol=1e-12)
    with pytest.raises(BadInputError, match="Nobody has two"):
        within_covariance(units[:3], np.arange(3))
    np.testing.assert_allclose(within_person(units, people).sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_normalised_people_vary_alike_in_all_directions(shrinkage: float) -> None:
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(60), 4)
    units = rng.normal(size=(60, 6))[people] + rng.normal(size=(240, 6)) @ rng.normal(size=(6, 6)) * 0.3
    found = fitted_map([], [labelled(units, people)], normalise="wccn", shrinkage=shrinkage, dimensions=0)
    covariance = within_covariance(units, people)
    after = found.matrix @ shrunk(covariance, shrinkage) @ found.matrix.T
    np.testing.assert_allclose(after, np.eye(6), atol=1e-9)
    if shrinkage == 1.0:
        np.testing.assert_allclose(found.matrix, np.eye(6) / np.sqrt(np.trace(covariance) / 6), atol=1e-9)


def test_a_direction_taken_out_stays_out_of_what_is_normalised() -> None:
    rng = np.random.default_rng(4)
    people = np.repeat(np.arange(30), 4)
    units = rng.normal(size=(30, 6))[people] + 0.2 * rng.normal(size=(120, 6))
    for how in ("wccn", "lda"):
        found = fitted_map([E[0, :6]], [labelled(units, people)], normalise=how, shrinkage=0.0, dimensions=0)
        assert np.abs(found.matrix[:, 0]).max() < 1e-7
        assert len(found.matrix) == (6 if how == "wccn" else 5)


def test_discriminants_are_those_of_the_generalised_eigenproblem() -> None:
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(9), 7)
    units = rng.normal(size=(9, 4))[people] * [3, 2, 1, 0.5] + rng.normal(size=(63, 4)) @ rng.normal(size=(4, 4))
    inside = within_covariance(units, people)
    means = np.array([units[people == p].mean(0) for p in range(9)]) - units.mean(0)
    between = 7 * means.T @ means
    rows = discriminants(units, people, 0.0, 3)
    values, vectors = np.linalg.eig(np.linalg.solve(inside, between))
    for row, k in zip(rows, np.argsort(-values.real)[:3], strict=True):
        axis = vectors[:, k].real
        assert abs(row @ axis) / (np.linalg.norm(row) * np.linalg.norm(axis)) == pytest.approx(1, abs=1e-7)
        assert row @ inside @ row == pytest.approx(1, abs=1e-9)
    with pytest.raises(BadInputError, match="--dimensions 5"):
        discriminants(units, people, 0.0, 5)


def test_lda_centres_and_people_of_two_sets_stay_apart() -> None:
    rng = np.random.default_rng(6)
    people = np.repeat(np.arange(10), 3)
    one, two = rng.normal(size=(2, 30, 5))
    found = fitted_map([], [labelled(one, people), labelled(two, people)], normalise="lda", shrinkage=0.5, dimensions=2)
    together = np.concatenate([one, two])
    np.testing.assert_allclose((together @ found.matrix.T + found.shift).mean(axis=0), 0, atol=1e-9)
    apart = fitted_map(
        [], [labelled(together, np.r_[people, people + 10])], normalise="lda", shrinkage=0.5, dimensions=2
    )
    np.testing.assert_allclose(np.abs(found.matrix), np.abs(apart.matrix), atol=1e-9)


def test_whitening_leaves_what_has_no_variance_at_zero() -> None:
    np.testing.assert_allclose(whitening(np.diag([4.0, 0.25, 0.0])), np.diag([0.5, 2.0, 0.0]), atol=1e-12)


def test_a_map_reads_back_and_scale_changes_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(7)
    found = EmbeddingMap.of(rng.normal(size=(3, 5)), rng.normal(size=3))
    write_map(tmp_path / "map.safetensors", found)
    again = read_map(tmp_path / "map.safetensors")
    assert again.sha256 == found.sha256
    vectors = rng.normal(size=(4, 5))
    by_hand = [found.matrix @ (v / np.linalg.norm(v)) + found.shift for v in vectors]
    np.testing.assert_allclose(again.apply(7 * vectors), by_hand, atol=1e-5)
    assert (unit(np.zeros((1, 5))) == 0).all()
    np.testing.assert_allclose(common_direction(np.array([E[0], E[1]])), (E[0] + E[1]) / 2)
    for broken in (np.zeros((3, 5)), np.full((3, 5), np.nan), np.ones((1, 5))):
        with pytest.raises(BadInputError):
            EmbeddingMap.of(broken)
    (tmp_path / "map.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadInputError, match=r"holds no map|damaged safetensors file: its head is cut off"):
        read_map(tmp_path / "map.safetensors")
