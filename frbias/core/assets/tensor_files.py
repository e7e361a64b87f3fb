"""``.safetensors`` files from strangers: the table at their head is bounded before anything reads it.

The format allows a head of 100 MB, which is a million entries; readers take gigabytes and minutes for those.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from frbias.core.foundation.errors import BadInputError

if TYPE_CHECKING:
    import torch

MAX_HEAD = 4 * 1024 * 1024  # bytes; a network of a thousand tensors has a tenth of a megabyte


def check_head(path: Path) -> None:
    """Refuse a file whose head is longer than the file, or than any network needs.

    Raises:
        BadInputError: It is.
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        size = stream.seek(0, 2)
    if size < 8 or length > size - 8:
        raise BadInputError(f"{path} is a damaged safetensors file: its head is cut off.")
    if length > MAX_HEAD:
        raise BadInputError(f"{path} describes its tensors in {length} bytes; at most {MAX_HEAD} are read.")


def load_tensors(path: Path) -> "dict[str, torch.Tensor]":
    """The tensors of a ``.safetensors`` file, on the CPU.

    Raises:
        BadInputError: As :func:`check_head`.
        SafetensorError: It is no such file, or damaged.
        OSError: It cannot be read.
    """
    from safetensors.torch import load_file

    check_head(path)
    return load_file(path)
