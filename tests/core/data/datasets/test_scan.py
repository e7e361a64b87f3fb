"""Folders of normal and hostile names become tables; everything that does not fit is listed."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.datasets.layouts.known import find_layout
from frbias.core.data.datasets.loading import load_photographs, load_table, load_whole, synthetic_origin
from frbias.core.data.datasets.scan import BESIDE, HIDDEN, scan_folder
from frbias.core.data.samples import make_table, write_samples
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.provenance import claim_folder

Plant = Callable[..., Path]


def test_fgnet_as_it_is_unpacked(fgnet_folder: Path) -> None:
    scan = scan_folder(fgnet_folder)
    assert scan.layout.name == "fgnet"
    named = {
        name.removeprefix("FGNET/images/"): row for name, row in scan.table.frame.set_index("file_name").iterrows()
    }
    assert set(named) == {
        "001A02.JPG",
        "001A43a.JPG",
        "001a43b.jpg",
        "002A03.JPG",
        "002A07.JPG",
        "002A61.jpeg",
        "003A11.JPG",
        "003A12.png",
        "003A13.png",
    }
    assert (named["001A43a.JPG"]["subject"], named["001A43a.JPG"]["age"]) == ("001", 43.0)
    reasons = {name.removeprefix("FGNET/"): reason for name, reason in scan.rejected}
    assert reasons["images/copy/001A02.jpg"].startswith("the same image as")
    assert "does not fit" in reasons["images/somebody.jpg"]
    assert "0 bytes" in reasons["images/003A10.JPG"]
    assert "leaves the folder" in reasons["images/003A14.JPG"]
    assert reasons["images/003A15.JPG"] == "no regular file"
    assert reasons["images/003A17.JPG"] == "no regular file"
    assert "points not used" in reasons["points/002a03.pts"]
    assert len(reasons) == 7
    assert scan.skipped == {BESIDE: 2}


def test_fgnet_points_are_joined_whatever_the_case(fgnet_folder: Path) -> None:
    table = scan_folder(fgnet_folder).table
    found = {name.rsplit("/", 1)[1]: table.points(row) for row, name in enumerate(table.frame["file_name"])}
    assert found["001A02.JPG"] is not None
    assert found["001A02.JPG"][:, 0].tolist() == [31, 36, 67, 48, 54]
    assert found["001A43a.JPG"] is not None
    assert found["001A43a.JPG"][:, 0].tolist() == [32, 37, 68, 49, 55]
    assert found["002A03.JPG"] is None
    assert found["002A61.jpeg"] is None


@pytest.mark.parametrize(
    ("names", "layout", "subjects"),
    [
        (("001/001_43a.jpg", "001/001_05.jpg", "002/002_10.jpg"), "fgnet", {"001", "002"}),
        (("Album2/009055_1M54.JPG", "Album2/009055_2m55.jpg", "Album2/12345_0F20.jpg"), "morph", {"009055", "012345"}),
        (
            ("10001_GoldieHawn_23_f.jpg", "16020_MorganFreeman _73_m.jpg", "16021_MorganFreeman_60_m.jpg"),
            "agedb",
            {"GoldieHawn", "MorganFreeman"},
        ),
        (
            ("53_Robin_Williams_0001.jpg", "53_Robin_Williams_0002.jpg", "20_Aaron_Johnson_0007.jpg"),
            "cacd",
            {"Robin_Williams", "Aaron_Johnson"},
        ),
        (("boys/CS1492_000m12_1.62.jpg", "girls/CS0001_001f09_0.jpg"), "itwcc", {"CS1492", "CS0001"}),
        (("26_1_2_20170116184024662.jpg.chip.jpg", "3_0_4_20161219140627985.jpg"), "utkface", {""}),
        (("ada/1.jpg", "ada/2.png", "bob/ada_23.jpeg"), "folder", {"ada", "bob"}),
        (("LAG/ada/1.jpg", "LAG/ada/y/2.png", "LAG/bob/y/a.jpeg"), "lag", {"ada", "bob"}),
        (("cacd/0000_0.jpg", "cacd/0000_1.jpg", "cacd/3999_1.jpg"), "cacdvs", {""}),
    ],
)
def test_every_layout_is_found_out(plant: Plant, names: tuple[str, ...], layout: str, subjects: set[str]) -> None:
    root = plant(*names, "notes.txt")
    scan = scan_folder(root)
    assert scan.layout.name == layout
    assert set(scan.table.subjects) == subjects
    assert len(scan.table) == len(names)
    assert scan.rejected == []


def test_lag_says_who_is_young(plant: Plant) -> None:
    scan = scan_folder(plant("ada/1.jpg", "ada/y/2.png", "bob/y/a.jpg", "bob/b.jpg", "bob/c.jpg", "stray.jpg"))
    assert scan.table.frame["age_group"].tolist() == ["old", "young", "old", "old", "young"]
    assert np.isnan(scan.table.ages).all()
    assert [name for name, _ in scan.rejected] == ["stray.jpg"]


@pytest.mark.parametrize("layout", ["fgnet", "morph", "agedb", "cacd", "cacdvs", "itwcc", "utkface", "lag", "folder"])
def test_hostile_names_in_every_layout(plant: Plant, layout: str) -> None:
    example = find_layout(layout).example
    root = plant(
        example,
        "-rf.jpg",
        "$(touch x).jpg",
        "a'b\"c.jpg",
        "ünïcode_Ж_漢字.jpg",
        "new\nline.jpg",
        "tab\there.jpg",
        "esc\x1b[31m.jpg",
        "right-to-left\u202egpj.jpg",
        "x" * 200 + ".jpg",
        " .jpg",
        "..jpg",
        "CON.jpg",
        "=cmd().jpg",
        "%s%n.jpg",
    )
    (Path(os.fsdecode(os.fsencode(root) + b"/bad\xff\xfebytes.jpg"))).write_bytes(b"x")
    scan = scan_folder(root, find_layout(layout))
    assert scan.table.frame["file_name"].tolist() == [example]
    assert len(scan.rejected) == 15  # the hidden ..jpg too
    assert all(name.isprintable() for name, _ in scan.rejected)


def test_a_loop_of_links_ends(plant: Plant) -> None:
    root = plant("ada/1.jpg", "bob/1.jpg")
    (root / "ada" / "again").symlink_to(root, target_is_directory=True)
    assert len(scan_folder(root).table) == 2


def test_unreadable_folder_is_listed(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant("ada/1.jpg", "bob/1.jpg")
    real = os.scandir

    def guarded(path: str) -> object:  # root may read everything, so permissions alone cannot test this
        if Path(path).name == "bob":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    scan = scan_folder(root)
    assert scan.rejected == [("bob", "cannot be read: Permission denied")]
    assert scan.table.subjects == ["ada"]


@pytest.mark.parametrize("names", [(), ("notes.txt",), ("one.jpg", "two.jpg")])
def test_folders_that_say_nothing(plant: Plant, names: tuple[str, ...], tmp_path: Path) -> None:
    root = plant(*names) if names else tmp_path
    with pytest.raises(BadInputError, match="no known layout"):
        scan_folder(root)


def test_another_layout_than_asked_for(plant: Plant) -> None:
    with pytest.raises(BadInputError, match="no FG-NET folder: no image of 1 is named like 001A43a"):
        scan_folder(plant("ada/1.jpg"), find_layout("fgnet"))


def test_unknown_layout() -> None:
    with pytest.raises(BadInputError, match="known are fgnet"):
        find_layout("lfw")


def test_metadata_is_preferred(plant: Plant) -> None:
    root = plant("001A02.JPG", "001A03.JPG")
    write_samples(make_table(root, [{"file_name": "001A02.JPG", "subject": "eve", "age": 9}]))
    assert load_table(root).subjects == ["eve"]


def test_archives_and_other_files_are_not_folders(tmp_path: Path, png: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(BadInputError, match="frbias data import"):
        load_table(tmp_path / "a.zip")
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(BadInputError, match="no folder of images and no CSV"):
        load_table(tmp_path / "a.png")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv(plant: Plant, separator: str) -> None:
    root = plant("a.jpg", "sub/b.jpg", "c.jpg")
    (root.parent / "outside.jpg").write_bytes(b"x")
    lines = [
        ("Path", "Identity", "AGE", "Gender"),
        ("a.jpg", "ada", "10", "Female"),
        ("./sub/b.jpg", "ada", "", "m"),
        ("missing.jpg", "x", "1", ""),
        ("../outside.jpg", "x", "1", ""),
        ("a.jpg", "bob", "2", ""),
        ("/etc/passwd", "x", "1", ""),
        ("null\0.jpg", "x", "1", ""),
        ("x" * 5000, "x", "1", ""),
        ("loop.jpg", "x", "1", ""),
    ]
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "faces.csv").write_text("\ufeff" + "\n".join(separator.join(line) for line in lines), encoding="utf-8")
    found = load_whole(root / "faces.csv")
    table, rejected, layout = found.table, found.rejected, found.layout
    assert layout.name == "csv"
    assert table.frame["file_name"].tolist() == ["a.jpg", "sub/b.jpg"]
    assert table.frame["sex"].tolist() == ["f", "m"]
    assert np.isnan(table.ages[1])
    assert dict(rejected) == {
        "missing.jpg": "does not exist",
        "../outside.jpg": "leaves the folder",
        "a.jpg": "listed twice",
        "/etc/passwd": "leaves the folder",
        r"'null\x00.jpg'": "no name that a file can have",
        "x" * 5000: "cannot be read: File name too long",
        "loop.jpg": "no name that a file can have",
    }


@pytest.mark.parametrize("text", ["", "\0\0", "a,b\n1,2\n", "file_name,age\nx.jpg,ten\n", "file_name\nnowhere.jpg\n"])
def test_bad_csv(tmp_path: Path, text: str, png: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(png)
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(BadInputError):
        load_table(tmp_path / "faces.csv")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("a.jpg,ada,8,5", "b.jpg,ada,9,5"), "line 2: 4 fields where the header has 3; write numbers with a decimal"),
        (("a.jpg,ada,8", "b.jpg,ada"), "line 3: 2 fields where the header has 3"),
        (("a.jpg,ada,8,", "b.jpg,ada,9,"), "line 2: 4 fields where the header has 3; the line ends with a comma"),
        (("a.jpg;ada;8", "b.jpg;ada;9"), "line 2: 1 fields where the header has 3; it is separated by a semicolon"),
        (("a.jpg,ada,1e30",), "age 1e\\+30 is not between 0 and 150"),
        (("a.jpg,ada,-inf",), "age"),
    ],
)
def test_a_table_of_somebody_is_not_guessed_at(plant: Plant, rows: tuple[str, ...], said: str) -> None:
    root = plant("a.jpg", "b.jpg")
    (root / "faces.csv").write_text("\n".join(["file_name,subject,age", *rows, ""]))
    with pytest.raises(BadInputError, match=said):
        load_table(root / "faces.csv")


def test_synthetic_sets_say_so(tmp_path: Path, png: bytes) -> None:
    folder = claim_folder(tmp_path / "set", stage="generate", arguments={"backend": "mesh", "stands_in_for": "FG-NET"})
    (folder.path / "images").mkdir()
    (folder.path / "images" / "001A02.JPG").write_bytes(png)
    by_provenance = load_table(folder.path)
    assert "stand-in for FG-NET" in str(synthetic_origin(by_provenance))
    assert "stand-in for FG-NET" in str(synthetic_origin(load_table(folder.path / "images")))
    by_table = make_table(tmp_path, [{"file_name": "a.png", "subject": "1", "age": 3, "generator": "cusp"}])
    assert "made by cusp" in str(synthetic_origin(by_table))
    assert synthetic_origin(make_table(tmp_path, [{"file_name": "a.png", "subject": "1", "age": 3}])) is None


def test_every_picture_that_is_not_read_is_listed(fgnet_folder: Path) -> None:
    place = fgnet_folder / "FGNET" / "images"
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)
    before = dict(scan_folder(fgnet_folder).rejected)
    suffixes = ("gif", "avif", "heic", "jp2", "ppm", "pgm", "ico", "tga", "jfif", "jpe", "svg")
    for suffix in suffixes:
        (place / f"099a10.{suffix}").write_bytes(b"x")
    (place / "098a10").write_bytes(png)
    (place / ".097a10.png").write_bytes(png)
    (place / "notes").write_text("no picture")
    (place / "list.txt").write_text("no picture")
    (place / "096a10.png").symlink_to("096a10.png")
    found = {Path(k).name: v for k, v in scan_folder(fgnet_folder).rejected if k not in before}
    expected = {f"099a10.{suffix}" for suffix in suffixes} | {"098a10", ".097a10.png", "096a10.png"}
    assert set(found) == expected
    assert "not read" in found["099a10.gif"]
    assert "without a suffix" in found["098a10"]
    assert "hidden" in found[".097a10.png"]


def test_what_is_passed_over_for_where_it_lies_is_counted(plant: Plant) -> None:
    hidden = (".thumbs/1.jpg", "ada/.old/2.heic", "ada/.old/deep/3.png", ".git/config", ".git/HEAD")
    beside = ("ada/._1.jpg", "__MACOSX/ada/._1.jpg", "__MACOSX/.thumbs/2.png", "__MACOSX/._notes")
    root = plant("ada/1.jpg", "bob/1.jpg", "bob/.hidden.jpg", *hidden, *beside)
    for found in (load_whole(root), load_photographs(root)):
        assert found.table.frame["file_name"].tolist() == ["ada/1.jpg", "bob/1.jpg"]
        assert found.skipped == {HIDDEN: 3, BESIDE: 3}
        assert [file for file, _ in found.rejected] == ["bob/.hidden.jpg"]
        assert found.passed_over == (
            "3 files in hidden folders and 3 files that a Mac keeps beside others were passed over"
        )
    assert load_whole(plant("ada/1.jpg", "bob/1.jpg", folder="clean")).passed_over == ""
