"""Campaign: pictures as large as they may be, read and searched for faces. No worker takes more than 1.5 GB.

Each is made and read in processes of its own. What a process takes is counted whole, modules and networks included.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from faults.table import Outcome
from frbias.core.data.images import MAX_SIDE, decode_image
from frbias.core.faces.detect import find_face, load_detector
from frbias.core.foundation.errors import BadImageError

_MOST = 1_500 * 1024  # KiB
_SIDE, _WEBP = 8_000, 6_300  # pixels: 64 and 40 million of them
_TURNED = 6  # on its side, as EXIF says it


def run_large(seed: int, count: int) -> Outcome:
    """Read ``count`` pictures of different kinds (0: of all)."""
    outcome = Outcome("pictures as large as they may be")
    kinds = list(_KINDS.items())
    start = seed % len(kinds)
    for name, make in [*kinds[start:], *kinds[:start]][: count or None]:
        problem, data = _apart(lambda make=make: make())[:2]
        if not problem:
            problem, said, peak = _apart(lambda data=data, name=name: _read(data, name))
            problem = problem or said.decode()
            problem = problem or (f"it took {peak // 1024} MiB" if peak > _MOST else "")
            outcome = outcome.plus(name, problem, peak)
        else:
            outcome = outcome.plus(name, f"it could not be made: {problem}")
        if outcome.lost:
            break
    return outcome


def _read(data: bytes, name: str) -> bytes:
    """What is wrong with how a picture is read; nothing when it is read, or refused with a reason."""
    try:
        find_face(load_detector("yunet"), decode_image(data, Path(name)), "largest")
    except BadImageError as error:
        return b"" if error.reason else b"refused without a reason"
    return b""


def _apart(work: Callable[[], bytes]) -> tuple[str, bytes, int]:
    """Do ``work`` in a process of its own: how it failed (empty: it did not), its result, KiB that it held at most."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            with os.fdopen(write, "wb") as stream:
                stream.write(work())
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        result = stream.read()
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return (f"it ended with {code}" if code else ""), result, usage.ru_maxrss


def _pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    tile = np.random.default_rng(0).integers(0, 256, (64, 64, channels), dtype=np.uint8)
    return np.tile(tile, (height // 64 + 1, width // 64 + 1, 1))[:height, :width]


def _saved(kind: str, height: int, width: int, channels: int = 3, **options: object) -> Callable[[], bytes]:
    def make() -> bytes:
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(_pixels(height, width, channels)).save(stream, kind, **options)
        return stream.getvalue()

    return make


def _grey() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    numbers = (np.arange(_SIDE * _SIDE) % 65536).astype(np.uint16).reshape(_SIDE, _SIDE)
    Image.fromarray(numbers).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _turned() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = _TURNED
    return _saved("JPEG", _SIDE, _SIDE, quality=50, exif=exif)()


_KINDS: dict[str, Callable[[], bytes]] = {
    "turned JPEG": _turned,
    "WebP": _saved("WEBP", _WEBP, _WEBP, quality=30, method=0),
    "PNG": _saved("PNG", _SIDE, _SIDE, compress_level=1),
    "PNG with transparency": _saved("PNG", _SIDE, _SIDE, 4, compress_level=1),
    "grey PNG of 16 bits": _grey,
    "JPEG": _saved("JPEG", _SIDE, _SIDE, quality=60),
    "progressive JPEG": _saved("JPEG", _SIDE, _SIDE, quality=60, progressive=True),
    "TIFF": _saved("TIFF", _SIDE, _SIDE, compression="tiff_lzw"),
    "wide PNG": _saved("PNG", 2_000, MAX_SIDE, compress_level=1),
    "PNG of one column": _saved("PNG", MAX_SIDE, 1),
    "PNG of one line": _saved("PNG", 1, MAX_SIDE),
}
