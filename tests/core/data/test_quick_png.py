"""The quick way for plain PNG files gives what the careful one gives, and leaves everything else to it."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from frbias.core.data import images
from frbias.core.data.quick_png import decode_plain_png
from frbias.core.foundation.errors import BadImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
MANY = 10_000


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_plain_files_of_two_writers(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "pillow.png")
    for data in (images.encode_png(PIXELS), (tmp_path / "pillow.png").read_bytes()):
        found = decode_plain_png(data, MANY, 1000)
        assert found is not None
        np.testing.assert_array_equal(found, PIXELS)
        assert found.flags.c_contiguous


def test_what_is_special_is_left_to_the_careful_way(tmp_path: Path) -> None:
    plain = images.encode_png(PIXELS)
    exif = Image.new("RGB", (1, 1)).getexif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "may hold an orientation")
    ways = {"grey": {"mode": "L"}, "clear": {"mode": "RGBA"}, "turned": {"exif": exif}, "text": {"pnginfo": text}}
    for name, way in ways.items():
        mode = way.pop("mode", "RGB")
        Image.fromarray(PIXELS).convert(mode).save(tmp_path / f"{name}.png", **way)
        assert decode_plain_png((tmp_path / f"{name}.png").read_bytes(), MANY, 1000) is None, name
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg")
    assert decode_plain_png((tmp_path / "x.jpg").read_bytes(), MANY, 1000) is None
    assert decode_plain_png(plain, 24 * 40 - 1, 1000) is None
    assert decode_plain_png(plain, MANY, 39) is None
    assert decode_plain_png(plain, MANY, 1000, only=(40, 24)) is None
    assert decode_plain_png(plain, MANY, 1000, only=(24, 40)) is not None
    keyed = plain[:33] + chunk(b"tRNS", bytes(6)) + plain[33:]
    assert decode_plain_png(keyed, MANY, 1000) is None


@pytest.mark.parametrize("cut", [9, 40, 500, -1])
def test_a_damaged_file_is_refused_with_its_reason(tmp_path: Path, cut: int) -> None:
    plain = images.encode_png(PIXELS)
    assert decode_plain_png(plain[:cut], MANY, 1000) is None
    flipped = bytearray(plain)
    flipped[200] ^= 1
    assert decode_plain_png(bytes(flipped), MANY, 1000) is None
    (tmp_path / "flipped.png").write_bytes(flipped)
    with pytest.raises(BadImageError):
        images.read_image(tmp_path / "flipped.png")


def test_a_whole_file_with_too_few_rows_is_left_to_the_careful_way() -> None:
    header, rest = images.encode_png(PIXELS)[:8], zlib.compress(bytes(3 * (40 * 3 + 1)))
    size = struct.pack(">IIBBBBB", 40, 24, 8, 2, 0, 0, 0)
    data = header + chunk(b"IHDR", size) + chunk(b"IDAT", rest) + chunk(b"IEND", b"")
    assert decode_plain_png(data, MANY, 1000) is None
