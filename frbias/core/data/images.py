"""Reading and writing images safely: bounded, orientation applied, always RGB uint8.

OpenCV is imported when a picture is read or written: what evaluates scores and embeddings needs no pictures.
"""

import io
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from frbias.core.data.quick_png import decode_plain_png
from frbias.core.foundation.errors import BadImageError, reason_of
from frbias.core.foundation.files import write_bytes

RgbImage = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_SIDE = 32_000  # pixels; OpenCV counts them in 16 bits
# Decoders that hold several copies of the picture get fewer pixels, so that all need about as much memory.
_FEWER_PIXELS = {"WEBP": 40_000_000}
_STRIP = 4_000_000  # pixels that are turned into RGB at a time
_ORIENTATION = 0x0112  # EXIF tag
_TURNS: dict[int, Callable[[RgbImage], RgbImage]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image[::-1].swapaxes(0, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image[:, ::-1].swapaxes(0, 1),
}
# What Pillow warns of (broken tags, for one) either makes the picture unreadable, which is told, or does not matter.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # pixels are bounded here, before decoding
UNREADABLE = "cannot be read"  # begins the reason when the fault is the disk's or the network's, not the picture's
_USUAL = 64 * 1024  # bytes that most files of faces have at most
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")


def read_image(path: Path | str, only: tuple[int, int] | None = None) -> RgbImage:
    """Decode an image file to RGB, in at most about a gigabyte of memory.

    The EXIF orientation is applied; grey, palette and CMYK images become RGB; transparency is
    composed over white; 16-bit grey is scaled to 8 bits. Size is checked before decoding.

    Args:
        path: The file.
        only: (height, width): pictures of another size are refused without being decoded.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        BadImageError: The file cannot be read, is not an image of a known format, is truncated,
            is larger than ``MAX_FILE_BYTES``, would decode to more than ``MAX_PIXELS`` pixels or has a side of
            more than ``MAX_SIDE``.
    """
    try:
        return _decode(*_content(path), path, only)
    except BadImageError:
        raise
    except Exception as error:  # decoders raise anything: struct.error, KeyError, RecursionError, zlib.error, ...
        raise _told(error, path) from error


def _content(path: Path | str) -> tuple[bytes, int]:
    """The bytes of a file, none when there are too many of them, and how many there are."""
    handle = os.open(path, _READ)
    try:
        data = os.read(handle, _USUAL)
        if len(data) < _USUAL:
            return data, len(data)
        size = os.fstat(handle).st_size
        return data + os.read(handle, size) if size <= MAX_FILE_BYTES else b"", size
    finally:
        os.close(handle)


def decode_image(data: bytes, name: Path) -> RgbImage:
    """:func:`read_image` for the bytes of an image file; ``name`` is what errors call it."""
    try:
        return _decode(data, len(data), name)
    except BadImageError:
        raise
    except Exception as error:
        raise _told(error, name) from error


def image_suffix(data: bytes) -> str | None:
    """``.jpg`` or ``.png`` by the first bytes of an image file; None for anything else."""
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    return ".png" if data[:8] == b"\x89PNG\r\n\x1a\n" else None


def _told(error: Exception, path: Path | str) -> BadImageError:
    """What went wrong, as it is told."""
    if isinstance(error, UnidentifiedImageError):
        return BadImageError("is not an image (PNG, JPEG, BMP, WebP or TIFF)", path=path)
    if isinstance(error, OSError) and error.strerror:
        return BadImageError(f"{UNREADABLE}: {error.strerror}", path=path)
    return BadImageError(f"cannot be decoded: {_one_line(error)}", path=path)


def _decode(data: bytes, size: int, path: Path | str, only: tuple[int, int] | None = None) -> RgbImage:
    if size == 0:
        raise BadImageError("is empty (0 bytes)", path=path)
    if size > MAX_FILE_BYTES:
        raise BadImageError(f"has {size} bytes; at most {MAX_FILE_BYTES} are read", path=path)
    if (pixels := decode_plain_png(data, MAX_PIXELS, MAX_SIDE, only)) is not None:
        return pixels
    with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
        width, height = picture.size
        most = min(MAX_PIXELS, _FEWER_PIXELS.get(picture.format or "", MAX_PIXELS))
        if width * height > most:
            raise BadImageError(f"is {width}x{height}; at most {most} pixels are decoded", path=path)
        if max(width, height) > MAX_SIDE:
            raise BadImageError(f"is {width}x{height}; sides have at most {MAX_SIDE} pixels", path=path)
        if only is not None and only not in ((height, width), (width, height)):  # it may yet be turned
            raise BadImageError(f"is {width}x{height}, not {only[1]}x{only[0]}", path=path)
        picture.load()
        image = _upright(_to_rgb(picture), picture)
    if only is not None and image.shape[:2] != only:
        raise BadImageError(f"is {image.shape[1]}x{image.shape[0]}, not {only[1]}x{only[0]}", path=path)
    return image


def write_png(path: Path, rgb: RgbImage) -> None:
    """Write an RGB uint8 image (height, width, 3) as PNG, atomically; the same pixels give the same bytes."""
    write_bytes(path, encode_png(rgb))


def encode_png(rgb: RgbImage) -> bytes:
    """PNG bytes of an RGB (height, width, 3) or grey (height, width) uint8 image."""
    import cv2

    pixels = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def encode_jpeg(rgb: RgbImage, quality: int = 90) -> bytes:
    """JPEG bytes of an RGB (height, width, 3) or grey (height, width) uint8 image; ``quality`` 1 to 100."""
    import cv2

    pixels = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _encode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(suffix: str, pixels: RgbImage, options: list[int]) -> bytes:
    import cv2

    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise BadImageError(f"an image of shape {pixels.shape} could not be encoded as {suffix}")
    return bytes(data)


def _upright(image: RgbImage, picture: Image.Image) -> RgbImage:
    """The image as it is shown. Only the orientation is read of EXIF: other tags may be broken."""
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    return image if turn is None else np.ascontiguousarray(turn(image))


def _to_rgb(picture: Image.Image) -> RgbImage:
    """The decoded picture as RGB, strip by strip: only the result and the decoded picture are there as a whole."""
    width, height = picture.size
    top = _brightest(picture) if picture.mode.startswith("I") or picture.mode == "F" else 255.0
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP // width)
    for start in range(0, height, rows):
        strip = picture if rows >= height else picture.crop((0, start, width, min(start + rows, height)))
        rgb[start : start + rows] = _strip_to_rgb(strip, top)
    return rgb


def _brightest(picture: Image.Image) -> float:
    """What is white in a picture of numbers."""
    width, height = picture.size
    rows = max(1, _STRIP // width)
    strips = (picture.crop((0, s, width, min(s + rows, height))) for s in range(0, height, rows))
    numbers = (np.asarray(strip) for strip in strips)
    largest = max(float(np.max(part, initial=0, where=np.isfinite(part))) for part in numbers)
    if picture.mode == "F":
        return max(largest, 255.0)
    return 65535.0 if largest > 255 else 255.0


def _strip_to_rgb(picture: Image.Image, top: float) -> RgbImage:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64), posinf=top)
        grey = np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(ground, layered)
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _one_line(error: BaseException) -> str:
    return reason_of(error).rstrip(".")
