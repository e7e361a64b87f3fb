"""CUSP on the generation loop: inputs of every kind, the same bytes however the work is cut, the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frbias.core.data.samples import read_samples
from frbias.core.foundation.errors import AssetMissingError, BadInputError, UsageError
from frbias.synth.cusp.backend import CuspBackend, make
from frbias.synth.cusp.preparation import prepare
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.cusp.sources import find_sources
from frbias.synth.generate import generate_with


def astronaut() -> Image.Image:
    from skimage.data import astronaut as picture

    return Image.fromarray(np.asarray(picture())[:300, 80:380])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    face = astronaut()
    face.save(folder / "plain.png")
    face.convert("L").save(folder / "grey.png")
    face.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    turned = face.rotate(90, expand=True)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    face.resize((24, 24)).save(folder / "tiny.png")
    Image.new("RGB", (200, 200), "green").save(folder / "nobody.png")
    (folder / "text.png").write_text("no picture")
    pair = Image.new("RGB", (600, 300))
    pair.paste(face, (0, 0))
    pair.paste(face.resize((200, 200)), (350, 50))
    pair.save(folder / "two.png")
    return folder


def options(folder: Path, **changes: object) -> CuspRequest:
    values = {"input": str(folder), "weights": "tiny", "ages": ("20", "40"), "mask_rule": "intended", **changes}
    return CuspRequest(**values)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_inputs_of_every_kind(photos: Path, tmp_path: Path) -> None:
    result = generate_with(CuspBackend(options(photos), "cpu"), tmp_path / "out")
    table = read_samples(tmp_path / "out")
    assert sorted(set(table.subjects)) == ["alpha", "deep", "grey", "plain", "turned", "two"]
    assert result.images == 12
    rejected = (tmp_path / "out/rejected.csv").read_text()
    assert "nobody.png,no face found" in rejected
    assert "text.png" in rejected
    assert "tiny.png" in rejected
    rows = table.frame.set_index("file_name")
    first = rows.loc["plain/plain_20.png"]
    assert (first["mask_rule"], first["age_label"], first["source_file"]) == ("intended", "20", "plain.png")
    assert (float(first["global_blur"]), float(first["mask_blur"])) == (0.2, 0.8)
    assert first["generator"] == "cusp-test"
    assert float(rows.loc["two/two_40.png"]["faces_found"]) == 2
    same = [(tmp_path / "out" / s / f"{s}_20.png").read_bytes() for s in ("plain", "alpha")]
    assert same[0] == same[1]


def test_same_bytes_however_the_work_is_cut(photos: Path, tmp_path: Path) -> None:
    for name in ("tiny.png", "nobody.png", "text.png", "turned.jpg", "deep.png"):
        (photos / name).unlink()
    backend = CuspBackend(options(photos, noise="random"), "cpu")
    generate_with(backend, tmp_path / "one", in_flight=1)
    generate_with(backend, tmp_path / "many", in_flight=8)
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    units = backend.plan()
    backwards = {u.key: made for u, made in zip(units[::-1], backend.render(units[::-1]), strict=True)}
    for unit in units:
        for task, made in zip(unit.tasks, backwards[unit.key], strict=True):
            stored = np.array(Image.open(tmp_path / "one" / task.file_name))
            assert np.array_equal(stored, made.image)


def test_several_pictures_of_a_person_and_thesis_ages(photos: Path) -> None:
    folder = photos.parent / "people"
    for name in ("anna/1.png", "anna/2.png", "ben/1.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        astronaut().save(folder / name)
    backend = CuspBackend(options(folder, ages=(), age_bins="thesis"), "cpu")
    units = backend.plan()
    assert [u.key for u in units] == ["anna/1.png", "anna/2.png", "ben/1.png"]
    assert [len(u.tasks) for u in units] == [8, 8, 8]
    assert {t.subject for t in units[1].tasks} == {"anna"}
    names = [t.file_name for u in units for t in u.tasks]
    assert len(set(names)) == 24
    assert [t.age for t in units[0].tasks] != [t.age for t in units[1].tasks]


def test_ls_bins_by_name(photos: Path) -> None:
    backend = CuspBackend(options(photos, variant="ls", ages=("30-39", "5")), "cpu")
    assert [(t.columns["age_label"], t.age) for t in backend.plan()[0].tasks] == [(6, 35.0), (1, 5.0)]
    assert len(CuspBackend(options(photos, variant="ls", ages=()), "cpu").plan()[0].tasks) == 10


def test_sources() -> None:
    assert [s.name for s in find_sources("mesh:2", 0)] == ["mesh:00000", "mesh:00001"]
    for bad in ("mesh:", "mesh:0", "mesh:x"):
        with pytest.raises(UsageError, match="mesh:20"):
            find_sources(bad, 0)
    with pytest.raises(BadInputError, match="not a folder"):
        find_sources("/nowhere/at/all", 0)


def test_image_sets_keep_their_subjects(tmp_path: Path) -> None:
    astronaut().save(tmp_path / "x.png")
    (tmp_path / "metadata.csv").write_text("file_name,subject,age\nx.png,eileen,37\n")
    (source,) = find_sources(str(tmp_path), 0)
    assert (source.name, source.subject) == ("x.png", "eileen")


def test_aligned_inputs_are_only_resized() -> None:
    picture = np.full((100, 140, 3), 90, np.uint8)
    assert (prepare(picture, 64, aligned=True).image == 90).all()


def test_options_and_missing_weights(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in ({"variant": "xx"}, {"mask_rule": "guess"}, {"noise": "loud"}, {"global_blur": 2.0}):
        with pytest.raises(UsageError):
            CuspRequest(**bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not both"):
        CuspRequest(ages=("20",), age_bins="thesis")
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssetMissingError, match="CUSP"):
        make(CuspRequest(input=str(photos)), "cpu")
    with pytest.raises(UsageError, match="--variant ls"):
        make(CuspRequest(input=str(photos), weights=_snapshot()), "cpu")
    with pytest.raises(UsageError, match="no option 'colour'"):
        CuspRequest.read({"input": str(photos), "colour": 3})


def _snapshot() -> str:
    return str(Path(__file__).parents[2] / "fixtures/cusp/snapshot_tiny.pkl")


def test_a_snapshot_gives_its_own_rule_and_classifier(photos: Path) -> None:
    backend = make(CuspRequest(input=str(photos), weights=_snapshot(), variant="ls", ages=("20-29",)), "cpu")
    said = backend.describe()
    assert (said["mask_rule"], said["mask_rule_from"]) == ("as_released_head", "checkpoint")
    assert len(said["weights_sha256"]) == 64
    (made,) = backend.render([u for u in backend.plan() if u.key == "plain.png"])
    assert made[0].image is not None
    assert made[0].image.shape == (64, 64, 3)


def test_the_command(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "frbias", "generate", "--backend", "cusp", "--weights", "tiny", "--json"]
    command += ["--input", str(photos), "--ages", "15,40", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 12
    assert "15 lie outside" in done.stderr
    assert "random weights" in done.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "frbias", "generate", "--backend", "cusp", "--out", str(tmp_path / "none")],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
        env={"PATH": "/usr/bin", "FRBIAS_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert missing.returncode == 3
    assert "frbias models add cusp" in missing.stderr
    assert "research only" in missing.stderr
