import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.training.pixels import read_faces
from frbias.core.training.split import check_no_leak, split_by_subject


@given(
    st.lists(st.sampled_from("abcdefgh") | st.just(""), min_size=40, max_size=60), st.integers(0, 50), st.floats(0, 0.5)
)
def test_nobody_is_on_both_sides(subjects: list[str], seed: int, share: float) -> None:
    try:
        split = split_by_subject(subjects, validation=share, min_images=2, seed=seed)
    except BadInputError:
        return
    trained, held = {subjects[r] for r in split.train}, {subjects[r] for r in split.validation}
    assert not trained & held
    assert "" not in trained | held
    assert [split.classes[label] for label in split.labels] == [subjects[r] for r in split.train]
    assert len(split.train) + len(split.validation) + split.left_out == len(subjects)
    assert share == 0 or len(held) == max(2, round(share * len(trained | held)))
    assert all(subjects.count(s) >= 2 for s in trained)


def test_split_depends_on_the_seed_alone() -> None:
    subjects = [f"s{i // 3}" for i in range(60)]
    first, again, other = (split_by_subject(subjects, validation=0.3, min_images=0, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.validation, again.validation)
    assert not np.array_equal(first.validation, other.validation)


def test_single_images_are_refused_unless_left_out() -> None:
    subjects = ["a", "a", "b", "b", "c"]
    with pytest.raises(BadInputError, match="--min-images 2"):
        split_by_subject(subjects, validation=0, min_images=0, seed=0)
    split = split_by_subject(subjects, validation=0, min_images=2, seed=0)
    assert split.classes == ["a", "b"]
    assert split.left_out == 1


def test_one_subject_is_not_enough() -> None:
    with pytest.raises(BadInputError, match="at least 2"):
        split_by_subject(["a"] * 5, validation=0, min_images=0, seed=0)


def test_the_same_picture_on_both_sides_is_refused(people: SampleTable) -> None:
    faces = read_faces(people)
    split = split_by_subject(people.subjects, validation=0.3, min_images=0, seed=0)
    check_no_leak(split, faces, None, names_unrelated=False)
    faces.pixels[split.validation[0]] = faces.pixels[split.train[3]]
    with pytest.raises(UsageError, match="same picture"):
        check_no_leak(split, faces, None, names_unrelated=False)


def test_people_of_the_evaluation_set_must_be_others(people: SampleTable) -> None:
    faces = read_faces(people)
    split = split_by_subject(people.subjects, validation=0.3, min_images=0, seed=0)
    other = dataclasses.replace(faces, pixels=255 - faces.pixels)
    with pytest.raises(UsageError, match="--eval-names-unrelated"):
        check_no_leak(split, faces, other, names_unrelated=False)
    check_no_leak(split, faces, other, names_unrelated=True)
    with pytest.raises(UsageError, match="same picture"):
        check_no_leak(split, faces, faces, names_unrelated=True)
