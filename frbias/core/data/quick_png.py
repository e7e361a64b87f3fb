"""PNG files of the usual kind, 8 bits RGB and nothing special, decoded faster than any image.

Every other file, and every damaged one, is left to the decoder that says what is wrong.
"""

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE, _CHUNK, _SUM = struct.Struct(">II"), struct.Struct(">I4s"), struct.Struct(">I")
_PLAIN = bytes((8, 2, 0, 0, 0))  # bits, RGB, deflate, the five filters, not interlaced
# what changes no pixel; transparency, orientation (also in texts) and animation are not among it
_HARMLESS = frozenset({b"IHDR", b"IDAT", b"IEND", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"tIME"})


def decode_plain_png(
    data: bytes, most_pixels: int, longest_side: int, only: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8] | None:
    """Pixels (height, width, 3), RGB, of a whole PNG of 8 bits RGB without transparency or orientation, else None.

    Args:
        data: The file.
        most_pixels, longest_side: Larger ones are left to the careful decoder.
        only: (height, width), other ones are.
    """
    if not data.startswith(_SIGNATURE) or not _is_whole(data):
        return None
    width, height = _SIZE.unpack_from(data, 16)
    if data[24:29] != _PLAIN or not 0 < width * height <= most_pixels or max(width, height) > longest_side:
        return None
    if only is not None and only != (height, width):
        return None
    pixels = _decoder()(np.frombuffer(data, np.uint8))
    return None if pixels is None or pixels.shape != (height, width, 3) else pixels


@lru_cache(maxsize=1)
def _decoder() -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8] | None]:
    """OpenCV's decoder to RGB. It refuses damaged files too, but says so on the terminal: they must not come to it."""
    import cv2  # not at the top: see frbias.core.data.images

    as_rgb = getattr(cv2, "IMREAD_COLOR_RGB", None)  # of OpenCV 4.11
    if as_rgb is not None:
        return lambda data: cv2.imdecode(data, as_rgb)

    def turned(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return None if pixels is None else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), np.uint8)

    return turned


def _is_whole(data: bytes) -> bool:
    """Whether the chunks follow each other from IHDR to IEND with right check sums, all of them harmless."""
    view, place, size, name = memoryview(data), 8, len(data), b""
    while place + 12 <= size:
        length, name = _CHUNK.unpack_from(data, place)
        end = place + 12 + length
        if end > size or (place == 8) != (name == b"IHDR") or name not in _HARMLESS:
            return False
        if zlib.crc32(view[place + 4 : end - 4]) != _SUM.unpack_from(data, end - 4)[0]:
            return False
        place = end
        if name == b"IEND":
            return True
    return False
