"""Statistics and comparison with published counts, against counting by hand."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.assets.catalogue import find_dataset_asset
from frbias.core.data.datasets.statistics import describe_table, draw_statistics
from frbias.core.data.datasets.verify import verify_table
from frbias.core.data.samples import SampleTable, make_table
from frbias.core.foundation.errors import UsageError
from frbias.synth.mesh.fgnet_layout import roster

PEOPLE = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.one_of(st.none(), st.integers(0, 99))),
    min_size=1,
    max_size=25,
)


def table_of(people: list[tuple[str, float | None]], root: Path = Path("nowhere")) -> SampleTable:
    return make_table(root, [{"file_name": f"{i}.jpg", "subject": s, "age": a} for i, (s, a) in enumerate(people)])


@settings(max_examples=60, deadline=None)
@given(PEOPLE)
def test_counts_by_brute_force(people: list[tuple[str, float | None]]) -> None:
    found = describe_table(table_of(people), [(0, 9), (10, 29), (40, None)])
    pairs = [(a, b) for a, b in itertools.combinations(people, 2) if a[0] and b[0]]
    assert found.mated_pairs == sum(a[0] == b[0] for a, b in pairs)
    assert found.non_mated_pairs == sum(a[0] != b[0] for a, b in pairs)
    by_group = {(g.low, g.high): g for g in found.groups}
    for low, high in ((0, 9), (10, 29), (40, None)):
        inside = [p for p in people if p[1] is not None and low <= p[1] <= (high or 200)]
        group = by_group.get((low, high))
        assert (group.images if group else 0) == len(inside)
        if group:
            both = [(a, b) for a, b in itertools.combinations(inside, 2) if a[0] and b[0]]
            assert group.mated_pairs == sum(a[0] == b[0] for a, b in both)
            assert group.non_mated_pairs == sum(a[0] != b[0] for a, b in both)
            assert group.subjects == len({p[0] for p in inside} - {""})
    assert found.without_age == sum(p[1] is None for p in people)


def fgnet_by_its_published_counts() -> list[tuple[str, float | None]]:
    return [(f"{p.subject:03d}", float(p.age)) for p in roster(0)]


def test_a_set_with_the_published_counts_is_good() -> None:
    found = verify_table(table_of(fgnet_by_its_published_counts()), find_dataset_asset("fgnet"), decode=False)
    assert found.good
    assert len(found.agreements) == 11


def test_every_published_count_is_compared() -> None:
    people = fgnet_by_its_published_counts()
    asset = find_dataset_asset("fgnet")
    short = verify_table(table_of(people[:-1]), asset, decode=False)
    assert "images: 1001, published 1002" in short.differences
    renamed = verify_table(
        table_of([("083", a) if i == 0 else (s, a) for i, (s, a) in enumerate(people)]), asset, decode=False
    )
    assert any(line.startswith("subjects: 83") for line in renamed.differences)
    older = verify_table(table_of([(s, 71.0 if i == 0 else a) for i, (s, a) in enumerate(people)]), asset, decode=False)
    assert any(line.startswith("ages: ") for line in older.differences)
    assert any(line.startswith("images of ages 70-79") for line in older.differences)


def test_broken_images_are_named(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "0.jpg").write_bytes(png)
    (tmp_path / "1.jpg").write_bytes(b"broken")
    found = verify_table(table_of([("a", 1), ("a", 2)], tmp_path), None)
    assert [file for file, _ in found.broken] == ["1.jpg"]
    assert not found.good
    assert "Nothing is published" in found.notes[0]


def test_sets_without_identities_say_what_they_are_for() -> None:
    found = verify_table(table_of([("", 1), ("", 2)]), find_dataset_asset("utkface"), decode=False)
    assert any("age work only" in note for note in found.notes)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot(tmp_path: Path, suffix: str) -> None:
    draw_statistics(table_of([("a", 1), ("a", None), ("", 40)]), tmp_path / f"plot.{suffix}", title="test")
    assert (tmp_path / f"plot.{suffix}").stat().st_size > 1000


def test_plot_of_nothing_known(tmp_path: Path) -> None:
    draw_statistics(table_of([("", None)]), tmp_path / "plot.png")
    with pytest.raises(UsageError, match=r"\.png"):
        draw_statistics(table_of([("", None)]), tmp_path / "plot.txt")


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 12345])
def test_the_stand_in_has_fgnets_published_counts(seed: int) -> None:
    portraits = roster(seed)
    ages = np.array([p.age for p in portraits])
    assert len({p.stem for p in portraits}) == len(portraits) == 1002
    assert np.bincount(ages // 10).tolist() == [371, 339, 144, 79, 46, 15, 8]
    per_subject = np.unique([p.subject for p in portraits], return_counts=True)[1]
    assert (len(per_subject), per_subject.min(), per_subject.max()) == (82, 6, 18)
    assert (ages.min(), ages.max()) == (0, 69)
    old = [p.subject for p in portraits if p.age >= 45]
    assert len(old) > len(set(old)) > 2  # mated pairs of old people exist
    assert portraits == roster(seed)
    assert portraits != roster(seed + 1)
