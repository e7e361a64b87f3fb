"""Files that are small and would take gigabytes and minutes to read are refused by their heads."""

import json
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frbias.core.assets.archives import MAX_TABLE, check_table
from frbias.core.assets.networks import read_network
from frbias.core.assets.tensor_files import MAX_HEAD
from frbias.core.assets.torch_vetting import vet_checkpoint
from frbias.core.data.embeddings import read_embeddings
from frbias.core.foundation import packed_size
from frbias.core.foundation.errors import BadInputError
from frbias.core.installing.models import add_model
from frbias.core.installing.recognise import recognise
from frbias.core.recognisers.maps import read_map
from frbias.core.recognisers.trainable.weights import read_pixels, read_state
from frbias.core.verification.scores.scorefiles import read_scores


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "root"))


def tensors_file(path: Path, entries: int) -> Path:
    head = json.dumps({f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(entries)}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    return path


@pytest.mark.parametrize("read", [recognise, read_state, read_pixels, read_map, read_network])
def test_a_head_of_many_entries_is_not_read(read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tensors_file(tmp_path / "w.safetensors", 100_000)
    (tmp_path / "w.json").write_text("{}")
    assert path.stat().st_size > MAX_HEAD
    started = time.monotonic()
    with pytest.raises(BadInputError, match=f"at most {MAX_HEAD} are read"):
        read(path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("data", [b"", b"\x08", struct.pack("<Q", 1 << 62) + b"{}", struct.pack("<Q", 3) + b"{}"])
def test_a_head_that_is_cut_off(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(BadInputError, match="its head is cut off"):
        read_state(tmp_path / "w.safetensors")


@pytest.mark.parametrize("wide", [False, True])
def test_a_table_of_contents_is_bounded_before_it_is_read(wide: bool, tmp_path: Path) -> None:
    """Both forms of the last record of a zip archive, the wider one telling more than the other."""
    path = tmp_path / "w.pth"
    length = MAX_TABLE + 1
    last = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, 46 if wide else length, 0, 0)
    wider = b"PK\x06\x06" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 1, 1, length, 0)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)
    path.write_bytes(b"PK\x03\x04" + (wider + locator if wide else bytes(76)) + last)
    for read in (check_table, recognise, vet_checkpoint):
        with pytest.raises(BadInputError, match="its table of contents"):
            read(path)


def test_honest_archives_pass(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"x")
        archive.comment = b"c" * 60_000
    check_table(tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(b"no archive")
    check_table(tmp_path / "b.zip")


def test_a_pack_of_many_members_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for i in range(20_000):
            archive.writestr(f"{i}.onnx", b"")
    started = time.monotonic()
    with pytest.raises(BadInputError, match="20000 members"):
        add_model("mine", tmp_path / "p.zip")
    assert time.monotonic() - started < 5


def test_two_files_of_one_name_in_a_pack(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a/w600k_r50.onnx", b"\x08\x07one")
        archive.writestr("b/w600k_r50.onnx", b"\x08\x07two")
    with pytest.raises(BadInputError, match=r"two files called w600k_r50\.onnx"):
        add_model("mine", tmp_path / "p.zip")
    assert not (tmp_path / "root" / "models" / "mine").exists()


def test_embeddings_of_many_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", **{f"a{i}": np.zeros(1) for i in range(1200)})
    with pytest.raises(BadInputError, match="more than 1000 arrays"):
        read_embeddings(tmp_path / "e.npz")


def test_tables_that_would_unpack_to_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constant columns are packed to next to nothing; what they claim is compared with the size of the file."""
    rows = 300_000
    table = pa.table({"score": np.zeros(rows), "mated": np.ones(rows, np.int8)})
    pq.write_table(table, tmp_path / "s.parquet")
    faces = {"subject": np.array(["a"] * rows), "embedding": np.ones((rows, 2), np.float32)}
    np.savez_compressed(tmp_path / "e.npz", **faces)
    pq.write_table(pa.table({"subject": ["a"] * rows, "e0": np.ones(rows)}), tmp_path / "e.parquet")
    reads = {"s.parquet": read_scores, "e.npz": read_embeddings, "e.parquet": read_embeddings}
    for name, read in reads.items():
        assert (tmp_path / name).stat().st_size < 10_000
        read(tmp_path / name)  # so much is read whatever the size
    monkeypatch.setattr(packed_size, "ALWAYS_BYTES", 1_000_000)
    with pytest.raises(BadInputError, match=r"e\.npz is refused: its .* would unpack to 3\.4 MB"):
        read_embeddings(tmp_path / "e.npz")
    monkeypatch.setattr(packed_size, "ALWAYS_VALUES", 100_000)
    for name in ("s.parquet", "e.parquet"):
        with pytest.raises(BadInputError, match=rf"{name} is refused: it claims 600,000 values in"):
            reads[name](tmp_path / name)
