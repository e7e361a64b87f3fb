"""PNG files of the usual kind, 8 bits RGB and nothing special, decoded faster than any image.

Every other file, and every damaged one, is left to the decoder that says what is wrong.
"""

import struct
import zlib

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_PLAIN = (8, 2, 0, 0, 0)  # bits, RGB, deflate, the five filters, not interlaced
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
    if data[:8] != _SIGNATURE or not _is_whole(data):
        return None
    width, height, *kind = _HEADER.unpack_from(data, 16)
    if tuple(kind) != _PLAIN or not 0 < width * height <= most_pixels or max(width, height) > longest_side:
        return None
    if only is not None and only != (height, width):
        return None
    import cv2  # not at the top: see frbias.core.data.images

    as_rgb = getattr(cv2, "IMREAD_COLOR_RGB", None)  # of OpenCV 4.11
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR if as_rgb is None else as_rgb)
    if pixels is None or pixels.shape != (height, width, 3):
        return None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels) if as_rgb is None else pixels, np.uint8)


def _is_whole(data: bytes) -> bool:
    """Whether the chunks follow each other from IHDR to IEND with right check sums, all of them harmless."""
    view, place, name = memoryview(data), 8, b""
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        name = data[place + 4 : place + 8]
        if end > len(data) or (place == 8) != (name == b"IHDR") or name not in _HARMLESS:
            return False
        if zlib.crc32(view[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return False
        place = end
        if name == b"IEND":
            return True
    return False
