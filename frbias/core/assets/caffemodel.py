"""Weights out of a ``.caffemodel``: enough of the protobuf wire format to read layers and their blobs.

Field numbers are those of ``caffe.proto`` (NetParameter, LayerParameter and its older form
V1LayerParameter, BlobProto, BlobShape). Nothing but names, shapes and numbers is looked at.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from frbias.core.foundation.errors import BadInputError

if TYPE_CHECKING:
    import torch

MAX_BYTES = 4 * 1024**3
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# field of the network -> (field of a layer's name, field of its blobs)
_LAYERS = {100: (1, 7), 2: (4, 6)}
_PARTS = ("weight", "bias")
Field = tuple[int, int, int | memoryview]


def read_caffemodel(path: Path) -> "dict[str, torch.Tensor]":
    """Layers with weights, as ``<layer>.weight`` and ``<layer>.bias`` (float32, CPU).

    Fully connected weights come as (outputs, inputs), convolutions as (outputs, inputs, height, width).

    Raises:
        BadInputError: The file is no Caffe network, or is truncated.
    """
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise BadInputError(f"{path} has more than {MAX_BYTES} bytes.")
    tensors: dict[str, torch.Tensor] = {}
    try:
        for number, kind, value in _fields(memoryview(path.read_bytes())):
            if number in _LAYERS and kind == _BYTES and isinstance(value, memoryview):
                tensors |= _layer(value, *_LAYERS[number])
    except (ValueError, IndexError, struct.error, UnicodeDecodeError, RuntimeError) as error:
        raise BadInputError(f"{path} is no Caffe network, or is damaged: {error}.") from error
    if not tensors:
        raise BadInputError(f"{path} holds no layers with weights.")
    return tensors


def _layer(data: memoryview, name_field: int, blob_field: int) -> "dict[str, torch.Tensor]":
    name, blobs = "", []
    for number, kind, value in _fields(data):
        if kind == _BYTES and isinstance(value, memoryview):
            if number == name_field:
                name = str(value, "utf-8")
            elif number == blob_field:
                blobs.append(_blob(value))
    return {f"{name}.{part}": blob for part, blob in zip(_PARTS, blobs, strict=False)}


def _blob(data: memoryview) -> "torch.Tensor":
    import torch

    dims: dict[int, int] = {}
    shape: list[int] = []
    numbers = bytearray()
    for number, kind, value in _fields(data):
        if number == 5 and isinstance(value, memoryview):
            numbers += value
        elif number == 5 and kind == _FIXED32 and isinstance(value, int):
            numbers += value.to_bytes(4, "little")
        elif number == 7 and isinstance(value, memoryview):
            shape = list(_shape(value))
        elif number in (1, 2, 3, 4) and isinstance(value, int):
            dims[number] = value
    flat = torch.frombuffer(numbers, dtype=torch.float32) if numbers else torch.zeros(0)
    return flat.reshape(shape or _old_shape([dims.get(n, 1) for n in (1, 2, 3, 4)])).clone()


def _old_shape(dims: list[int]) -> list[int]:
    """The four numbers of old files: fully connected weights are (1, 1, out, in), biases (1, 1, 1, out)."""
    if dims[:3] == [1, 1, 1]:
        return dims[3:]
    return dims[2:] if dims[:2] == [1, 1] else dims


def _shape(data: memoryview) -> Iterator[int]:
    for number, kind, value in _fields(data):
        if number == 1 and isinstance(value, int):
            yield value
        elif number == 1 and kind == _BYTES and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                dim, position = _varint(value, position)
                yield dim


def _fields(data: memoryview) -> Iterator[Field]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {kind}")
        if position + size > len(data):
            raise ValueError("it ends in the middle")
        part = data[position : position + size]
        yield number, kind, part if kind == _BYTES else int.from_bytes(part, "little")
        position += size


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number does not end")
