"""Caffe networks, old and new form, written by hand and read back."""

import struct
from pathlib import Path

import pytest
import torch
from pickle_builders import dex_state

from frbias.core.assets.caffemodel import read_caffemodel
from frbias.core.foundation.errors import BadInputError
from frbias.core.installing.models import add_model


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def caffe_blob(tensor: torch.Tensor, *, old: bool) -> bytes:
    numbers = field(5, struct.pack(f"<{tensor.numel()}f", *tensor.flatten().tolist()))
    if old:
        dims = [1] * (4 - tensor.ndim) + list(tensor.shape)
        return b"".join(varint(n << 3) + varint(d) for n, d in zip((1, 2, 3, 4), dims, strict=True)) + numbers
    return field(7, field(1, b"".join(varint(d) for d in tensor.shape))) + numbers


@pytest.mark.parametrize("old", [False, True])
def test_caffe_networks(tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    state = dex_state()
    data = field(1, b"VGG") + varint(5 << 3) + b"\x01"
    for layer in ("conv1_1", "conv5_3", "fc6", "fc7", "fc8-101"):
        blobs = [state[f"{layer}.{part}"] for part in ("weight", "bias") if f"{layer}.{part}" in state]
        body = field(4 if old else 1, layer.encode()) + b"".join(
            field(6 if old else 7, caffe_blob(b, old=old)) for b in blobs
        )
        data += field(2 if old else 100, body)
    (tmp_path / "dex.caffemodel").write_bytes(data)
    found = read_caffemodel(tmp_path / "dex.caffemodel")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], v) for k, v in state.items())
    assert add_model("dex", tmp_path / "dex.caffemodel").kind == "age-classifier"
    for end in range(1, len(data), 997):
        (tmp_path / "cut.caffemodel").write_bytes(data[:end])
        try:
            read_caffemodel(tmp_path / "cut.caffemodel")
        except BadInputError:
            continue
