"""insightface's verification sets (``lfw.bin``, ``cfp_fp.bin``, ``agedb_30.bin``, ``calfw.bin``, ``cplfw.bin``, RFW's).

Such a file is a pickle of ``(images, issame)``: the encoded bytes of 2 n pictures, two after another making a pair, and n
truth values. It is read by frbias' own interpreter, which can build data and nothing else: what asks for any function is
refused by name and nothing of it is run. Files of Python 2 and 3 are read, with bytes, byte strings or uint8 arrays.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.assets.pickle_machine import run_pickle
from frbias.core.assets.pickle_records import Buffer, NamedGlobal, UnsafePickleError
from frbias.core.assets.pickles import PersistencePolicy
from frbias.core.data.images import MAX_FILE_BYTES, RgbImage, decode_image
from frbias.core.data.pairs import MAX_PAIRS, NamedPair, PairList, make_pair_list
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import counted

_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED = frozenset(
    {("numpy", "dtype"), ("numpy", "ndarray"), ("_codecs", "encode"), ("builtins", "bytes"), ("__builtin__", "bytes")}
    | {(module, name) for module in _NUMPY for name in ("scalar", "_reconstruct")}
)


class _PlainPolicy(PersistencePolicy):
    """Numbers and arrays of numbers; every other name is refused."""

    def find(self, name: NamedGlobal) -> NamedGlobal:
        if (name.module, name.name) not in _ALLOWED:
            raise UnsafePickleError(
                f"The pickle asks for {name}; a verification set does not need that.", name=str(name)
            )
        return super().find(name)


@dataclass(frozen=True)
class BinSet:
    """A verification set.

    Attributes:
        path: The file.
        encoded: Bytes of the pictures as they lie in the (mapped) file, two a pair.
        mated: True for pairs of one person, shape (n,).
    """

    path: Path
    encoded: tuple[Buffer, ...]
    mated: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.mated)

    def data(self, number: int) -> bytes:
        """Encoded bytes of one picture.

        Raises:
            BadInputError: It has more than ``MAX_FILE_BYTES``.
        """
        picture = self.encoded[number]
        if len(picture) > MAX_FILE_BYTES:
            raise BadInputError(
                f"{self.path}: picture {number} has {len(picture)} bytes; at most {MAX_FILE_BYTES} are read."
            )
        return bytes(picture)

    def image(self, number: int) -> RgbImage:
        """One picture, decoded within the bounds of :func:`frbias.core.data.images.read_image`.

        Raises:
            BadInputError: It cannot be decoded.
        """
        return decode_image(self.data(number), self.path / picture_name(number))

    def pairs(self, *, prefix: str = "") -> PairList:
        """The pairs, with names :func:`picture_name` gives the pictures; folds are consecutive, as the field cuts them."""
        listed = [
            NamedPair(prefix + picture_name(2 * k), prefix + picture_name(2 * k + 1), bool(same))
            for k, same in enumerate(self.mated)
        ]
        return make_pair_list(self.path, "bin", listed)


def picture_name(number: int) -> str:
    """File name of a picture of a verification set: pair and side.

    Example:
        >>> picture_name(7)
        'pair_000003_1.png'
    """
    return f"pair_{number // 2:06d}_{number % 2}.png"


def read_bin(path: Path) -> BinSet:
    """Read a verification set; pictures stay in the mapped file until they are asked for.

    Raises:
        UnsafePickleError: The pickle asks for something else than data (named).
        BadInputError: It cannot be read or is no verification set.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            data = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} cannot be read: {error}.") from error
    try:
        value, _ = run_pickle(data, _PlainPolicy(), old_strings=True)
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path}: {error.message}", name=error.name, hint=error.hint) from None
    if type(value) not in (tuple, list) or len(value) != 2:
        raise BadInputError(f"{path} is no verification set: a pair of pictures and truth values is expected.")
    pictures, same = value
    return _checked(path, pictures, same)


def _checked(path: Path, pictures: Any, same: Any) -> BinSet:
    if isinstance(same, np.ndarray):
        same = same.tolist()
    if isinstance(pictures, np.ndarray) and pictures.ndim == 1 and pictures.dtype != np.uint8:
        pictures = None
    if type(pictures) not in (list, tuple) or type(same) not in (list, tuple):
        raise BadInputError(f"{path} is no verification set: it holds no lists of pictures and truth values.")
    if len(same) > MAX_PAIRS:
        raise BadInputError(f"{path} holds more than {MAX_PAIRS} pairs.")
    if len(pictures) != 2 * len(same):
        raise BadInputError(
            f"{path} holds {counted(len(pictures), 'picture')} for {counted(len(same), 'pair')}; every pair needs two."
        )
    encoded = tuple(_bytes_of(path, number, picture) for number, picture in enumerate(pictures))
    truth = [_truth(path, number, value) for number, value in enumerate(same)]
    return BinSet(path, encoded, np.array(truth, dtype=np.bool_))


def _bytes_of(path: Path, number: int, picture: Any) -> Buffer:
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 1:
        return picture.tobytes()
    if not isinstance(picture, bytes | memoryview):
        raise BadInputError(f"{path}: picture {number} is a {type(picture).__name__}, not the bytes of an image file.")
    return picture


def _truth(path: Path, number: int, value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise BadInputError(f"{path}: the truth value of pair {number} is {str(value)[:40]!r}, not True or False.")
