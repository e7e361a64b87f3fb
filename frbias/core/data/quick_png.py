"""PNG files of the usual kind, 8 bits RGB and nothing special, decoded faster than any image.

Every other file, and every damaged one, is left to the decoder that says what is wrong. Faces of one known size, of which
there are thousands to embed, are unpacked by ISA-L. What is left is to undo the filters of their lines. OpenCV does that for
the first thousands (given the unpacked lines as PNG that is not packed), a compiled loop for the others: it is faster, but
loading it takes as long as it saves on so many.
"""

import itertools
import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE, _CHUNK, _SUM = struct.Struct(">II"), struct.Struct(">I4s"), struct.Struct(">I")
_BLOCK = struct.Struct("<BHH")  # of deflate without compression: whether it is the last, length, the same inverted
_LONGEST = 0xFFFF  # bytes in such a block
_WORTH = 10_000  # pictures of which each takes 0.06 ms less with the compiled loop, which takes 0.6 s to load
_seen = itertools.count()
_HEADER, _END = 33, b"\0\0\0\0IEND\xaeB`\x82"  # bytes up to the end of IHDR; the last chunk
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
    if not data.startswith(_SIGNATURE) or (packed := _packed(data)) is None:
        return None
    width, height = _SIZE.unpack_from(data, 16)
    if data[24:29] != _PLAIN or not 0 < width * height <= most_pixels or max(width, height) > longest_side:
        return None
    if only is not None and only != (height, width):
        return None
    if only is not None:
        return _unpacked(data, packed, height, width)
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


def _packed(data: bytes) -> bytes | None:
    """What is in the IDAT chunks, if all chunks follow each other from IHDR to IEND, are harmless and have right sums."""
    view, place, size, found = memoryview(data), 8, len(data), []
    while place + 12 <= size:
        length, name = _CHUNK.unpack_from(data, place)
        end = place + 12 + length
        if end > size or (place == 8) != (name == b"IHDR") or name not in _HARMLESS:
            return None
        if isal_zlib.crc32(view[place + 4 : end - 4]) != _SUM.unpack_from(data, end - 4)[0]:
            return None
        if name == b"IDAT":
            found.append(view[place + 8 : end - 4])
        place = end
        if name == b"IEND":
            return b"".join(found)
    return None


def _unpacked(data: bytes, packed: bytes, height: int, width: int) -> npt.NDArray[np.uint8] | None:
    """Pixels (height, width, 3) of the data of an image; None where it is damaged. No more is unpacked than there may be."""
    due = height * (1 + 3 * width)
    inflating = isal_zlib.decompressobj()
    try:
        rows = inflating.decompress(packed, due + 1)
    except isal_zlib.error:  # type: ignore[misc]  # its stub calls the class an instance
        return None
    if len(rows) != due or not inflating.eof:
        return None
    if next(_seen) < _WORTH:
        return _by_opencv(data, rows, height, width)
    pixels = np.empty((height, width, 3), np.uint8)
    return pixels if _kernel()(np.frombuffer(rows, np.uint8), pixels.reshape(height, 3 * width)) else None


def _by_opencv(data: bytes, rows: bytes, height: int, width: int) -> npt.NDArray[np.uint8] | None:
    """Pixels of unpacked lines: OpenCV is given a PNG with the header of ``data`` and these, not packed."""
    if np.frombuffer(rows, np.uint8)[:: 1 + 3 * width].max() > 4:  # no filter: it would say so on the terminal
        return None
    parts = [b"IDAT\x78\x01"]
    for start in range(0, len(rows), _LONGEST):
        part = rows[start : start + _LONGEST]
        parts += [_BLOCK.pack(start + _LONGEST >= len(rows), len(part), len(part) ^ 0xFFFF), part]
    chunk = b"".join([*parts, _SUM.pack(isal_zlib.adler32(rows))])
    sums = _SUM.pack(len(chunk) - 4), _SUM.pack(isal_zlib.crc32(chunk))
    whole = b"".join([data[:_HEADER], sums[0], chunk, sums[1], _END])
    pixels = _decoder()(np.frombuffer(whole, np.uint8))
    return None if pixels is None or pixels.shape != (height, width, 3) else pixels


@lru_cache(maxsize=1)
def _kernel() -> Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], bool]:
    from frbias.core.data.png_filters import undo_filters

    return undo_filters
