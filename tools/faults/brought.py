"""More formats for the campaign of documents: what people bring (archives, records, lists), and small files of frbias."""

import io
import json
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faults.documents import Document, need, need_finite

FACES = "Path;Identity;AGE;Gender\n1.png;ada;8;f\n2.png;ada;35;\n3.png;bob;;m\n"
AUDIT = "file_name,subject,age,flags\n1.png,ada,8,\n2.png,ada,35,duplicate wrong_age\n"
RECIPE = 'about = "one"\nmeasured = "nothing"\n[finetune]\nfrozen = "1,2"\nlr = 0.1\nepochs = 2\n'
INPUT = '[input]\ncolour = "BGR"\nmean = 3\nscale = [4, 5, 6]\ninput_size = [112, 112]\n'
_MAGIC = 0xCED7230A  # of a RecordIO record


def brought(root: Path) -> list[Document]:
    """Archives, records and lists of somebody else, below ``root``, whose parent is nobody else's."""
    from frbias.core.assets.caffemodel import read_caffemodel
    from frbias.core.assets.checkpoints import load_checkpoint
    from frbias.core.data.datasets.layouts.fgnet import format_points, read_points
    from frbias.core.data.datasets.loading import load_table
    from frbias.core.data.recordio import iterate_records
    from frbias.core.installing.recognise import recognise

    records, index = _records()
    for folder in ("records", "faces"):
        (root / folder).mkdir()
    (root / "records" / "train.rec").write_bytes(records)
    (root / "records" / "train.idx").write_bytes(index)
    for name in ("1.png", "2.png", "3.png"):
        (root / "faces" / name).write_bytes(b"x")

    def faces() -> None:
        ages = load_table(root / "faces" / "list.csv").ages
        known = ages[~np.isnan(ages)]
        need(not ((known < 0) | (known > 150)).any(), "an age that nobody has")

    def points() -> None:
        need_finite(read_points((root / "face.pts").read_bytes()), "a point that is not finite")

    def pictures() -> None:
        need(len(list(iterate_records(root / "records" / "train.rec"))) <= 3, "more records than there are")

    return [
        Document("set.zip", _zip(), _unpacking(root, "set.zip"), "bytes"),
        Document("set.tar", _tar("w"), _unpacking(root, "set.tar"), "bytes"),
        Document("set.tar.gz", _tar("w:gz"), _unpacking(root, "set.tar.gz"), "bytes"),
        Document("w.pth", _torch(), lambda: load_checkpoint(root / "w.pth"), "bytes"),
        Document("pack.zip", _zip(), lambda: recognise(root / "pack.zip"), "bytes"),
        Document("records/train.rec", records, pictures, "bytes"),
        Document("records/train.idx", index, pictures, "table"),
        Document("faces/list.csv", FACES.encode(), faces, "table"),
        Document("face.pts", format_points(np.arange(136.0).reshape(68, 2)), points, "table"),
        Document("m.caffemodel", _caffe(), lambda: read_caffemodel(root / "m.caffemodel"), "bytes"),
    ]


