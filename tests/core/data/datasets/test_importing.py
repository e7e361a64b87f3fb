"""Imports: the source is only read, every image is checked, what cannot be used is listed, a killed import goes on."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from frbias.core.assets.records import read_book
from frbias.core.data.datasets import importing
from frbias.core.data.datasets.importing import import_dataset, register_dataset
from frbias.core.data.datasets.loading import synthetic_origin
from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.foundation.errors import AssetMissingError, BadInputError, UsageError
from frbias.core.foundation.provenance import claim_folder, read_provenance

Plant = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in sorted(folder.rglob("*"))}


def content_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_fgnet_folder(fgnet_folder: Path, home: Path) -> None:
    before = state_of(fgnet_folder)
    done = import_dataset("fgnet", fgnet_folder)
    assert state_of(fgnet_folder) == before
    assert (done.images, done.subjects, done.layout) == (6, 2, "fgnet")
    assert done.path == home / "datasets" / "fgnet"
    rejected = pd.read_csv(done.path / "rejected.csv", index_col="file")["reason"]
    assert len(rejected) == done.rejected == 10
    assert "cannot be decoded" in rejected["FGNET/images/003A11.JPG"]
    assert "not an image" in rejected["FGNET/images/003A12.png"]
    assert "pixels" in rejected["FGNET/images/003A13.png"]
    table = resolve_data("FG-NET")
    assert len(table) == 6
    assert table.points(0) is not None
    assert not any(p.is_symlink() for p in done.path.rglob("*"))
    assert {p.name for p in (done.path / "FGNET" / "points").iterdir()} == {"001a02.pts", "001A43A.PTS", "002a03.pts"}
    for name in table.frame["file_name"]:
        assert (done.path / name).read_bytes() == (fgnet_folder / name).read_bytes()
    assert synthetic_origin(table) is None


def test_fgnet_zip_is_the_same_as_its_folder(plant: Plant, tmp_path: Path) -> None:
    folder = plant("images/001A02.JPG", "images/002A05.JPG", "points/001a02.pts")
    with zipfile.ZipFile(tmp_path / "FGNET.zip", "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, Path("FGNET") / path.relative_to(folder))
    from_zip = import_dataset("fgnet", tmp_path / "FGNET.zip")
    from_folder = import_dataset("mine", folder, layout="fgnet")
    assert from_zip.sha256 == from_folder.sha256
    assert (from_zip.path / "metadata.csv").read_bytes() == (from_folder.path / "metadata.csv").read_bytes()
    assert not (from_zip.path / ".unpacked").exists()


def test_again_is_not_done_again(plant: Plant) -> None:
    folder = plant("ada/1.jpg", "bob/1.jpg")
    first = import_dataset("mine", folder)
    before = state_of(first.path)
    again = import_dataset("mine", folder)
    assert again.finished_before
    assert not first.finished_before
    assert state_of(first.path) == before


def test_another_source_needs_force(plant: Plant) -> None:
    import_dataset("mine", plant("ada/1.jpg", folder="one"))
    other = plant("ada/1.jpg", "eve/1.jpg", folder="two")
    with pytest.raises(UsageError, match="--force"):
        import_dataset("mine", other)
    assert import_dataset("mine", other, force=True).images == 2


def test_killed_import_goes_on_to_the_same_bytes(plant: Plant, tmp_path: Path) -> None:
    folder = plant(*(f"s{i}/{k}.jpg" for i in range(6) for k in range(3)))
    whole = content_of(import_dataset("mine", folder, out=tmp_path / "whole").path)
    script = (
        "import os, sys; from pathlib import Path; import frbias.core.data.datasets.importing as m\n"
        "real, calls = m._copy_image, []\n"
        "def dying(source, target):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 8: os.kill(os.getpid(), 9)\n"
        "    return real(source, target)\n"
        "m._copy_image = dying\n"
        f"m.import_dataset('mine', Path({str(folder)!r}), out=Path({str(tmp_path / 'killed')!r}))\n"
    )
    died = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert died.returncode == -9, died.stderr.decode()
    assert read_provenance(tmp_path / "killed")["complete"] is False  # type: ignore[index]
    assert content_of(import_dataset("mine", folder, out=tmp_path / "killed").path) == whole


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "set" / "ada").mkdir(parents=True)
    (tmp_path / "set" / "ada" / "1.jpg").write_bytes(b"no image")
    with pytest.raises(BadInputError, match="no image that can be decoded"):
        import_dataset("mine", tmp_path / "set")
    assert read_book("datasets") == {}


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "x" * 65, "a b", "naïve"])
def test_names_that_would_leave_the_data_root(name: str, plant: Plant) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        import_dataset(name, plant("ada/1.jpg"))


def test_import_into_itself(plant: Plant) -> None:
    folder = plant("ada/1.jpg")
    with pytest.raises(BadInputError, match="inside each other"):
        import_dataset("mine", folder, out=folder / "out")


def test_evil_zip_writes_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../001A02.JPG", b"x")
    before = content_of(tmp_path)
    with pytest.raises(BadInputError, match="would leave"):
        import_dataset("fgnet", tmp_path / "evil.zip")
    after = {k: v for k, v in content_of(tmp_path).items() if not k.startswith("home/")}
    assert after == before
    with pytest.raises(AssetMissingError):
        resolve_data("cacd")


def test_a_synthetic_set_stays_marked(plant: Plant) -> None:
    folder = plant("images/001A02.JPG", "images/002A03.JPG", folder="standin_source")
    stand_in = folder.parent / "standin"
    claim_folder(stand_in, stage="generate", arguments={"backend": "mesh", "stands_in_for": "FG-NET"})
    shutil.copytree(folder, stand_in, dirs_exist_ok=True)
    done = import_dataset("fgnet", stand_in)
    assert "stand-in for FG-NET" in str(synthetic_origin(resolve_data("fgnet")))
    assert done.images == 2


def test_register_reads_in_place(plant: Plant, home: Path) -> None:
    folder = plant("ada/1.jpg", "bob/1.jpg")
    before = state_of(folder)
    register_dataset("mine", folder)
    assert len(resolve_data("mine")) == 2
    assert state_of(folder) == before
    assert sorted(p.name for p in home.iterdir() if not p.name.startswith(".")) == ["datasets.json"]
    shutil.rmtree(folder)
    with pytest.raises(BadInputError, match="is gone"):
        resolve_data("mine")


def test_a_file_that_vanishes_is_listed(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plant("ada/1.jpg", "bob/1.jpg")
    real = importing._copy_image

    def vanishing(source: Path, target: Path) -> str:
        if source.parent.name == "bob":
            raise PermissionError(13, "Permission denied")
        return real(source, target)

    monkeypatch.setattr(importing, "_copy_image", vanishing)
    done = import_dataset("mine", folder)
    assert (done.images, done.rejected) == (1, 1)
    assert "Permission denied" in (done.path / "rejected.csv").read_text()


@pytest.mark.parametrize("spelling", ["fgnet", "FGNET", "FG-NET", "fg-net", "FgNet"])
def test_an_unpacked_folder_is_found_in_any_spelling(plant: Plant, spelling: str) -> None:
    folder = plant("images/001A02.JPG", "images/002A03.JPG", folder="datasets/FGNET")
    before = state_of(folder)
    table = resolve_data(spelling)
    assert table.subjects == ["001", "002"]
    assert state_of(folder) == before


def test_what_an_import_passes_over_is_counted(plant: Plant) -> None:
    folder = plant("ada/1.jpg", "bob/1.jpg", ".thumbs/1.jpg")
    done = import_dataset("mine", folder)
    assert done.skipped == {"in hidden folders": 1}
    assert import_dataset("mine", folder).skipped == done.skipped  # it was imported before
    assert read_provenance(done.path)["results"]["skipped"] == done.skipped  # type: ignore[index]
