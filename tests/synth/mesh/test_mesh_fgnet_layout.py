"""The stand-in for FG-NET: exact layout, known points, grey pictures, marked as synthetic."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from frbias.core.data.datasets.layouts.fgnet import five_points, read_points
from frbias.core.data.datasets.loading import load_table, synthetic_origin
from frbias.core.data.datasets.scan import scan_folder
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.provenance import read_provenance
from frbias.synth.backends import make_backend
from frbias.synth.generate import generate_with
from frbias.synth.mesh.fgnet_layout import FgnetLayoutBackend, roster
from frbias.synth.mesh.request import MeshRequest


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("standin") / "fgnet"
    generate_with(FgnetLayoutBackend(MeshRequest(subjects=1, size=64, seed=3, layout="fgnet")), out)
    return out


def test_names_ages_and_points(stand_in: Path) -> None:
    expected = [p for p in roster(3) if p.subject == 1]
    scan = scan_folder(stand_in)  # by its names alone, as FG-NET itself would be read
    assert scan.layout.name == "fgnet"
    assert scan.rejected == []
    assert sorted(scan.table.frame["file_name"]) == sorted(f"images/{p.stem}.JPG" for p in expected)
    assert sorted(scan.table.ages) == sorted(float(p.age) for p in expected)
    by_metadata = load_table(stand_in)
    assert sorted(by_metadata.frame["file_name"]) == sorted(scan.table.frame["file_name"])
    for row, name in enumerate(by_metadata.frame["file_name"]):
        stem = Path(name).stem.lower()
        points = five_points(read_points((stand_in / "points" / f"{stem}.pts").read_bytes()))
        np.testing.assert_allclose(points, by_metadata.points(row), atol=0.01)
        assert (points > 0).all()
        assert (points < 64).all()


def test_grey_pictures_have_one_channel(stand_in: Path) -> None:
    expected = {p.stem: p.grey for p in roster(3) if p.subject == 1}
    assert len(set(expected.values())) == 2
    for stem, grey in expected.items():
        pixels = cv2.imread(str(stand_in / "images" / f"{stem}.JPG"), cv2.IMREAD_UNCHANGED)
        assert (pixels.ndim == 2) == grey


def test_it_says_that_it_is_synthetic(stand_in: Path) -> None:
    record = read_provenance(stand_in)
    assert record is not None
    assert record["arguments"]["synthetic"] is True
    assert record["arguments"]["stands_in_for"] == "FG-NET"
    table = load_table(stand_in)
    assert set(table.frame["generator"]) == {"mesh"}
    assert "stand-in for FG-NET" in str(synthetic_origin(table))


def test_plan_covers_the_whole_roster() -> None:
    backend = make_backend(MeshRequest(layout="fgnet"))
    units = backend.plan()
    assert len(units) == 82
    assert sum(len(unit.tasks) for unit in units) == 1002
    assert len({task.file_name for unit in units for task in unit.tasks}) == 1002


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "morph"},
        {"layout": "fgnet", "ages": (5.0,)},
        {"layout": "fgnet", "variants": 3},
        {"layout": "fgnet", "subjects": 83},
    ],
)
def test_what_cannot_be_combined(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        MeshRequest(**options)  # type: ignore[arg-type]
