"""The alignment stage: rejects, resume, several faces, points of the table."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frbias.core.data.images import read_image
from frbias.core.data.samples import POINT_COLUMNS, make_table, read_samples
from frbias.core.faces.align import ARCFACE_112
from frbias.core.faces.detect import Face, choose_face, load_detector
from frbias.core.foundation.errors import BadInputError, UsageError
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.stages.align import align_table, crop_names
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
    assert "b/3.png,the table has no face points for it" in listed
    assert "b/4.png" in listed


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


def test_options_are_checked() -> None:
    for bad in ({"template": "lfw"}, {"faces": "all"}, {"size": 100}, {"max_residual": 2.0}):
        with pytest.raises(UsageError):
            AlignOptions(**bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="yunet, points or insightface:<pack>"):
        AlignOptions(detector="mtcnn")


def test_choice_among_faces() -> None:
    def face(x: float, width: float) -> Face:
        return Face((x, 0, width, width), np.zeros((5, 2)), 0.9)

    big, middle = face(0, 50), face(90, 20)
    assert choose_face([big, middle], "largest", (100, 200)) is big
    assert choose_face([big, middle], "central", (20, 200)) is middle
    assert choose_face([big, middle], "reject", (100, 200)) is None
    assert choose_face([big], "reject", (100, 200)) is big
    assert choose_face([], "largest", (1, 1)) is None


def real_photograph(name: str) -> np.ndarray:
    if name == "astronaut":
        from skimage.data import astronaut

        return np.asarray(astronaut())
    import insightface

    return np.array(Image.open(Path(insightface.__file__).parent / "data/images" / name).convert("RGB"))


def test_yunet_finds_the_faces_of_real_photographs() -> None:
    detector = load_detector("yunet")
    group = detector.detect(real_photograph("t1.jpg"))
    assert len(group) == 6
    single = detector.detect(real_photograph("astronaut"))
    assert len(single) == 1
    left, right, nose, mouth, _ = single[0].points
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth[1]


def test_yunet_finds_a_face_that_fills_the_picture_and_a_small_one() -> None:
    photo = real_photograph("astronaut")
    (face,) = load_detector("yunet").detect(photo)
    x, y, w, h = (int(v) for v in face.box)
    tight = load_detector("yunet").detect(np.ascontiguousarray(photo[y : y + h, x : x + w]))
    assert len(tight) == 1
    np.testing.assert_allclose(tight[0].points + np.array([x, y]), face.points, atol=0.08 * w)
    wide = np.full((1500, 2000, 3), 128, np.uint8)
    wide[700:828, 900:1028] = np.array(Image.fromarray(photo).resize((128, 128)))
    assert len(load_detector("yunet").detect(wide)) == 1
    assert load_detector("yunet").detect(np.full((64, 64, 3), 128, np.uint8)) == []
