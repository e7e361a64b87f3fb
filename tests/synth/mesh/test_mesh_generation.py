import hashlib

import pandas as pd

from frbias.core.data.samples import POINT_COLUMNS, read_samples
from frbias.core.foundation.machine import Machine, Resources
from frbias.synth.generate import generate_with
from frbias.synth.mesh.backend import MeshBackend, render_face
from frbias.synth.mesh.request import MeshRequest

OPTIONS = MeshRequest(subjects=3, first_subject=12, ages=(4.0, 35.5), variants=1, seed=7, size=96)


def _hashes(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".png", ".csv"))
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_files_are_the_same_for_any_number_of_workers_and_any_selection(tmp_path):
    generate_with(MeshBackend(OPTIONS), tmp_path / "one", machine=Machine(Resources(workers=1)))
    generate_with(MeshBackend(OPTIONS), tmp_path / "two", machine=Machine(Resources(workers=2)), in_flight=3)
    one = _hashes(tmp_path / "one")
    assert one == _hashes(tmp_path / "two")
    assert "00013/00013_35.5_0.png" in one
    fewer = MeshRequest(subjects=1, first_subject=13, ages=(35.5,), variants=1, seed=7, size=96)
    generate_with(MeshBackend(fewer), tmp_path / "few", machine=Machine(Resources(workers=1)))
    name = "00013/00013_35.5_0.png"
    assert _hashes(tmp_path / "few")[name] == one[name]


def test_the_table_says_what_was_drawn(tmp_path):
    generate_with(MeshBackend(OPTIONS), tmp_path / "set", machine=Machine(Resources(workers=1)))
    table = read_samples(tmp_path / "set")
    assert table.subjects == ["00012", "00012", "00013", "00013", "00014", "00014"]
    assert list(table.ages) == [4.0, 35.5] * 3
    frame = table.frame
    assert set(frame["sex"]) <= {"m", "f"}
    assert set(frame["generator"]) == {"mesh"}
    assert "ethnicity" not in frame.columns
    face = render_face(13, 35.5, 0, OPTIONS)
    row = frame[frame["file_name"] == "00013/00013_35.5_0.png"].iloc[0]
    known = row[list(POINT_COLUMNS)].to_numpy(dtype=float).reshape(5, 2)
    assert abs(known - face.points5).max() < 1e-3
    assert abs(row["yaw"] - face.yaw) < 1e-3
    assert isinstance(frame, pd.DataFrame)
