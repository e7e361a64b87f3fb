"""The grammars of the data sets' file names: what is written is read back, and nothing else is accepted."""

import string
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frbias.core.data.datasets.layouts import agedb, cacd, cacdvs, fgnet, folder, itwcc, lag, morph, utkface
from frbias.core.data.datasets.layouts.known import LAYOUTS
from frbias.core.data.datasets.layouts.layout import FaceName

AGES = st.integers(0, 99)
CASES = st.sampled_from([str.lower, str.upper, str])
LETTERS = st.text(string.ascii_letters, min_size=1, max_size=12)


@given(
    st.integers(1, 999),
    AGES,
    st.sampled_from(["", *string.ascii_lowercase]),
    CASES,
    st.sampled_from(["jpg", "JPG", "jpeg", "png"]),
)
def test_fgnet(subject: int, age: int, letter: str, case: object, suffix: str) -> None:
    stem = case(f"{subject:03d}A{age:02d}{letter}")  # type: ignore[operator]
    expected = FaceName(f"{subject:03d}", float(age), key=f"{subject:03d}a{age:02d}{letter}")
    for folder_name in ("", "images/", "Images/", f"{subject:03d}/", f"FGNET/images/{subject}/"):
        assert fgnet.parse(PurePosixPath(f"{folder_name}{stem}.{suffix}")) == expected


@given(st.integers(1, 999), AGES, st.sampled_from(["", "a", "b"]))
def test_fgnet_as_resorted_by_the_thesis(subject: int, age: int, letter: str) -> None:
    found = fgnet.parse(PurePosixPath(f"{subject:03d}/{subject:03d}_{age:02d}{letter}.jpg"))
    assert found == FaceName(f"{subject:03d}", float(age), key=f"{subject:03d}a{age:02d}{letter}")


@given(st.integers(1, 999), st.integers(1, 999))
def test_fgnet_in_another_identitys_folder(subject: int, other: int) -> None:
    found = fgnet.parse(PurePosixPath(f"{other:03d}/{subject:03d}A10.jpg"))
    assert (found is not None) == (subject == other)


@pytest.mark.parametrize(
    "name",
    [
        "001A2.JPG",
        "01A02.JPG",
        "001A002.JPG",
        "0001A02.JPG",
        "001B02.JPG",
        "001A02ab.JPG",
        "001A02a1.JPG",
        "x001A02.JPG",
        "001A02 .JPG",
        "001A02.gif",
        "٠٠١A٠٢.JPG",
        "001A02\n.JPG",
        "001-02.jpg",
    ],
)
def test_no_fgnet_names(name: str) -> None:
    assert fgnet.parse(PurePosixPath(name)) is None


@given(st.integers(0, 999_999), st.integers(0, 99), st.sampled_from("MFmf"), AGES)
def test_morph(subject: int, picture: int, sex: str, age: int) -> None:
    found = morph.parse(PurePosixPath(f"{subject:06d}_{picture}{sex}{age:02d}.JPG"))
    assert found == FaceName(f"{subject:06d}", float(age), sex=sex.lower(), key=f"{subject:06d}_{picture}")


@given(st.integers(0, 99_999), LETTERS, st.integers(0, 150), st.sampled_from("mf"), st.sampled_from(["", " ", "  "]))
def test_agedb_with_spaces(image: int, person: str, age: int, sex: str, space: str) -> None:
    found = agedb.parse(PurePosixPath(f"{image}_{person}{space}_{age}_{sex}.jpg"))
    assert found == FaceName(person, float(age), sex=sex, key=str(image))


def test_agedb_space_does_not_split_a_person() -> None:
    names = ["16020_MorganFreeman _73_m.jpg", "16021_MorganFreeman_60_m.jpg"]
    assert {agedb.parse(PurePosixPath(n)).subject for n in names} == {"MorganFreeman"}  # type: ignore[union-attr]


@given(st.integers(10, 99), st.lists(LETTERS, min_size=1, max_size=4), st.integers(0, 9999))
def test_cacd(age: int, words: list[str], number: int) -> None:
    person = "_".join(words)
    found = cacd.parse(PurePosixPath(f"{age}_{person}_{number:04d}.jpg"))
    assert found is not None
    assert (found.subject, found.age) == (person, float(age))


