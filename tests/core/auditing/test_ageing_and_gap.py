"""The ageing direction and the distance between sets, against planted truth and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from frbias.core.auditing.ageing import agreement, shifts_of, within_person_directions
from frbias.core.auditing.gap import appearance, distance
from frbias.core.auditing.vectors import Faces, faces_of, means_of_people
from frbias.core.foundation.errors import BadInputError

D = 32


def crowd(
    people: int = 40, seed: int = 0, direction: int = 0, strength: float = 1.0, common: float = 0.0, noise: float = 0.1
) -> Faces:
    """People seen at 5, 10, 25 and 40 years; ageing moves everybody along one axis."""
    random = np.random.default_rng(seed)
    identity = random.normal(size=(people, D))
    rows, who, ages = [], [], []
    for person in range(people):
        for age in (5.0, 10.0, 25.0, 40.0):
            vector = identity[person] + noise * random.normal(size=D)
            vector[direction] += strength * (age >= 18) * 3
            vector[-1] += common
            rows.append(vector)
            who.append(f"{seed}-{person}")
            ages.append(age)
    return faces_of(np.array(rows), who, ages)


def test_sets_that_age_alike_agree_and_others_do_not() -> None:
    here = shifts_of(crowd(seed=1), 14, 18)
    same = agreement(here, shifts_of(crowd(seed=2), 14, 18))
    other = agreement(here, shifts_of(crowd(seed=2, direction=5), 14, 18))
    back = agreement(here, shifts_of(crowd(seed=2, strength=-1.0), 14, 18))
    assert same.cosine > 0.9 > 0.3 > abs(other.cosine)
    assert back.cosine < -0.8
    assert same.low <= same.cosine <= same.high
    assert same.people == same.other_people == 40


def test_the_interval_narrows_with_people() -> None:
    few = agreement(shifts_of(crowd(10, 1), 14, 18), shifts_of(crowd(10, 2), 14, 18))
    many = agreement(shifts_of(crowd(160, 1), 14, 18), shifts_of(crowd(160, 2), 14, 18))
    assert many.high - many.low < few.high - few.low


def test_shifts_are_the_difference_of_means_by_hand() -> None:
    faces = crowd(6, 3)
    by_hand = [
        faces.unit[(faces.person == p) & (faces.ages >= 18)].mean(axis=0)
        - faces.unit[(faces.person == p) & (faces.ages < 14)].mean(axis=0)
        for p in range(6)
    ]
    np.testing.assert_allclose(shifts_of(faces, 14, 18).rows, by_hand, atol=1e-12)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(BadInputError, match="4 people seen both under 14 and at 18"):
        shifts_of(crowd(4), 14, 18)


def test_the_largest_within_person_direction_is_the_planted_one() -> None:
    found = within_person_directions(crowd(60, 4, direction=7), 2)
    assert abs(found[0, 7]) > 0.8
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-9)


def test_appearance_by_brute_force() -> None:
    faces = crowd(12, 5, common=4.0)
    seen = appearance(faces)
    n = len(faces.unit)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    other = [faces.unit[i] @ faces.unit[j] for i, j in pairs if faces.person[i] != faces.person[j]]
    mated = [
        np.mean([faces.unit[i] @ faces.unit[j] for i, j in pairs if faces.person[i] == faces.person[j] == p])
        for p in range(12)
    ]
    assert seen.non_mated == pytest.approx(np.mean(other))
    assert seen.mated == pytest.approx(np.mean(mated))
    assert seen.mean_length == pytest.approx(np.linalg.norm(faces.unit.mean(axis=0)))
    means = means_of_people(faces)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(np.cov(means.T, bias=True))
    assert seen.variance == pytest.approx(values.sum())
    assert seen.dimensions == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert seen.variance == pytest.approx(1 - np.linalg.norm(means.mean(axis=0)) ** 2)
    groups = [faces.unit[faces.person == p] for p in range(12)]
    squares = sum(float((g - g.mean(axis=0)).ravel() @ (g - g.mean(axis=0)).ravel()) for g in groups)
    assert seen.within_variance == pytest.approx(squares / (n - 12))


def test_effective_dimensions_of_a_known_spread() -> None:
    axes = np.concatenate([np.eye(8), -np.eye(8)])
    seen = appearance(faces_of(axes, [str(k) for k in range(16)]))
    assert seen.dimensions == pytest.approx(8)
    assert seen.mean_length == pytest.approx(0)
    assert np.isnan(seen.mated)
    assert np.isnan(seen.within_variance)


def test_distance_grows_with_a_common_direction() -> None:
    near = distance(crowd(50, 6), crowd(50, 7))
    far = distance(crowd(50, 6), crowd(50, 7, common=6.0))
    assert far.frechet > 2 * near.frechet
    assert far.kernel > 10 * abs(near.kernel)
    assert far.probe > 0.95 > 0.7 > near.probe


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(12, 80), st.integers(12, 80))
def test_frechet_equals_the_matrix_square_root(seed: int, n: int, m: int) -> None:
    from frbias.core.auditing.gap import _frechet

    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, 6)), random.normal(size=(m, 6)) * 2 + 1
    cx, cy = np.cov(x.T), np.cov(y.T)
    difference = x.mean(axis=0) - y.mean(axis=0)
    expected = difference @ difference + np.trace(cx + cy - 2 * np.real(linalg.sqrtm(cx @ cy)))
    assert _frechet(x, y) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_unbiased() -> None:
    random = np.random.default_rng(0)
    found = [
        distance(
            faces_of(random.normal(size=(30, 8)), [str(i) for i in range(30)]),
            faces_of(random.normal(size=(30, 8)), [str(i) for i in range(30)]),
        ).kernel
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_other_recognisers_are_refused() -> None:
    small = faces_of(np.ones((20, 4)), [str(i) for i in range(20)])
    with pytest.raises(BadInputError, match="different recognisers"):
        distance(crowd(), small)
