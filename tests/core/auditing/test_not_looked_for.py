"""What was not looked for, compared or measured is said to be so, and is never 0."""

import numpy as np
import pytest

from frbias.core.auditing.ages import age_rows
from frbias.core.auditing.defects import Belonging, Copies, Sharpness, blur
from frbias.core.auditing.flags import FLAGS, Search, cells, count_flags, not_looked_for_in, searches
from frbias.core.auditing.gap import appearance, distance
from frbias.core.auditing.similarity import similarity
from frbias.core.auditing.vectors import Faces, faces_of
from frbias.core.auditing.wrong_ages import AgeFit, age_fit

NO = np.zeros(4, dtype=bool)
NOTHING = Copies(np.full(4, -1), np.full(4, np.nan))


def made(
    *, own: list[float], faceless: list[int] = (), strangers: list[int] = (), aged: list[int] = ()
) -> dict[str, Search]:  # type: ignore[assignment]
    def mask(rows: list[int]) -> np.ndarray:
        return np.isin(np.arange(4), rows)

    belonging = Belonging(np.array(own), np.zeros(4), np.zeros(4, np.intp), mask(strangers))
    fit = AgeFit(np.full(4, np.nan), NO, mask(aged), "" if aged else "too few")
    return searches(mask(faceless), NOTHING, None, belonging, fit, Sharpness(NO))


def counts(found: dict[str, Search], *lost: str) -> tuple[dict[str, int | None], dict[str, int], dict[str, str]]:
    flags = [*cells(found, found=True), *lost]
    missed = [*cells(found, found=False), *(not_looked_for_in(flag) for flag in lost)]
    told = count_flags(flags, missed, found)
    return told.flagged, told.looked_at, told.not_looked_for


def test_a_flag_that_was_looked_for_in_no_image_has_no_count_but_a_reason() -> None:
    flagged, looked_at, why = counts(made(own=[np.nan] * 4))
    assert list(flagged) == list(looked_at) == list(FLAGS)
    assert {flag for flag, number in flagged.items() if number is None} == {"leaked", "stranger", "wrong_age"}
    assert why == {"leaked": "no --against set", "stranger": "nobody has two pictures", "wrong_age": "too few"}
    assert looked_at["duplicate"] == looked_at["unreadable"] == 4
    assert flagged["duplicate"] == 0


def test_images_that_could_not_get_a_flag_are_not_counted_as_looked_at() -> None:
    found = made(own=[0.5, 0.4, np.nan, 0.3], faceless=[3], strangers=[1], aged=[0, 1, 2, 3])
    flagged, looked_at, why = counts(found, "unreadable", "no_face")
    assert looked_at == {
        "unreadable": 6, "no_face": 5, "duplicate": 4, "leaked": 0, "stranger": 2, "wrong_age": 2, "blurred": 4,
    }  # fmt: skip
    assert (flagged["no_face"], flagged["stranger"], flagged["wrong_age"]) == (2, 1, 0)
    assert list(why) == ["leaked"]
    assert list(cells(found, found=False)) == [
        "leaked",
        "leaked wrong_age",
        "leaked stranger",
        "leaked stranger wrong_age",
    ]


def test_no_face_among_those_that_could_be_judged() -> None:
    why = counts(made(own=[0.5, 0.5, np.nan, np.nan], faceless=[0, 1], aged=[0, 1]))[2]
    assert why["stranger"] == "no face was found in any picture of a person with two"
    assert why["wrong_age"] == "every picture whose age is known lacks a face or shows somebody else"


def test_two_pictures_have_no_rest_to_be_less_sharp_than() -> None:
    assert blur(np.array([1.0, 900.0])).why_not == "only 2 pictures can be compared; 3 are needed"
    assert list(blur(np.array([1.0, 900.0, 910.0])).blurred) == [True, False, False]


