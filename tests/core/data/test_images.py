"""Decoding of every kind of image, and refusal of what is none."""

import copy
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from frbias.core.data import images
from frbias.core.foundation.errors import BadImageError


def test_png_roundtrip_is_exact_and_deterministic(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    images.write_png(tmp_path / "a.png", rgb)
    images.write_png(tmp_path / "b.png", rgb)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.tile(np.arange(0, 200, 5, dtype=np.uint8), (20, 1)))
    suffix = ".jpg" if mode == "CMYK" else ".png"
    (grey.convert("RGB").convert(mode) if mode != "LA" else grey.convert("LA")).save(tmp_path / f"x{suffix}")
    rgb = images.read_image(tmp_path / f"x{suffix}")
    assert rgb.shape == (20, 40, 3)
    assert rgb.dtype == np.uint8
    assert rgb[:, :5].mean() < rgb[:, -5:].mean()


def test_transparent_pixels_are_composed_over_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (images.read_image(tmp_path / "clear.png") == 255).all()


def test_sixteen_bit_grey_is_scaled(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    expected = np.round(ramp / 257.0).astype(int)
    assert np.abs(images.read_image(tmp_path / "deep.png")[..., 0].astype(int) - expected).max() <= 1


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (20, 10), "black")
    picture.paste((255, 0, 0), (0, 0, 5, 10))
    exif = picture.getexif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    rgb = images.read_image(tmp_path / "turned.jpg")
    assert rgb.shape == (20, 10, 3)
    assert rgb[1, 5, 0] > 200 > 100 > rgb[18, 5, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path: Path, orientation: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[0x0112] = orientation
    for name in ("a.png", "a.tif"):
        picture.save(tmp_path / name, exif=exif)
        with Image.open(tmp_path / name) as saved:
            saved.load()
            expected = np.asarray(ImageOps.exif_transpose(saved))
        np.testing.assert_array_equal(images.read_image(tmp_path / name), expected)


@pytest.mark.parametrize("kind", [1, 2, 6, 7, 8, 9, 11])
def test_broken_exif_does_not_lose_the_picture(tmp_path: Path, kind: int) -> None:
    """An image width of a wrong type: Pillow's own exif_transpose ends in struct.error when it rewrites it."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHI", 0x0100, kind, 1) + b"\xff" * 4
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + b"\0" * 4 + b"\x01" * 40
    plain = _jpeg_bytes(tmp_path)
    (tmp_path / "x.jpg").write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    with Image.open(tmp_path / "x.jpg") as picture:
        picture.load()
        with pytest.raises(struct.error):
            ImageOps.exif_transpose(picture)
    turned = images.read_image(tmp_path / "x.jpg")
    (tmp_path / "plain.jpg").write_bytes(plain)
    np.testing.assert_array_equal(turned, np.rot90(images.read_image(tmp_path / "plain.jpg"), -1))


@pytest.mark.parametrize("error", [struct.error("bad"), KeyError("tag"), RecursionError("deep"), OSError("cut off")])
def test_whatever_a_decoder_raises_rejects_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(self: Image.Image) -> None:
        raise error

    (tmp_path / "x.jpg").write_bytes(_jpeg_bytes(tmp_path))
    monkeypatch.setattr(Image.Image, "getexif", broken)
    with pytest.raises(BadImageError, match="cannot be decoded") as caught:
        images.read_image(tmp_path / "x.jpg")
    assert caught.value.path == tmp_path / "x.jpg"
    assert caught.value.reason.startswith("cannot be decoded: ")
    assert str(tmp_path) not in caught.value.reason


def test_a_file_that_cannot_be_opened_says_why_without_its_place(tmp_path: Path) -> None:
    with pytest.raises(BadImageError) as caught:
        images.read_image(tmp_path / "gone.png")
    assert caught.value.reason == "cannot be read: No such file or directory"
    assert str(caught.value) == f"{tmp_path / 'gone.png'} cannot be read: No such file or directory."
    again = copy.copy(caught.value)
    assert (again.reason, again.path, str(again)) == (caught.value.reason, caught.value.path, str(caught.value))


def test_what_is_no_image_is_refused_with_its_name(tmp_path: Path) -> None:
    cases = {"empty.png": b"", "text.png": b"not a picture", "cut.jpg": _jpeg_bytes(tmp_path)[:300]}
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadImageError, match=name.replace(".", r"\.")):
            images.read_image(tmp_path / name)
    with pytest.raises(BadImageError):
        images.read_image(tmp_path / "absent.png")


def test_pixel_and_byte_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "big.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    with pytest.raises(BadImageError, match="100x100"):
        images.read_image(tmp_path / "big.png")
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadImageError, match="bytes"):
        images.read_image(tmp_path / "big.png")


def _jpeg_bytes(folder: Path) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    return (folder / "whole.jpg").read_bytes()


def test_long_sides_are_refused_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (60_000, 1)).save(tmp_path / "line.png")
    monkeypatch.setattr(images, "_to_rgb", None)
    with pytest.raises(BadImageError, match="60000x1; sides have at most 32000 pixels"):
        images.read_image(tmp_path / "line.png")


def test_a_picture_of_another_size_is_refused_without_being_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.new("RGB", (20, 10))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    assert images.read_image(tmp_path / "turned.png", only=(20, 10)).shape == (20, 10, 3)
    with pytest.raises(BadImageError, match="is 10x20, not 20x10"):
        images.read_image(tmp_path / "turned.png", only=(10, 20))
    monkeypatch.setattr(images, "_to_rgb", None)
    with pytest.raises(BadImageError, match="is 20x10, not 112x112"):
        images.read_image(tmp_path / "turned.png", only=(112, 112))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F", "1"])
def test_strips_give_the_picture(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    if mode in ("I;16", "I", "F"):
        picture = Image.fromarray(rng.integers(0, 60_000, (31, 17)).astype({"I;16": "u2", "I": "i4", "F": "f4"}[mode]))
    else:
        picture = Image.fromarray(rng.integers(0, 256, (31, 17, 4), dtype=np.uint8)).convert(mode)
    picture.save(tmp_path / "a.tif")
    whole = images.read_image(tmp_path / "a.tif")
    monkeypatch.setattr(images, "_STRIP", 40)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.tif"), whole)


def test_numbers_that_are_none_in_a_picture_of_numbers(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 510.0, 255.0]], np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert images.read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 255, 0, 255, 128]
    assert not recwarn.list


_PEAK = """
import resource, sys
import subprocess
import sys
from pathlib import Path
from frbias.core.data.images import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read_image(Path(sys.argv[1])).shape == (6000, 6000, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_the_memory_of_a_large_picture_is_bounded(tmp_path: Path, mode: str) -> None:
    """11.5 bytes a pixel: the decoded picture, the result, and a strip; 64 million pixels then stay below 0.8 GB."""
    Image.new(mode, (6000, 6000)).save(tmp_path / "a.png", compress_level=1)
    command = [sys.executable, "-c", _PEAK, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 36 * 11.5