@given(
    st.text(string.ascii_uppercase, min_size=1, max_size=3),
    st.integers(0, 9999),
    st.integers(0, 999),
    st.sampled_from("mf"),
    AGES,
)
def test_itwcc(code: str, subject: int, image: int, sex: str, age: int) -> None:
    found = itwcc.parse(PurePosixPath(f"{code}{subject}_{image:03d}{sex}{age:02d}_1.62.jpg"))
    assert found == FaceName(f"{code}{subject}", float(age), sex=sex, key=f"{code}{subject}_{image:03d}".lower())


@given(
    st.integers(0, 150),
    st.integers(0, 1),
    st.integers(0, 4),
    st.integers(0, 10**17),
    st.sampled_from([".jpg", ".jpg.chip.jpg", ".chip.jpg"]),
)
def test_utkface(age: int, sex: int, ethnicity: int, time: int, suffix: str) -> None:
    found = utkface.parse(PurePosixPath(f"{age}_{sex}_{ethnicity}_{time}{suffix}"))
    assert found is not None
    assert (found.subject, found.age, found.sex) == ("", float(age), "mf"[sex])
    assert found.ethnicity == utkface.ETHNICITIES[ethnicity]


@pytest.mark.parametrize(
    "name", ["39_1_20170116174525125.jpg.chip.jpg", "61_3_20170109142408075.jpg", "200_1_1_2017.jpg"]
)
def test_utkface_names_that_lack_a_field(name: str) -> None:
    assert utkface.parse(PurePosixPath(name)) is None


@pytest.mark.parametrize(
    ("path", "subject", "age"),
    [
        ("ada/ada_23_0.png", "ada", 23.0),
        ("00001/00001_7.5_1.png", "00001", 7.5),
        ("ada/23.png", "ada", None),
        ("ada/ada_23years.png", "ada", 23.0),
        ("ada/bob_23.png", "ada", None),
        ("set/ada/ada_900.png", "set/ada", None),
    ],
)
def test_folder_per_subject(path: str, subject: str, age: float | None) -> None:
    found = folder.parse(PurePosixPath(path))
    assert found is not None
    assert (found.subject, found.age) == (subject, age)


def test_a_file_outside_of_any_folder_has_no_subject() -> None:
    assert folder.parse(PurePosixPath("ada_23.png")) is None
    assert lag.parse(PurePosixPath("ada.png")) is None
    assert lag.parse(PurePosixPath("y/ada.png")) is None


def test_lag() -> None:
    assert lag.parse(PurePosixPath("LAG/jane_roe/y/a b.png")) == FaceName("jane_roe", None, age_group="young")
    assert lag.parse(PurePosixPath("jane_roe/a_23.png")) == FaceName("jane_roe", None, age_group="old")


@pytest.mark.parametrize(
    "name", ["0000_2.jpg", "000_0.jpg", "00000_0.jpg", "x0000_0.jpg", "٠٠٠٠_0.jpg", "0000_0_0.jpg"]
)
def test_no_cacdvs_names(name: str) -> None:
    assert cacdvs.parse(PurePosixPath(name)) is None


@given(st.text(max_size=60))
def test_no_name_makes_a_grammar_fail(text: str) -> None:
    for layout in LAYOUTS.values():
        found = layout.parse(PurePosixPath("d") / (text.replace("/", "_").replace("\0", "_") + ".jpg"))
        assert found is None or found.age is None or 0 <= found.age <= 150


@pytest.mark.parametrize(
    "layout",
    [layout for name, layout in LAYOUTS.items() if name not in ("folder", "lag")],
    ids=lambda layout: layout.name,
)
def test_examples_belong_to_their_layout_alone(layout: object) -> None:
    path = PurePosixPath(layout.example)  # type: ignore[attr-defined]
    fitting = [
        name for name, other in LAYOUTS.items() if name not in ("folder", "lag") and other.parse(path) is not None
    ]
    assert fitting == [layout.name]  # type: ignore[attr-defined]