def crowd(people: int, pictures: int, ages: float = np.nan, seed: int = 0) -> Faces:
    random = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), pictures)
    rows = random.normal(size=(people, 16))[who] + 0.3 * random.normal(size=(len(who), 16))
    return faces_of(rows, [f"{seed}-{code}" for code in who], np.full(len(who), ages))


@pytest.mark.parametrize(
    ("ages", "why"),
    [
        ([], "no ages are known; 50 are needed"),
        ([3.0], "the age of only 1 picture is known; 50 are needed"),
        ([3.0, 8.0] * 6, "ages of only 12 pictures are known; 50 are needed"),
        ([3.0] * 60, "only 1 different age is known; 3 are needed"),
        ([3.0, 8.0] * 30, "only 2 different ages are known; 3 are needed"),
    ],
)
def test_why_ages_are_not_judged(ages: list[float], why: str) -> None:
    faces = crowd(30, 4)
    fit = age_fit(Faces(faces.unit, faces.person, faces.names, np.array([*ages, *[np.nan] * (120 - len(ages))])))
    assert fit.why_not == why
    assert not fit.judged.any()


def test_ages_of_one_person_are_judged_by_nobody() -> None:
    faces, ages = crowd(2, 60), np.full(120, np.nan)
    ages[:60] = np.linspace(3, 70, 60)
    fit = age_fit(Faces(faces.unit, faces.person, faces.names, ages))
    assert fit.why_not == "the known ages are of too few people; an age is judged by those of others"
    assert not fit.judged.any()
    assert np.isnan(fit.expected).all()


def test_ages_are_judged_where_they_are_known() -> None:
    faces = crowd(40, 4)
    ages = np.where(np.arange(160) % 2, np.tile([3.0, 20.0, 40.0, 70.0], 40), np.nan)
    ages[:2] = 30.0
    fit = age_fit(Faces(faces.unit, faces.person, faces.names, ages))
    np.testing.assert_array_equal(fit.judged, np.isfinite(ages))
    assert not fit.why_not


def test_a_probe_that_was_not_asked_has_no_share() -> None:
    shares = [distance(crowd(2, 6, seed=1), crowd(40, 2, seed=2), seed=seed) for seed in range(40)]
    unasked = [found for found in shares if np.isnan(found.probe)]
    assert 0 < len(unasked) < len(shares)  # two people: in one fold now and then
    assert all("too few people" in found.probe_reason for found in unasked)
    assert not any(found.probe_reason for found in shares if np.isfinite(found.probe))


def test_what_two_pictures_cannot_tell() -> None:
    seen = appearance(crowd(2, 1))
    assert np.isnan([seen.non_mated_std, seen.mated, seen.within_dimensions, seen.within_variance]).all()
    assert seen.mated_reason == "nobody has two pictures"
    assert not appearance(crowd(2, 2)).mated_reason


def test_error_rates_of_too_few_comparisons_say_how_many_there_are() -> None:
    found = similarity(crowd(4, 1))
    assert (found.images, found.aged, found.mated, found.non_mated, found.gaps, found.bands) == (4, 0, 0, 6, (), ())
    assert np.isnan(found.eer)
    assert found.eer_reason == "there are 0 mated comparisons and 6 non-mated; 20 of each are needed"
    assert found.ages_reason == "no ages are known"
    enough = similarity(crowd(10, 4, ages=30.0))
    assert (enough.mated, enough.eer_reason, enough.ages_reason) == (60, "", "")
    row = enough.gaps[0]
    assert (row.mated, row.non_mated) == (60, 720)
    assert np.isnan(similarity(crowd(4, 1, ages=30.0)).gaps[0].mean)


def test_one_person_has_no_interval_over_people() -> None:
    faces = crowd(1, 5, ages=30.0)
    (row,) = age_rows(faces, np.full(5, 33.0), np.array([""] * 5, dtype=object), replicates=100)
    assert (row.bias, row.mae) == (3.0, 3.0)
    assert np.isnan([row.mae_low, row.mae_high]).all()
