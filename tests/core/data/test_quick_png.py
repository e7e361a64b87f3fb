"""The quick way for plain PNG files gives what the careful one gives, and leaves everything else to it."""

import io
import itertools
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from PIL import Image, PngImagePlugin

from frbias.core.data import images, quick_png
from frbias.core.data.png_filters import undo_filters
from frbias.core.data.quick_png import decode_plain_png
from frbias.core.foundation.errors import BadImageError

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
MANY = 10_000


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def file_of(rows: bytes, height: int, width: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    half = len(packed) // 2
    parts = chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:])
    return images.encode_png(PIXELS)[:8] + chunk(b"IHDR", head) + parts + chunk(b"IEND", b"")


def predicted(kind: int, left: int, above: int, corner: int) -> int:
    """What filter ``kind`` subtracts, in the words of the specification."""
    if kind == 4:
        estimate = left + above - corner
        return min((left, above, corner), key=lambda value: abs(estimate - value))
    return (0, left, above, (left + above) // 2)[kind]


@pytest.fixture(params=["OpenCV", "the compiled loop"])
def undone_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(quick_png, "_WORTH", 10**9 if request.param == "OpenCV" else 0)
    return str(request.param)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.data())
@pytest.mark.usefixtures("undone_by")
def test_every_filter_of_every_line_is_undone(data: some.DataObject) -> None:
    height, width = data.draw(some.integers(1, 6)), data.draw(some.integers(1, 7))
    kinds = data.draw(some.lists(some.integers(0, 4), min_size=height, max_size=height))
    rng = np.random.default_rng(data.draw(some.integers(0, 1000)))
    pixels = rng.choice([0, 1, 127, 128, 200, 255], (height, 3 * width)).astype(int)
    rows = b""
    for y, kind in enumerate(kinds):
        rows += bytes([kind])
        for x in range(3 * width):
            left, above = (pixels[y, x - 3] if x >= 3 else 0), (pixels[y - 1, x] if y else 0)
            corner = pixels[y - 1, x - 3] if y and x >= 3 else 0
            rows += bytes([int(pixels[y, x] - predicted(kind, left, above, corner)) % 256])
    file = file_of(rows, height, width)
    found = decode_plain_png(file, MANY, 1000, only=(height, width))
    np.testing.assert_array_equal(found, pixels.reshape(height, width, 3))
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(file))))


@pytest.mark.usefixtures("undone_by")
def test_what_is_no_filter_or_unpacks_to_more_is_left_to_the_careful_way() -> None:
    rows = bytes(24 * 121)
    assert decode_plain_png(file_of(rows, 24, 40), MANY, 1000, only=(24, 40)) is not None
    for wrong in (b"\5" + rows[1:], rows[:-1], rows + b"0"):
        assert decode_plain_png(file_of(wrong, 24, 40), MANY, 1000, only=(24, 40)) is None
    bomb = file_of(bytes(100_000_000), 24, 40)
    tracemalloc.start()
    assert decode_plain_png(bomb, MANY, 1000, only=(24, 40)) is None
    assert tracemalloc.get_traced_memory()[1] < 10 * len(bomb)
    tracemalloc.stop()


def test_a_large_picture_is_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_png, "_WORTH", 10**9)
    large = np.random.default_rng(1).integers(0, 256, (160, 200, 3), dtype=np.uint8)
    found = decode_plain_png(images.encode_png(large), 10**6, 1000, only=(160, 200))
    np.testing.assert_array_equal(found, large)


def test_the_loop_is_loaded_for_many_pictures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def loaded() -> object:
        asked.append(1)
        return undo_filters

    monkeypatch.setattr(quick_png, "_WORTH", 5)
    monkeypatch.setattr(quick_png, "_seen", itertools.count())
    monkeypatch.setattr(quick_png, "_kernel", loaded)
    for number in range(8):
        found = decode_plain_png(images.encode_png(PIXELS), MANY, 1000, only=(24, 40))
        np.testing.assert_array_equal(found, PIXELS)
        assert len(asked) == max(0, number - 4)


def test_plain_files_of_two_writers(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "pillow.png")
    for data in (images.encode_png(PIXELS), (tmp_path / "pillow.png").read_bytes()):
        found = decode_plain_png(data, MANY, 1000)
        assert found is not None
        np.testing.assert_array_equal(found, PIXELS)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(decode_plain_png(data, MANY, 1000, only=(24, 40)), PIXELS)


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
    assert decode_plain_png(plain[:cut], MANY, 1000, only=(24, 40)) is None
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
