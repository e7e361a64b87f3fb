"""Files that hold another type than their format says: bad input with file and place, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frbias.core.data.embeddings import read_embeddings
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import read_object
from frbias.core.foundation.provenance import claim_folder
from frbias.core.reporting.documents import read_document
from frbias.core.stages.audit import flags_of
from frbias.core.verification.scores.scorefiles import read_scores
from frbias.experiment.gridtable import read_draws
from frbias.synth.eg3d.calibration import Calibration, read_calibration, write_calibration


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "3", "[" * 50_000, '{"a": ' * 50_000], ids=lambda t: t[:6])
def test_documents_that_are_no_object(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(text)
    for read in (read_object, read_document):
        with pytest.raises(BadInputError, match=r"evaluation\.json"):
            read(path)


@pytest.mark.parametrize("results", [{}, [1], None, "x"])
def test_results_that_are_not_there(results: Any, tmp_path: Path) -> None:
    folder = claim_folder(tmp_path / "out", stage="embed", arguments={})
    folder.finish({"images": 3})
    path = tmp_path / "out" / "provenance.json"
    record = json.loads(path.read_text())
    assert folder.results()["images"] == 3
    path.write_text(json.dumps({**record, "results": results}))
    with pytest.raises(BadInputError, match=r"provenance\.json: results"):
        folder.results()["images"]


@pytest.mark.parametrize(
    "change", [{"psi": "x"}, {"slope": 0}, {"slope": None}, {"images": 1.5}, {"schema": 9}, {"estimator": []}]
)
def test_calibrations_of_another_type(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_calibration(path, Calibration(1.0, 0.0, 0.7, 10, 5.0, 80.0, 1.0))
    assert read_calibration(path, psi=0.7).images == 10
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInputError, match=r"c\.json is no calibration \(") as caught:
        read_calibration(path, psi=0.7)
    assert next(iter(change)) in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,e0,e1\na,1\n", "line 2: 2 fields where the header has 3"),
        ("subject,e0,e1\na,1,2,3\n", "line 2: 4 fields"),
        ("file_namesubject,age,e0,e1\na.png,a,8,0,1\n", "line 2: 5 fields where the header has 4"),
        ("subject,e0\na,0.5\nb,0,5\n", "line 3: 3 fields where the header has 2; write numbers with a decimal point"),
    ],
)
def test_embeddings_as_csv_are_even(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(BadInputError, match=said):
        read_embeddings(tmp_path / "e.csv")


@pytest.mark.parametrize("note", [b"{", b'{"index_columns": [{"kind": 1}]}', b'{"columns": [{}]}', b"[]"])
def test_what_pandas_noted_is_not_read(note: bytes, tmp_path: Path) -> None:
    table = pa.table({"score": [0.9, 0.1], "mated": [1, 0]}).replace_schema_metadata({b"pandas": note})
    pq.write_table(table, tmp_path / "s.parquet")
    assert read_scores(tmp_path / "s.parquet").frame["mated"].tolist() == [True, False]
    faces = pa.table({"subject": ["a"], "e0": [1.0]}).replace_schema_metadata({b"pandas": note})
    pq.write_table(faces, tmp_path / "e.parquet")
    assert read_embeddings(tmp_path / "e.parquet").subjects == ["a"]


def test_parquet_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "s.parquet").write_bytes(b"PAR1junkPAR1")
    with pytest.raises(BadInputError, match="cannot be read"):
        read_scores(tmp_path / "s.parquet")


def test_what_frbias_kept_and_somebody_changed(tmp_path: Path) -> None:
    draws = pa.table({"target": [0.1, None], "measure": ["garbe", "eer"], "baseline": [1.0, 2.0], "other": [3, 4]})
    pq.write_table(draws, tmp_path / "draws.parquet")
    found = read_draws(tmp_path / "draws.parquet")
    assert {key: values.tolist() for key, values in found.items()} == {
        (0.1, "garbe"): [[1.0, 3.0]],
        (None, "eer"): [[2.0, 4.0]],
    }
    pq.write_table(draws.drop_columns(["other"]), tmp_path / "draws.parquet")
    for _ in range(2):
        with pytest.raises(BadInputError, match=r"draws\.parquet is damaged"):
            read_draws(tmp_path / "draws.parquet")
        (tmp_path / "draws.parquet").write_bytes(b"PAR1junkPAR1")
    for text in ("file_name,age\na.png,8\n", "file_name,flags\na.png\n", ""):
        (tmp_path / "audit.csv").write_text(text)
        with pytest.raises(BadInputError, match=r"audit\.csv"):
            flags_of(tmp_path)