def kept_by_frbias(root: Path) -> list[Document]:
    """Small files that frbias writes beside its results, below ``root``."""
    from frbias.core.assets import prefixes
    from frbias.core.data.file_hashes import file_hashes
    from frbias.core.foundation.hashes import sha256_bytes
    from frbias.core.recognisers.adapted import read_adapted
    from frbias.core.recognisers.input_format import format_beside
    from frbias.core.recognisers.maps import EmbeddingMap, read_map, write_map
    from frbias.core.stages.audit import flags_of
    from frbias.core.training.recipes import read_recipe
    from frbias.experiment.gridtable import read_draws
    from frbias.synth.eg3d.calibration import Calibration, read_calibration, write_calibration

    adapted = {"schema": "frbias.adapted", "schema_version": 1, "base": "sface", "base_sha256": "0", "map_sha256": "1"}
    steps = {"mean": [1.0, 2, 3], "std": 128}
    manifest = {"tasks": {"recognition": {"file": "a.onnx", "input_size": [112, 112], "preprocessing": steps}}}
    write_map(root / "map.safetensors", EmbeddingMap.of(np.eye(3)))
    write_calibration(root / "calibration.json", Calibration(1.0, 0.0, 0.7, 10, 5.0, 80.0, 1.0))
    entry = root / "home" / "cache" / "prefix" / "a"
    for folder in (entry, root / "pack"):
        folder.mkdir(parents=True)
    (entry / prefixes.DATA).write_bytes(bytes(10))
    prefixes.finish_entry(entry, {"shape": [5, 2], "dtype": "fp16"})
    hashes = _hashes(root)

    def hashed() -> None:
        need(file_hashes(root, ["hashed.bin"]) == [sha256_bytes(b"x")], "a hash that is not the file's")

    def prefix() -> None:
        prefixes.is_entry(entry, (5, 2), 10)
        prefixes.problem_of(entry)

    return [
        Document(
            "adapted.json", json.dumps({**adapted, "made_of": ["one"]}).encode(), lambda: read_adapted(root), "json"
        ),
        Document(
            "map.safetensors",
            (root / "map.safetensors").read_bytes(),
            lambda: read_map(root / "map.safetensors"),
            "bytes",
        ),
        _of(root, "calibration.json", lambda: read_calibration(root / "calibration.json", psi=0.7), "json"),
        Document("recipe.toml", RECIPE.encode(), lambda: read_recipe(str(root / "recipe.toml")), "toml"),
        Document("model.toml", INPUT.encode(), lambda: format_beside(root / "model.onnx"), "toml"),
        Document(
            "pack/manifest.json", json.dumps(manifest).encode(), lambda: format_beside(root / "pack" / "a.onnx"), "json"
        ),
        Document("audit.csv", AUDIT.encode(), lambda: flags_of(root), "table"),
        Document("draws.parquet", _draws(root / "draws.parquet"), lambda: read_draws(root / "draws.parquet"), "bytes"),
        _of(root, str((entry / prefixes.RECORD).relative_to(root)), prefix, "json"),
        _of(root, str(hashes.relative_to(root)), hashed, "bytes"),
    ]


def _of(root: Path, name: str, read: Callable[[], object], kind: str) -> Document:
    data = (root / name).read_bytes()
    return Document(name, json.dumps(json.loads(data)).encode() if kind == "json" else data, read, kind)


def _unpacking(root: Path, name: str) -> Callable[[], None]:
    from frbias.core.assets.archives import unpack

    target = root / "unpacked"

    def beside() -> list[Path]:
        return sorted(path for place in (root, root.parent) for path in place.iterdir() if path != target)

    def read() -> None:
        shutil.rmtree(target, ignore_errors=True)
        before = beside()
        try:
            unpack(root / name, target)
        finally:
            need(beside() == before, "something was written outside of the target")

    return read


_MEMBERS = {"set/ada/1.png": b"one" * 30, "set/ada/2.png": b"two" * 30, "set/bob/" + "long" * 40 + ".png": b"three"}


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _MEMBERS.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _torch() -> bytes:
    import torch

    stream = io.BytesIO()
    torch.save({"fc.weight": torch.ones(2, 2), "fc.bias": torch.zeros(2)}, stream)
    return stream.getvalue()


def _tar(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, data in _MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _records() -> tuple[bytes, bytes]:
    body, lines = b"", []
    for key in (1, 2, 3):
        data = struct.pack("<IfQQ", 0, float(key // 2), key, 0) + b"\xff\xd8picture" * key
        lines.append(f"{key}\t{len(body)}\n")
        body += struct.pack("<II", _MAGIC, len(data)) + data + bytes(-len(data) % 4)
    return body, "".join(lines).encode()


def _caffe() -> bytes:
    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    blob = field(7, field(1, bytes([2, 3]))) + field(5, struct.pack("<6f", *range(6)))
    layer = field(1, b"fc6") + field(7, blob)
    return field(1, b"VGG") + b"\xa2\x06" + bytes([len(layer)]) + layer


def _draws(path: Path) -> bytes:
    import pandas as pd

    values = {"baseline": [0.1, 0.2], "other": [0.2, 0.3]}
    pd.DataFrame({"target": [0.1, np.nan], "measure": ["garbe", "eer"], **values}).to_parquet(path)
    return path.read_bytes()


def _hashes(root: Path) -> Path:
    from frbias.core.data import file_hashes as module

    (root / "hashed.bin").write_bytes(b"x")
    settled, module._SETTLED = module._SETTLED, -1_000_000_000  # what was written a moment ago is trusted for once
    try:
        module.file_hashes(root, ["hashed.bin"])
    finally:
        module._SETTLED = settled
    return module._place(root)
