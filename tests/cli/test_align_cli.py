"""frbias align on input that people really give it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., tuple[int, str, str]]


def portrait(path: Path) -> None:
    from skimage.data import astronaut

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(astronaut())[0:260, 90:370]).save(path)


def test_good_and_bad_images_together(tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "photos"
    portrait(folder / "eve/eve_38_0.png")
    (folder / "eve/eve_40_0.png").write_text("a text file with the name of a picture")
    (folder / "eve/eve_41_0.jpg").write_bytes((folder / "eve/eve_38_0.png").read_bytes()[:5000])
    (folder / "eve/eve_42_0.png").write_bytes(b"")
    Image.new("RGB", (200, 200), (90, 120, 150)).save(folder / "eve/eve_43_0.png")
    code, out, err = call("align", folder, "--out", tmp_path / "out", "--workers", 1, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "out": str(tmp_path / "out"),
        "images": 1,
        "subjects": 1,
        "rejected": 4,
        "reused": 0,
        "doubtful": [],
    }
    rows = (tmp_path / "out/metadata.csv").read_text().splitlines()
    assert rows[1].startswith("eve/eve_38_0.png,eve,38,")
    listed = (tmp_path / "out/rejected.csv").read_text()
    for name, reason in (
        ("eve/eve_40_0.png", "is not an image"),
        ("eve/eve_41_0.jpg", "cannot be decoded"),
        ("eve/eve_42_0.png", "empty (0 bytes)"),
        ("eve/eve_43_0.png", "no face found"),
    ):
        assert any(line.startswith(name) and reason in line for line in listed.splitlines()), listed
    assert str(tmp_path) not in listed


def test_a_folder_without_images(tmp_path: Path, call: Call) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/notes.txt").write_text("nothing here")
    code, out, err = call("align", tmp_path / "photos", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.startswith("frbias: ")
    assert str(tmp_path / "photos") in err
    assert "image" in err
    assert not (tmp_path / "out").exists()


def test_photographs_without_names(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "photos/holiday.png")
    portrait(tmp_path / "photos/IMG 2.png")
    code, out, err = call("align", tmp_path / "photos", "--out", tmp_path / "out", "--workers", 1)
    assert code == 0
    assert "2 faces" in out
    assert "both stay unknown" in err
    rows = (tmp_path / "out/metadata.csv").read_text().splitlines()
    assert sorted(row.split(",")[:3] for row in rows[1:]) == [["IMG 2.png", "", ""], ["holiday.png", "", ""]]


def test_only_corrupt_images(tmp_path: Path, call: Call) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/a/a_5_0.png").write_text("no picture")
    code, _, err = call("align", tmp_path / "photos", "--out", tmp_path / "out", "--workers", 1)
    assert code == 2
    assert "a/a_5_0.png" in err
    assert "not an image" in err


def test_ages_that_are_no_numbers(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "photos/a.png")
    table = tmp_path / "photos/metadata.csv"
    for age, words in (
        ("young", "age 'young' is not a number"),
        ("-3", "not between 0 and 150"),
        ("inf", "not a finite number"),
    ):
        table.write_text(f"file_name,subject,age\na.png,eve,{age}\n")
        code, _, err = call("align", tmp_path / "photos", "--out", tmp_path / "out")
        assert code == 2
        assert words in err
        assert "row 2" in err


def test_a_file_that_is_not_there(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "photos/a.png")
    (tmp_path / "photos/metadata.csv").write_text("file_name,subject,age\na.png,eve,3\ngone.png,eve,4\n")
    code, _, _ = call("align", tmp_path / "photos", "--out", tmp_path / "out", "--workers", 1)
    assert code == 0
    assert "gone.png," in (tmp_path / "out/rejected.csv").read_text()


def test_an_output_folder_that_holds_something_else(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "photos/eve/eve_38_0.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("precious")
    for extra in ((), ("--force",)):
        code, _, err = call("align", tmp_path / "photos", "--out", tmp_path / "out", *extra)
        assert code == 2
        assert "did not make" in err
    assert (tmp_path / "out/thesis.docx").read_text() == "precious"


def test_other_work_is_kept_until_forced(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "photos/eve/eve_38_0.png")
    arguments = ("align", tmp_path / "photos", "--out", tmp_path / "out", "--workers", 1)
    assert call(*arguments)[0] == 0
    assert json.loads(call(*arguments, "--json")[1])["reused"] == 1
    code, _, err = call(*arguments, "--size", 224)
    assert code == 2
    assert "--force" in err
    assert call(*arguments, "--size", 224, "--force")[0] == 0
    assert Image.open(tmp_path / "out/eve/eve_38_0.png").size == (224, 224)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--detector", "mtcnn"), 2, "yunet, points, none or insightface:<pack>"),
        (("--detector", "insightface:none-such"), 3, "none-such"),
        (("--template", "lfw"), 2, "arcface or ffhq"),
        (("--size", "100"), 2, "multiple of 112"),
        (("--faces", "all"), 2, "largest, central or reject"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, call: Call, arguments: tuple[str, ...], code: int, words: str
) -> None:
    portrait(tmp_path / "photos/eve/eve_38_0.png")
    found, out, err = call("align", tmp_path / "photos", "--out", tmp_path / "out", *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_a_path_that_does_not_exist(tmp_path: Path, call: Call) -> None:
    code, _, err = call("align", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert code == 2
    assert str(tmp_path / "nowhere") in err


def annotated_set(folder: Path, shift: float) -> None:
    """The astronaut twice, at 8 and 44 years, with points as detected, in the second shifted by eye distances."""
    from frbias.core.faces.detect import load_detector

    rows = ["file_name,subject,age,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5"]
    for name, age, off in (("a.png", 8, 0.0), ("b.png", 44, shift)):
        portrait(folder / name)
        (face,) = load_detector("yunet").detect(np.asarray(Image.open(folder / name)))
        eyes = np.hypot(*(face.points[1] - face.points[0]))
        values = (face.points + np.array([off * eyes, 0])).ravel()
        rows.append(f"{name},eve,{age}," + ",".join(repr(float(v)) for v in values))
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def test_points_are_reported_against_annotations(tmp_path: Path, call: Call) -> None:
    annotated_set(tmp_path / "set", 0.25)
    work = ("align", tmp_path / "set", "--out", tmp_path / "out", "--workers", 1, "--against-points")
    code, out, _ = call(*work, "--json")
    assert code == 0
    report = json.loads(out)["point_errors"]
    assert (report["faces"], report["above"], report["bounds"]) == (2, [1, 1, 0], [0.1, 0.2, 0.3])
    assert report["mean"] == pytest.approx(0.125, abs=1e-4)
    assert list(report["groups"]) == ["0-12", "40-59"]
    assert report["groups"]["40-59"]["shares"] == [1.0, 1.0, 0.0]
    code, out, _ = call(*work)  # the finished set is read again
    lines = [line.split() for line in out.splitlines()]
    assert ["all", "2", "0.125", "0.125", "50.0%", "50.0%", "0.0%"] in lines
    assert ["0-12", "1", "0.000", "0.000", "0.0%", "0.0%", "0.0%"] in lines


def test_points_cannot_be_compared_without_annotations_or_detection(tmp_path: Path, call: Call) -> None:
    portrait(tmp_path / "set/eve/eve_38_0.png")
    code, _, err = call("align", tmp_path / "set", "--out", tmp_path / "out", "--against-points")
    assert code == 2
    assert "no annotated face points" in err
    code, _, err = call(
        "align", tmp_path / "set", "--out", tmp_path / "out", "--against-points", "--detector", "points"
    )
    assert code == 2
    assert "needs a detector" in err
    assert not (tmp_path / "out").exists()
