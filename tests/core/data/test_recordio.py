"""RecordIO sets: written by hand as mxnet writes them, read back, imported; malformed ones said in one sentence."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.datasets.importing import import_dataset
from frbias.core.data.datasets.loading import load_table
from frbias.core.data.datasets.packed import unpack_pictures
from frbias.core.data.images import encode_jpeg, encode_png, read_image
from frbias.core.data.recordio import MAGIC, Record, count_pictures, is_recordio, iterate_records, read_index
from frbias.core.foundation.errors import BadInputError

MARK = struct.pack("<I", MAGIC)


def picture(seed: int) -> bytes:
    return encode_jpeg(np.random.default_rng(seed).integers(0, 255, (32, 24, 3), dtype=np.uint8))


def packed(label: float | list[float], key: int, payload: bytes = b"") -> bytes:
    if isinstance(label, list):
        return struct.pack("<IfQQ", len(label), 0, key, 0) + struct.pack(f"<{len(label)}f", *label) + payload
    return struct.pack("<IfQQ", 0, label, key, 0) + payload


def framed(data: bytes) -> bytes:
    """One record as dmlc-core writes it: cut wherever the magic number stands at a multiple of four."""
    cuts, at = [], 0
    for place in range(0, len(data) - 3, 4):
        if data[place : place + 4] == MARK:
            cuts.append(data[at:place])
            at = place + 4
    parts = [*cuts, data[at:]]
    out = b""
    for number, part in enumerate(parts):
        kind = 0 if len(parts) == 1 else 1 if number == 0 else 3 if number == len(parts) - 1 else 2
        out += struct.pack("<II", MAGIC, kind << 29 | len(part)) + part + b"\0" * (-len(part) % 4)
    return out


def write_set(folder: Path, records: list[tuple[int, bytes]]) -> Path:
    folder.mkdir(exist_ok=True)
    body, lines = b"", []
    for key, data in records:
        lines.append(f"{key}\t{len(body)}")
        body += framed(data)
    (folder / "train.rec").write_bytes(body)
    (folder / "train.idx").write_text("\n".join(lines) + "\n")
    (folder / "property").write_text("2,112,112\n")
    return folder


def insightface_set(folder: Path) -> Path:
    """Two identities with two and one pictures, laid out as insightface lays them out."""
    images = [(k + 1, packed(float(who), k + 1, picture(k))) for k, who in enumerate((0, 0, 1))]
    identities = [(4, packed([1.0, 3.0], 4)), (5, packed([3.0, 4.0], 5))]
    return write_set(folder, [(0, packed([4.0, 6.0], 0)), *images, *identities])


def test_an_insightface_set_gives_its_pictures_and_identities(tmp_path: Path) -> None:
    source = insightface_set(tmp_path / "set")
    assert is_recordio(source)
    assert is_recordio(source / "train.rec")
    assert count_pictures(source) == 3
    assert list(iterate_records(source)) == [Record(k + 1, who, picture(k)) for k, who in enumerate((0, 0, 1))]


def test_a_plain_set_has_a_picture_in_every_record(tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", [(k, packed([float(k), 9.0], k, picture(k))) for k in (3, 1, 2)])
    assert [(r.key, r.identity) for r in iterate_records(source)] == [(3, 3), (1, 1), (2, 2)]


def test_the_magic_number_inside_a_picture_is_put_back(tmp_path: Path) -> None:
    payload = b"ab" * 6 + MARK + b"cdef" + MARK + MARK + b"g"
    source = write_set(tmp_path / "set", [(1, packed(7.0, 1, payload)), (2, packed(8.0, 2, b"x"))])
    raw = (source / "train.rec").read_bytes()
    assert raw.count(MARK) == 5  # four parts of the first record, one of the second
    first, second = iterate_records(source)
    assert first.data == payload
    assert second.data == b"x"


def test_import_makes_an_image_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    source = insightface_set(tmp_path / "set")
    found = import_dataset("mine", source / "train.rec")
    assert (found.layout, found.images, found.subjects, found.rejected) == ("recordio", 3, 2, 0)
    table = load_table(found.path)
    assert table.frame["file_name"].tolist() == [
        "0000000/000000001.jpg", "0000000/000000002.jpg", "0000001/000000003.jpg",
    ]  # fmt: skip
    assert table.subjects == ["0000000", "0000000", "0000001"]
    assert np.isnan(table.ages).all()
    assert (found.path / "0000001/000000003.jpg").read_bytes() == picture(2)
    assert import_dataset("mine", source / "train.rec").finished_before
    with pytest.raises(BadInputError, match="RecordIO training set; unpack it with:  frbias data import NAME"):
        load_table(source)


def test_bad_records_are_left_out_and_listed(tmp_path: Path) -> None:
    png = encode_png(np.zeros((4, 4), dtype=np.uint8))
    source = write_set(
        tmp_path / "set",
        [
            (1, packed(0.0, 1, picture(1))),
            (2, packed(-1.0, 2, picture(2))),
            (3, packed(float("nan"), 3, picture(3))),
            (4, packed(0.5, 4, picture(4))),
            (5, packed(1.0, 5, b"no picture")),
            (6, packed(1.0, 6, picture(6)[:200])),
            (7, b"short"),
            (8, packed([1.0] * 3, 8)[:30]),
            (9, packed(1.0, 9, png)),
        ],
    )
    found = unpack_pictures(source, tmp_path / "out")
    assert [row["file_name"] for row in found.rows] == ["0000000/000000001.jpg", "0000001/000000009.png"]
    reasons = {left.file: left.reason for left in found.rejected}
    label = "its label is no number of a person"
    assert [reasons[f"record {k}"] for k in (2, 3, 4)] == [label] * 3
    assert reasons["0000001/000000005.jpg"] == "is neither a JPEG nor a PNG image"
    assert reasons["0000001/000000006.jpg"].startswith("cannot be decoded")
    assert "less than a header" in reasons["record 7"]
    assert "claims 3 labels" in reasons["record 8"]
    assert read_image(tmp_path / "out/0000001/000000009.png").shape == (4, 4, 3)


def test_an_interrupted_import_does_not_write_again(tmp_path: Path) -> None:
    source, out = insightface_set(tmp_path / "set"), tmp_path / "out"
    unpack_pictures(source, out)
    whole, half = out / "0000000/000000001.jpg", out / "0000000/000000002.jpg"
    stamp = whole.stat().st_mtime_ns
    half.write_bytes(half.read_bytes()[:50])
    unpack_pictures(source, out)
    assert whole.stat().st_mtime_ns == stamp
    assert half.read_bytes() == picture(1)


def _raw(magic: int = MAGIC, kind: int = 0, length: int = 0, data: bytes = b"") -> bytes:
    return struct.pack("<II", magic, kind << 29 | length) + data


MALFORMED = {
    "no index": ("", None, "train.idx does not exist"),
    "empty index": ("", b"", "lists no record"),
    "index of words": ("one two three\n", b"", "line 1: 'key <tab> offset' is expected, found 'one two three'"),
    "negative offset": ("1\t-5\n", b"", "line 1: 'key <tab> offset' is expected"),
    "key twice": ("1\t0\n1\t8\n", b"", "line 2: the key 1 comes twice"),
    "another file": (
        "1\t0\n",
        b"PK\x03\x04" + b"\0" * 40,
        "offset 0: no record begins here (its magic number is 0x04034b50)",
    ),
    "past the end": ("1\t4000\n", _raw(length=24, data=b"\0" * 24), "the file ends in the middle of a record"),
    "claims too much": ("1\t0\n", _raw(length=2**28, data=b"\0" * 24), "a record of more than"),
    "ends early": (
        "1\t0\n",
        _raw(length=1000, data=b"\0" * 24),
        "1000 bytes are claimed, but the file ends before them",
    ),
    "part without a first": (
        "1\t0\n",
        _raw(kind=3, length=24, data=b"\0" * 24),
        "a part of kind 3 does not belong here",
    ),
    "first without a last": ("1\t0\n", _raw(kind=1, length=24, data=b"\0" * 24), "ends in the middle of a record"),
    "unknown kind": ("1\t0\n", _raw(kind=6, length=24, data=b"\0" * 24), "a part of kind 6 does not belong here"),
    "record 0 lies": ("0\t0\n", framed(packed([float("inf"), 2.0], 0)), "record 0: says that its pictures end at inf"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_sets_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    index, records, sentence = MALFORMED[kind]
    (tmp_path / "train.rec").write_bytes(records or b"")
    if records is not None:
        (tmp_path / "train.idx").write_text(index)
    with pytest.raises(BadInputError) as caught:
        unpack_pictures(tmp_path, tmp_path / "out")
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_an_index_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.idx").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="is not text"):
        read_index(tmp_path / "train.idx")


def test_a_verification_set_is_imported_as_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([picture(k) for k in range(4)], [True, False])))
    found = import_dataset("lfwbin", tmp_path / "lfw.bin")
    assert (found.layout, found.images, found.subjects) == ("bin", 4, 0)
    assert sorted(load_table(found.path).frame["file_name"])[-1] == "pair_000001_1.jpg"
