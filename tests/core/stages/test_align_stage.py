"""The alignment stage: rejects, resume, several faces, points of the table."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from frbias.core.data.images import read_image
from frbias.core.data.samples import POINT_COLUMNS, make_table, read_rejected, read_samples
from frbias.core.faces.align import ARCFACE_112
from frbias.core.faces.detect import load_detector
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.hashes import sha256_file
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.align import align_table
from frbias.core.stages.crop_names import crop_names, crops_of
from frbias.core.stages.requests.align import AlignOptions

POINTS = dict(zip(POINT_COLUMNS, (ARCFACE_112 + 20).ravel().tolist(), strict=True))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("a/1.jpg", "a/2.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (160, 170, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "b/4.png").write_text("no picture")
    return tmp_path


def table_of(folder: Path, **changes: object) -> object:
    names = ["a/1.jpg", "a/2.png", "b/3.png", "b/4.png"]
    rows = [
        {"file_name": n, "subject": n[0], "age": 5.0 if i else float("nan"), "sex": "f", **POINTS}
        for i, n in enumerate(names)
    ]
    rows[2].update(changes)
    return make_table(folder, rows)


def test_points_of_the_table(photos: Path, tmp_path: Path) -> None:
    table = table_of(photos, x1=float("nan"))
    result = align_table(
        table, tmp_path / "out", options=AlignOptions(detector="points"), machine=Machine(Resources(workers=1))
    )  # type: ignore[arg-type]
    assert (result.images, result.subjects, result.rejected) == (2, 1, 2)
    made = read_samples(tmp_path / "out")
    assert list(made.frame["file_name"]) == ["a/1.png", "a/2.png"]
    assert list(made.frame["source_file"]) == ["a/1.jpg", "a/2.png"]
    assert list(made.frame["sex"]) == ["f", "f"]
    assert np.isnan(made.ages[0])
    np.testing.assert_allclose(made.points(0), ARCFACE_112, atol=1e-3)
    source = np.array(Image.open(photos / "a/2.png"))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out/a/2.png")), source[20:132, 20:132])
    listed = (tmp_path / "out/rejected.csv").read_text()
    assert "b/3.png,the table has no face points for it,b,5,f\n" in listed
    assert "b/4.png" in listed
    assert [(one.file, one.subject, one.age, one.sex) for one in read_rejected(tmp_path / "out")] == [
        ("b/3.png", "b", 5.0, "f"),
        ("b/4.png", "b", 5.0, "f"),
    ]


def test_workers_do_not_change_the_bytes(photos: Path, tmp_path: Path) -> None:
    rows = [{"file_name": f"{i:02d}.png", "subject": "s", "age": 1, **POINTS} for i in range(20)]
    for row in rows:
        (photos / str(row["file_name"])).write_bytes((photos / "a/2.png").read_bytes())
    table = make_table(photos, rows)
    options = AlignOptions(detector="points")
    align_table(table, tmp_path / "one", options=options, machine=Machine(Resources(workers=1)))
    align_table(table, tmp_path / "two", options=options, machine=Machine(Resources(workers=2)))
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_an_interrupted_run_goes_on_where_it_was(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rows = [{"file_name": f"{i:02d}.png", "subject": "s", "age": i, **POINTS} for i in range(20)]
    for row in rows[:17]:
        Image.fromarray(rng.integers(0, 256, (160, 170, 3), dtype=np.uint8)).save(photos / str(row["file_name"]))
    table, options = make_table(photos, rows), AlignOptions(detector="points")
    align_table(table, tmp_path / "once", options=options, machine=Machine(Resources(workers=1)))
    seen = []

    def stop_at_the_twelfth(path: Path) -> np.ndarray:
        seen.append(path)
        if len(seen) == 12:
            raise KeyboardInterrupt
        return read_image(path)

    with monkeypatch.context() as patch:
        patch.setattr("frbias.core.stages.align.read_image", stop_at_the_twelfth)
        with pytest.raises(KeyboardInterrupt):
            align_table(table, tmp_path / "twice", options=options, machine=Machine(Resources(workers=1)))
    (tmp_path / "twice/.frbias-tmp-half.png").write_bytes(b"half a pict")
    result = align_table(table, tmp_path / "twice", options=options, machine=Machine(Resources(workers=1)))
    assert (result.images, result.rejected, result.reused) == (17, 3, 8)
    names = sorted(p.relative_to(tmp_path / "once") for p in (tmp_path / "once").rglob("*"))
    assert names == sorted(p.relative_to(tmp_path / "twice") for p in (tmp_path / "twice").rglob("*"))
    for name in names:
        if (tmp_path / "once" / name).is_file():
            assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_a_file_that_may_not_be_read_is_listed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:  # root reads what it likes, so rights cannot test this
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if str(path).endswith("a/2.png"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *arguments, **options)

        return call

    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("frbias.core.data.file_hashes.sha256_file", guarded(sha256_file))
    monkeypatch.setattr(os, "open", guarded(os.open))
    options, machine = AlignOptions(detector="points"), Machine(Resources(workers=1))
    result = align_table(table_of(photos), tmp_path / "out", options=options, machine=machine)  # type: ignore[arg-type]
    assert (result.images, result.rejected) == (2, 2)
    assert "a/2.png,cannot be read: Permission denied,a" in (tmp_path / "out/rejected.csv").read_text()


def test_points_that_are_no_face(photos: Path, tmp_path: Path) -> None:
    swapped = dict(zip(POINT_COLUMNS, (ARCFACE_112[[1, 0, 2, 4, 3]] + 20).ravel().tolist(), strict=True))
    align_table(
        table_of(photos, **swapped),
        tmp_path / "out",
        options=AlignOptions(detector="points"),
        machine=Machine(Resources(workers=1)),
    )  # type: ignore[arg-type]
    assert "do not look like a face" in (tmp_path / "out/rejected.csv").read_text()


def test_no_face_anywhere(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no face found|cannot be decoded|not an image"):
        align_table(table_of(photos), tmp_path / "out", machine=Machine(Resources(workers=1)))  # type: ignore[arg-type]


def test_names_stay_unique() -> None:
    assert crop_names(["a/1.jpg", "a/1.png", "b/1.png"]) == ["a/1_jpg.png", "a/1_png.png", "b/1.png"]
    assert crop_names(["x.JPG", "X.png"]) == ["x_jpg.png", "X_png.png"]
    assert len({n.lower() for n in crop_names(["x.png", "X.png", "x_png.png"])}) == 3


@pytest.mark.parametrize(
    "files",
    [
        ["a/1.jpg", "a/2.png", "b/1.png"],
        ["a/1.jpg", "a/1.png", "b/1.png"],
        ["x.JPG", "X.png"],
        ["a/1.jpeg", "a/2"],
        ["/1.jpg", "a//2.png", "a/./3.png"],
        ["a/.jpg", "b/..png", ".png"],
        ["é.png", "É.png", "a"],
        [".jpg"],
        ["b.png", "a.png", "B.png"],
        [],
    ],
)
def test_names_of_a_column_are_those_of_its_values(files: list[str]) -> None:
    for column in (pd.Series(files, dtype="str"), pd.Series(files, dtype=object)):
        assert crops_of(column)(0, len(files)) == crop_names(files)
    assert crops_of(pd.Series(files, dtype="str"))(1, 2) == crop_names(files)[1:2]


def test_options_are_checked() -> None:
    for bad in ({"template": "lfw"}, {"faces": "all"}, {"size": 100}, {"max_residual": 2.0}):
        with pytest.raises(UsageError):
            AlignOptions(**bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="yunet, points, none or insightface:<pack>"):
        AlignOptions(detector="mtcnn")


def test_what_is_known_of_the_points_becomes_columns(tmp_path: Path) -> None:
    from skimage.data import astronaut

    photo = np.asarray(astronaut())
    (tmp_path / "in").mkdir()
    Image.fromarray(photo).save(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes((tmp_path / "in/a.png").read_bytes())
    found = load_detector("yunet").detect(photo)[0]
    eyes = float(np.hypot(*(found.points[1] - found.points[0])))
    annotated = found.points + np.array([0.25 * eyes, 0])
    row = {"subject": "s", "age": 30, "point_error": 9.0, "transform_residual": 9.0}
    rows = [
        {"file_name": "a.png", **row, **dict(zip(POINT_COLUMNS, annotated.ravel().tolist(), strict=True))},
        {"file_name": "b.png", **row},
    ]
    align_table(make_table(tmp_path / "in", rows), tmp_path / "out", machine=Machine(Resources(workers=1)))
    frame = read_samples(tmp_path / "out").frame
    assert frame["point_error"][0] == pytest.approx(0.25, abs=1e-5)
    assert np.isnan(frame["point_error"][1])
    assert frame["point_agreement"].tolist() == pytest.approx([found.agreement] * 2, abs=1e-6)
    assert frame["detector_score"].tolist() == pytest.approx([found.score] * 2, abs=1e-6)
    crop = frame[list(POINT_COLUMNS)].to_numpy()[0].reshape(5, 2)
    residual = np.sqrt(((crop - ARCFACE_112) ** 2).sum(axis=1).mean()) / 112
    assert frame["transform_residual"].tolist() == pytest.approx([residual] * 2, abs=1e-4)
