"""Reading and writing images safely: bounded, orientation applied, always RGB uint8."""

import io
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from frbias.core.foundation.errors import BadImageError
from frbias.core.foundation.files import write_bytes

RgbImage = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")


def read_image(path: Path) -> RgbImage:
    """Decode an image file to RGB.

    The EXIF orientation is applied; grey, palette and CMYK images become RGB; transparency is
    composed over white; 16-bit grey is scaled to 8 bits. Size is checked before decoding.

    Returns:
        uint8 array of shape (height, width, 3), RGB.

    Raises:
        BadImageError: The file cannot be read, is not an image of a known format, is truncated,
            is larger than ``MAX_FILE_BYTES`` or would decode to more than ``MAX_PIXELS`` pixels.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size == 0:
            raise BadImageError(f"{path} is empty (0 bytes).")
        if size > MAX_FILE_BYTES:
            raise BadImageError(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read.")
        with path.open("rb") as stream:
            return _decoded(stream, str(path))
    except OSError as error:
        raise BadImageError(f"{path} cannot be decoded: {_one_line(error)}.") from error


def decode_image(data: bytes, name: str) -> RgbImage:
    """:func:`read_image` for the bytes of an image file; ``name`` is what errors call it."""
    if not data:
        raise BadImageError(f"{name} is empty (0 bytes).")
    if len(data) > MAX_FILE_BYTES:
        raise BadImageError(f"{name} has {len(data)} bytes; at most {MAX_FILE_BYTES} are read.")
    return _decoded(io.BytesIO(data), name)


def image_suffix(data: bytes) -> str | None:
    """``.jpg`` or ``.png`` by the first bytes of an image file; None for anything else."""
    if data[:3] == b"\xff\xd8\xff":
        return ".jpg"
    return ".png" if data[:8] == b"\x89PNG\r\n\x1a\n" else None


def _decoded(stream: IO[bytes], name: str) -> RgbImage:
    try:
        with Image.open(stream, formats=_FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise BadImageError(f"{name} is {width}x{height}; at most {MAX_PIXELS} pixels are decoded.")
            picture.load()
            return _to_rgb(ImageOps.exif_transpose(picture))
    except BadImageError:
        raise
    except UnidentifiedImageError as error:
        raise BadImageError(f"{name} is not an image (PNG, JPEG, BMP, WebP or TIFF).") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError) as error:
        raise BadImageError(f"{name} cannot be decoded: {_one_line(error)}.") from error


def write_png(path: Path, rgb: RgbImage) -> None:
    """Write an RGB uint8 image (height, width, 3) as PNG, atomically; the same pixels give the same bytes."""
    write_bytes(path, encode_png(rgb))


def encode_png(rgb: RgbImage) -> bytes:
    """PNG bytes of an RGB (height, width, 3) or grey (height, width) uint8 image."""
    pixels = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def encode_jpeg(rgb: RgbImage, quality: int = 90) -> bytes:
    """JPEG bytes of an RGB (height, width, 3) or grey (height, width) uint8 image; ``quality`` 1 to 100."""
    pixels = rgb if rgb.ndim == 2 else cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return _encode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(suffix: str, pixels: RgbImage, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise BadImageError(f"An image of shape {pixels.shape} could not be encoded as {suffix}.")
    return bytes(data)


def _to_rgb(picture: Image.Image) -> RgbImage:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        top = 65535.0 if picture.mode != "F" and values.max(initial=0) > 255 else max(values.max(initial=1.0), 1.0)
        grey = np.clip(values / (top if top > 255 else 255.0) * 255.0, 0, 255).round().astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        ground = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(ground, layered)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _one_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
