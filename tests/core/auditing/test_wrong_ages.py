"""Ages that cannot be: the limit keeps its promise whatever the spread of the guesses, and gross errors lie beyond it."""

import numpy as np
import pandas as pd
import pytest

from frbias.core.auditing.vectors import Float, faces_of
from frbias.core.auditing.wrong_ages import FALSE_ALARMS, LEAST_Z, Judged, age_fit, judge
from frbias.core.stages import audit as stage

AGES = np.array([3.0, 8.0, 14.0, 20.0, 30.0, 45.0, 60.0, 75.0])


def guesses(
    seed: int, people: int = 200, pictures: int = 8, shared: float = 0.7, ages: str = "eight", tails: float = np.inf
) -> tuple[Float, Float, np.ndarray]:
    """Stated ages, guesses and people: the guesses' spread grows with age by three, and has a part of the person."""
    random = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), pictures)
    if ages == "eight":
        years = np.array([random.choice(AGES, pictures, replace=pictures > len(AGES)) for _ in range(people)]).ravel()
    else:
        years = random.integers(0, 160, people * pictures) / 2
    stated = np.sqrt(years + 1)
    own = random.normal(size=len(stated)) if np.isinf(tails) else random.standard_t(tails, len(stated))
    noise = np.sqrt(shared) * random.normal(size=people)[person] + np.sqrt(1 - shared) * own
    return stated, stated + (0.3 + 0.6 * years / 75) * noise, person


def accused(found: Judged) -> float:
    return float((found.z > found.limit).mean())


@pytest.mark.parametrize(
    ("pictures", "shared", "ages"), [(8, 0.7, "eight"), (8, 0.0, "eight"), (1, 0.7, "eight"), (5, 0.5, "any")]
)
def test_the_share_of_right_ages_beyond_the_limit_is_near_what_is_promised(
    pictures: int, shared: float, ages: str
) -> None:
    people = 1600 // pictures
    shares = [accused(judge(*guesses(seed, people, pictures, shared, ages))) for seed in range(20)]
    assert FALSE_ALARMS / 2 < np.mean(shares) < 2 * FALSE_ALARMS
    assert max(shares) < 0.01


def test_heavier_tails_move_the_limit() -> None:
    found = judge(*guesses(0, tails=3.0))
    assert found.limit > judge(*guesses(0)).limit >= LEAST_Z
    assert accused(found) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_gross_errors_lie_beyond_it_and_do_not_move_it(seed: int) -> None:
    stated, guess, person = guesses(seed)
    years = stated**2 - 1
    random = np.random.default_rng(seed)
    wrong = random.choice(np.flatnonzero((years < 10) | (years > 50)), len(years) * 3 // 100, replace=False)
    said = stated.copy()
    said[wrong] = np.sqrt(np.where(years[wrong] < 10, 75.0, 3.0) + 1)
    found = judge(said, guess, person)
    beyond = found.z > found.limit
    assert beyond[wrong].mean() >= 0.95
    assert np.delete(beyond, wrong).mean() < 0.006
    assert np.all(np.abs(found.expected - stated)[wrong] < np.abs(found.expected - said)[wrong])
    assert found.limit < 1.2 * judge(stated, guess, person).limit


def test_one_wrong_age_in_twenty_does_not_hide_the_others() -> None:
    moved = []
    for seed in range(5):
        stated, guess, person = guesses(seed, people=100)
        old_or_young = np.flatnonzero((stated < np.sqrt(10)) | (stated > np.sqrt(50)))
        wrong = np.random.default_rng(seed).choice(old_or_young, len(stated) // 20, replace=False)
        said = stated.copy()
        said[wrong] = np.sqrt(np.where(stated[wrong] < np.sqrt(10), 76.0, 4.0))
        moved.append(judge(said, guess, person).limit / judge(stated, guess, person).limit)
    assert 0.85 < np.mean(moved) < 1.1


def test_nothing_within_three_spreads_is_wrong() -> None:
    stated, guess, person = guesses(0)
    assert judge(stated, guess, person, false_alarms=0.05).limit == LEAST_Z


def test_other_pictures_of_a_person_say_how_young_it_looks() -> None:
    stated, guess, person = guesses(0)
    found = judge(stated, guess, person)
    assert np.std(found.expected - stated) < 0.75 * np.std(guess - stated)
    alone = judge(stated, guess, np.arange(len(person)))
    np.testing.assert_array_equal(alone.expected, guess)


def test_the_order_of_the_rows_says_nothing() -> None:
    stated, guess, person = guesses(0, 80)
    shuffled = np.random.default_rng(0).permutation(len(stated))
    one, other = judge(stated, guess, person), judge(stated[shuffled], guess[shuffled], 79 - person[shuffled])
    np.testing.assert_allclose(other.z, one.z[shuffled], rtol=1e-6, atol=1e-9)
    assert other.limit == pytest.approx(one.limit, rel=1e-6)


def test_people_of_many_pictures_and_guesses_without_error_are_judged() -> None:
    stated, guess, person = guesses(0, 4, 300)
    assert accused(judge(stated, guess, person)) < 0.01
    assert accused(judge(stated, stated.copy(), person)) == 0


def faces(seed: int) -> tuple[np.ndarray, list[str], Float]:
    """Embeddings of 60 people at eight ages, in which age and person each have their directions."""
    random = np.random.default_rng(seed)
    people, ages = np.repeat(np.arange(60), 8), np.tile(AGES, 60)
    matrix = random.normal(size=(60, 32))[people] + 0.3 * random.normal(size=(480, 32))
    matrix[:, 0] += 1.5 * np.sqrt(ages + 1)
    return matrix, [f"p{code}" for code in people], ages


def test_ages_are_learnt_within_the_set_and_the_reason_says_which_way_they_are_wrong() -> None:
    matrix, subjects, ages = faces(0)
    said = ages.copy()
    said[0], said[15], said[100] = 60.0, 8.0, np.nan  # a child of 3, a person of 75, nothing said
    fit = age_fit(faces_of(matrix, subjects, said))
    assert fit.wrong[0]
    assert fit.wrong[15]
    assert not fit.wrong[100]
    assert fit.wrong.sum() <= 2 + 0.01 * len(ages)
    assert fit.expected[0] < 15
    assert fit.expected[15] > 40
    reasons = [
        stage._reason("wrong_age", pd.Series({"age": said[row], "expected_age": fit.expected[row]})) for row in (0, 15)
    ]
    assert reasons == [
        f"said to be 60, looks like {fit.expected[0]:.0f}", f"said to be 8, looks like {fit.expected[15]:.0f}"
    ]  # fmt: skip


def test_too_few_known_ages_are_not_judged() -> None:
    matrix, subjects, ages = faces(0)
    for few in (np.where(np.arange(480) < 49, ages, np.nan), np.where(ages < 10, ages, np.nan)):
        fit = age_fit(faces_of(matrix, subjects, few))
        assert not fit.wrong.any()
        assert np.isnan(fit.expected).all()
