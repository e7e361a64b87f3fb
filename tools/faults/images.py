"""Campaign: damaged pictures. Each gives pixels or a rejection, and no more memory than a picture may take."""

import io
import random
import resource
from itertools import chain, cycle
from pathlib import Path

import numpy as np

from faults.corpus import keep, kept
from faults.table import Outcome
from frbias.core.data.images import MAX_PIXELS, decode_image
from frbias.core.foundation.errors import BadImageError

MAX_GROWTH = 1_500 * 1024  # KiB that reading all of them may add to the process
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "ICO")


def run_images(seed: int, count: int) -> Outcome:
    """Decode those that are kept, then ``count`` newly mutated pictures."""
    chance, models = random.Random(seed), _models(seed)
    outcome = Outcome("mutated images")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = [(f"kept {name}", data, name) for name, data in kept("images")]
    new = (
        (f"{name} {k}", mutate(data, chance), name)
        for k, (name, data) in zip(range(count), cycle(models), strict=False)
    )
    for what, data, name in chain(old, new):
        loss = _loss(data, Path(name))
        outcome = outcome.plus(what, loss)
        if loss:
            keep("images", data)
            return outcome
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return outcome.plus("memory of all", f"{grown} KiB more" if grown > MAX_GROWTH else "", grown)


def _loss(data: bytes, name: Path) -> str:
    try:
        found = decode_image(data, name)
    except BadImageError as error:
        return "" if error.reason else "rejected without a reason"
    except BaseException as error:
        return f"{type(error).__name__} came through: {error}"
    if (
        found.dtype != np.uint8
        or found.ndim != 3
        or found.shape[2] != 3
        or found.shape[0] * found.shape[1] > MAX_PIXELS
    ):
        return f"pixels of shape {found.shape}, type {found.dtype}"
    return ""


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a piece cut out, doubled or overwritten, or the end cut off."""
    body = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(body))
        kind = chance.randrange(5)
        if kind == 0:
            body[place] = chance.randrange(256)
        elif kind == 1:
            body[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            body[place : place + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
        elif kind == 3 and len(body) > 64:
            del body[place : place + chance.randrange(1, 32)]
        elif len(body) > 64:
            del body[max(place, 16) :]
    return bytes(body)


def _models(seed: int) -> list[tuple[str, bytes]]:
    """Small pictures of every format and mode, with EXIF where there is a place for it."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    models = []
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a face"
    for format_name in _FORMATS:
        for mode in ("RGB", "L", "RGBA", "P"):
            picture = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)).convert(mode)
            stream = io.BytesIO()
            options = {"exif": exif} if format_name in ("PNG", "JPEG", "WEBP", "TIFF") else {}
            try:
                picture.save(stream, format_name, **options)
            except (OSError, ValueError):
                continue  # a format that has no such mode
            models.append((f"{mode}.{format_name.lower()}", stream.getvalue()))
    return models
