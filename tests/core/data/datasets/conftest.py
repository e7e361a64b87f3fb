"""Small data sets on disk, normal and hostile."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.datasets.layouts.fgnet import format_points
from frbias.core.data.images import encode_jpeg, encode_png

Plant = Callable[..., Path]


def jpeg(seed: int = 0, grey: bool = False) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 16) if grey else (20, 16, 3), dtype=np.uint8)
    return encode_jpeg(pixels)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write image files (name -> bytes; None for a small JPEG) below a new folder."""

    def write(*names: str, folder: str = "set", **contents: bytes) -> Path:
        root = tmp_path / folder
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents.get(name, jpeg(number)))
        return root

    return write


@pytest.fixture
def fgnet_folder(plant: Plant) -> Path:
    """A folder as FG-NET is unpacked, with everything that goes wrong in the wild."""
    root = plant(
        "FGNET/images/001A02.JPG",
        "FGNET/images/001A43a.JPG",
        "FGNET/images/001a43b.jpg",
        "FGNET/images/002A03.JPG",
        "FGNET/images/002A61.jpeg",
        "FGNET/images/copy/001A02.jpg",  # the same image again
        "FGNET/images/somebody.jpg",
        "FGNET/images/._001A05.JPG",
        "FGNET/images/Thumbs.db",
        "__MACOSX/001A09.JPG",
    )
    images, points = root / "FGNET" / "images", root / "FGNET" / "points"
    (images / "002A07.JPG").write_bytes(jpeg(9, grey=True))
    (images / "003A10.JPG").write_bytes(b"")
    (images / "003A11.JPG").write_bytes(jpeg(11)[:120])
    (images / "003A12.png").write_bytes(b"not an image at all")
    (images / "003A13.png").write_bytes(_bomb())
    outside = root.parent / "secret.jpg"
    outside.write_bytes(jpeg(5))
    (images / "003A14.JPG").symlink_to(outside)
    (images / "003A15.JPG").symlink_to(images / "nowhere.JPG")
    (images / "003A16.JPG").mkdir()
    os.mkfifo(images / "003A17.JPG")
    points.mkdir()
    good = np.tile(np.arange(68.0)[:, None], (1, 2))
    (points / "001a02.pts").write_bytes(format_points(good))
    (points / "001A43A.PTS").write_bytes(format_points(good + 1).replace(b"\n", b"\r\n"))
    (points / "002a03.pts").write_bytes(b"version: 1\nn_points: 68\n{\n1 2\n")
    return root


def _bomb() -> bytes:
    """A PNG of a few kilobytes that claims 30000 x 30000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def png() -> bytes:
    return encode_png(np.zeros((8, 8, 3), dtype=np.uint8))
