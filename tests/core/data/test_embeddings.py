"""Embeddings of anybody: every format gives the same table, and a wrong file is told apart in one sentence."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frbias.core.data.embeddings import Embeddings, hash_of_embeddings, read_embeddings, write_embeddings
from frbias.core.foundation.errors import BadInputError

MATRIX = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
ROWS = pd.DataFrame(
    {
        "file_name": ["a/1.png", "a/2.png", "b/1.png", "b/2.png"],
        "subject": ["a", "a", "b", "b"],
        "age": [20.0, np.nan, 41.5, 60.0],
        "sex": ["m", "m", "f", "f"],
    }
)


def as_parquet(folder: Path, rows: pd.DataFrame = ROWS) -> Path:
    rows.assign(embedding=list(MATRIX)).to_parquet(folder / "e.parquet", index=False)
    return folder / "e.parquet"


def as_flat_parquet(folder: Path, rows: pd.DataFrame = ROWS) -> Path:
    flat = pd.concat([rows, pd.DataFrame(MATRIX, columns=["e0", "e1", "e2"])], axis=1)
    flat.to_parquet(folder / "flat.parquet", index=False)
    return folder / "flat.parquet"


def as_npz(folder: Path, rows: pd.DataFrame = ROWS) -> Path:
    columns = {n: rows[n].to_numpy(float if n == "age" else str) for n in rows.columns}
    np.savez_compressed(folder / "e.npz", embedding=MATRIX.astype(np.float64), **columns)
    return folder / "e.npz"


def as_npy(folder: Path, rows: pd.DataFrame = ROWS) -> Path:
    np.save(folder / "vectors.npy", np.asfortranarray(MATRIX))
    rows.to_csv(folder / "vectors.csv", index=False)
    return folder / "vectors.npy"


def as_csv(folder: Path, rows: pd.DataFrame = ROWS) -> Path:
    wide = pd.concat([pd.DataFrame({f"e{i}": MATRIX[:, i] for i in (2, 0, 1)}), rows], axis=1)
    wide.to_csv(folder / "e.csv", index=False, float_format="%.9g")
    return folder / "e.csv"


EVERY = [as_parquet, as_flat_parquet, as_npz, as_npy, as_csv]


@pytest.mark.parametrize("write", EVERY)
def test_every_format_gives_the_same_table(write: Callable[..., Path], tmp_path: Path) -> None:
    read = read_embeddings(write(tmp_path))
    np.testing.assert_array_equal(read.matrix, MATRIX)
    assert read.matrix.dtype == np.float32
    pd.testing.assert_frame_equal(read.frame, ROWS, check_dtype=False)
    assert read.provenance == {}


@pytest.mark.parametrize("write", EVERY)
def test_subject_and_embedding_are_enough(write: Callable[..., Path], tmp_path: Path) -> None:
    read = read_embeddings(write(tmp_path, ROWS[["subject"]]))
    assert list(read.frame.columns) == ["file_name", "subject", "age", "sex"]
    assert list(read.frame["file_name"]) == ["row-0", "row-1", "row-2", "row-3"]
    assert np.isnan(read.ages).all()
    assert set(read.frame["sex"]) == {""}


@pytest.mark.parametrize("write", EVERY)
def test_the_needed_columns_are_named(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"lacks the .*'subject'.*needed are 'subject' and 'embedding'"):
        read_embeddings(write(tmp_path, ROWS[["age"]]))


def test_names_of_columns_may_be_written_as_people_do(tmp_path: Path) -> None:
    renamed = ROWS.rename(columns={"file_name": "File Name", "subject": "Subject", "sex": "SEX"})
    renamed["SEX"] = ["Male", "M", "female", ""]
    read = read_embeddings(as_csv(tmp_path, renamed.assign(Camera=["x", "y", "x", "y"])))
    assert list(read.frame["file_name"]) == list(ROWS["file_name"])
    assert list(read.frame["sex"]) == ["m", "m", "f", ""]
    assert list(read.frame["camera"]) == ["x", "y", "x", "y"]


def test_subjects_that_are_numbers_are_labels(tmp_path: Path) -> None:
    for labels in ([7, 7, 8, 8], [7.0, 7.0, 8.0, np.nan]):
        read = read_embeddings(as_parquet(tmp_path, pd.DataFrame({"subject": labels})))
        assert read.subjects[:3] == ["7", "7", "8"]
    assert read.subjects[3] == ""


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("age", ["20", "old", "3", "4"], "row 2: age 'old' is not a number"),
        ("age", ["20", "30", "inf", "4"], "row 3: age 'inf' is not a number"),
        ("age", ["20", "30", "-1", "4"], "row 3: age -1 is not between 0 and 150"),
        ("age", ["20", "30", "1e400", "4"], "row 3: age '1e400' is not a number"),
        ("yaw", ["20", "30", "-inf", "4"], "row 3: yaw '-inf' is not a number"),
        ("file_name", ["a", "b", "../c", "d"], "row 3: file_name '../c' leaves the folder"),
        ("file_name", ["a", "b", "/etc/c", "d"], "leaves the folder"),
        ("file_name", ["a", "b", "C:\\c", "d"], "leaves the folder"),
        ("file_name", ["a", ".", "c", "d"], "row 2: file_name '.' is empty"),
        ("file_name", ["a", "b", "c" * 5000, "d"], "row 3: .* is too long"),
        ("file_name", ["a", "b", "c", "a"], "row 4: file_name 'a' is used twice"),
    ],
)
def test_values_that_cannot_be(column: str, values: list[str], said: str, tmp_path: Path) -> None:
    for write in (as_csv, as_npz):
        rows = pd.DataFrame({"subject": ROWS["subject"], column: values})
        if write is as_npz:
            np.savez(tmp_path / "e.npz", embedding=MATRIX, **{n: rows[n].to_numpy(str) for n in rows})
            path = tmp_path / "e.npz"
        else:
            path = as_csv(tmp_path, rows)
        with pytest.raises(BadInputError, match=said):
            read_embeddings(path)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.full((4, 3), np.nan), "row 1: the embedding is not finite"),
        (np.array([[1.0, 2], [3, 4], [1e300, 1], [1, 1]]), "row 3: the embedding is not finite"),
        (np.array([[1.0, 2], [0, 0], [1, 1], [1, 1]]), "row 2: the embedding is all zeros"),
        (np.ones((4, 3, 2)), "shape"),
        (np.ones(4), "shape"),
        (np.ones((4, 0)), "shape"),
        (np.ones((3, 2)), "3 embeddings"),
        (np.full((4, 2), "x"), "not of numbers"),
    ],
)
def test_vectors_that_cannot_be(matrix: Any, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", embedding=matrix, subject=np.array(list("aabb")))
    with pytest.raises(BadInputError, match=said):
        read_embeddings(tmp_path / "e.npz")


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    objects = np.array([Evil(tmp_path / "ran")] * 2, dtype=object)
    np.save(tmp_path / "e.npy", objects, allow_pickle=True)
    (tmp_path / "e.csv").write_text("subject\na\nb\n")
    np.savez(tmp_path / "e.npz", embedding=MATRIX[:2], subject=objects)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(objects))
    for name, said in (("e.npy", "Python objects"), ("e.npz", "Python objects"), ("p.npy", "no file of embeddings")):
        with pytest.raises(BadInputError, match=said):
            read_embeddings(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def claiming(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def test_a_claimed_size_is_compared_before_memory_is_reserved(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("subject\na\nb\n")
    for shape in ((10**13, 512), (2, 10**18), (-1, 4)):
        (tmp_path / "e.npy").write_bytes(claiming(shape, bytes(64)))
        with pytest.raises(BadInputError, match="claims"):
            read_embeddings(tmp_path / "e.npy")
    with zipfile.ZipFile(tmp_path / "e.npz", "w") as archive:
        archive.writestr("embedding.npy", claiming((10**12, 512)))
    with pytest.raises(BadInputError, match="claims"):
        read_embeddings(tmp_path / "e.npz")


def test_a_matrix_needs_its_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", MATRIX)
    with pytest.raises(BadInputError, match=r"v\.csv beside it"):
        read_embeddings(tmp_path / "v.npy")
    (tmp_path / "v.csv").write_text("subject\na\nb\n")
    with pytest.raises(BadInputError, match="2 rows cannot have an embedding of shape"):
        read_embeddings(tmp_path / "v.npy")


def test_the_hash_covers_the_rows_beside_a_matrix(tmp_path: Path) -> None:
    path = as_npy(tmp_path)
    before = hash_of_embeddings(path)
    (tmp_path / "vectors.csv").write_text((tmp_path / "vectors.csv").read_text().replace("41.5", "42.5"))
    assert hash_of_embeddings(path) != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as CSV"),
        ("subject,age\na,1\n", "no column 'embedding' and none called 'e0'"),
        ("subject,e0,e2\na,1,2\n", "lacks 'e1'"),
        ("subject,e0,e1\na,1,x\n", "cannot be read as CSV"),
        ("subject,e0,e1\na,1,\n", "cannot be read as CSV|not finite"),
        ("subject,e0,e0\na,1,2\n", "cannot be read as CSV"),
        ("subject,e0\n\xff\xfe", "cannot be read as CSV"),
    ],
)
def test_tables_that_cannot_be(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(BadInputError, match=said):
        read_embeddings(tmp_path / "e.csv")


def with_metadata(path: Path, note: bytes) -> Path:
    write_embeddings(path, Embeddings(ROWS, MATRIX, {}))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"frbias": note}), path)
    return path


@pytest.mark.parametrize(
    "note",
    [
        b"{", b"[1]", b"null", b"NaN", b'{"x": NaN}', b"\xff", b"[" * 100_000, b"1e400", b'{"x": [1e400]}',
        b'{"schema_version": 99}', b'{"schema_version": null}', b'{"schema_version": true}', b'{"name": 7}', b'{"inputs": []}',
        b'{"failure_to_acquire": {"failures": -1, "attempts": 2}}', b'{"failure_to_acquire": {"failures": 1}}',
        b'{"failure_to_acquire": {"failures": 3, "attempts": 2}}', b'{"synthetic": {}}', b'{"backbone": "x"}',
        b'{"failure_to_acquire": {"failures": 1, "attempts": 2, "by": "x"}}',
        *(b'{"failure_to_acquire": {"failures": 1, "attempts": 2, "by": [' + one + b"]}}" for one in (
            b'{"age": 1e30, "sex": "", "failures": 1}', b'{"age": "x", "sex": "", "failures": 1}',
            b'{"age": 3, "sex": "", "failures": -1}', b'{"age": 3, "sex": "", "failures": 2}', b'{"failures": 1}', b"1",
        )),
    ],
)  # fmt: skip
def test_metadata_that_frbias_did_not_write(note: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"metadata|schema version") as caught:
        read_embeddings(with_metadata(tmp_path / "e.parquet", note))
    assert "\n" not in caught.value.message


def test_our_own_file_carries_its_schema_version(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", Embeddings(ROWS, MATRIX, {"name": "r"}))
    note = json.loads(pq.read_schema(tmp_path / "e.parquet").metadata[b"frbias"])
    assert note == {"name": "r", "schema_version": 1}
    assert read_embeddings(tmp_path / "e.parquet").provenance == {"name": "r"}


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=300), kind=st.sampled_from([b"PAR1", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"subject,e0\n"])
)
def test_no_bytes_bring_a_traceback(data: bytes, kind: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "e.csv").write_bytes(kind + data)
    try:
        read = read_embeddings(folder / "e.csv")
    except BadInputError:
        return
    assert len(read.frame) == len(read.matrix)


def test_null_subjects_and_arrow_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "subject": pa.array(["a", None]).dictionary_encode(),
            "age": pa.array([20, None], pa.int32()),
            "embedding": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float16())),
        }
    )
    pq.write_table(table, tmp_path / "e.parquet")
    read = read_embeddings(tmp_path / "e.parquet")
    assert read.subjects == ["a", ""]
    assert read.ages[0] == 20
    assert np.isnan(read.ages[1])
    pq.write_table(table.set_column(1, "age", pa.array([True, False])), tmp_path / "b.parquet")
    with pytest.raises(BadInputError, match="age 'True' is not a number"):
        read_embeddings(tmp_path / "b.parquet")
