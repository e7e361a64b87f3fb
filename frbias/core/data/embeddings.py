"""Embeddings and their file: one Parquet table, one row per face.

===========  =========================================================================================
column       meaning
===========  =========================================================================================
file_name    path of the aligned image relative to its image set
subject      identity label
age          years, NaN when unknown
sex          ``m``, ``f`` or empty
...          further columns of the image set (``generator``, ``ethnicity``, ``yaw``, ...), as they were
embedding    fixed-size list of float32, not normalised
===========  =========================================================================================

The schema metadata key ``frbias`` holds JSON: the schema version and provenance (recogniser, hash of its weights,
preprocessing, hash of the image set, failures to acquire, versions). Files of other tools are read too: Parquet with
these columns, ``.npz``, ``.npy`` with a CSV beside it, and CSV; see :mod:`frbias.core.data.embedding_rows`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.data.embedding_arrays import read_csv, read_npy, read_npz, rows_beside
from frbias.core.data.embedding_parquet import read_parquet, write_parquet
from frbias.core.data.embedding_rows import COLUMNS, NEEDED
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file, sha256_json

FILE_NAME = "embeddings.parquet"
FORMATS = "Parquet, .npz, .npy with a CSV beside it, or CSV"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of the faces of an image set.

    Attributes:
        frame: ``file_name``, ``subject``, ``age``, ``sex`` and further columns, one row per face.
        matrix: float32 (n, d), not normalised, rows as in ``frame``.
        provenance: How they were made, see the module; empty for the files of other tools.
    """

    frame: pd.DataFrame
    matrix: npt.NDArray[np.float32]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def subjects(self) -> list[str]:
        """Identity label of every row."""
        return [str(s) for s in self.frame["subject"]]

    @property
    def ages(self) -> npt.NDArray[np.float64]:
        """Years of every row, NaN where unknown."""
        return self.frame["age"].to_numpy(dtype=np.float64)


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write ``embeddings`` as Parquet, atomically; equal embeddings give equal bytes.

    Raises:
        BadInputError: Frame and matrix differ in length, or a value is not finite.
    """
    matrix = np.ascontiguousarray(embeddings.matrix, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) != len(embeddings.frame):
        raise BadInputError(f"{len(embeddings.frame)} rows cannot have an embedding matrix of shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise BadInputError(f"The embedding of {embeddings.frame['file_name'].iloc[row]} is not finite.")
    write_parquet(Path(path), embeddings.frame, matrix, embeddings.provenance)


def read_embeddings(path: Path) -> Embeddings:
    """Read a file of embeddings, or the one in a folder of ``frbias embed``; its content says which kind it is.

    Raises:
        BadInputError: There is no such file, it is of no known kind, or it lacks a column; says which are needed.

    Example:
        >>> frame = pd.DataFrame({"file_name": ["a.png"], "subject": ["eve"], "age": [7.0], "sex": ["f"]})
        >>> write_embeddings(Path("e.parquet"), Embeddings(frame, np.ones((1, 4), np.float32), {}))
        >>> read_embeddings(Path("e.parquet")).matrix.shape
        (1, 4)
    """
    file = embeddings_file(path)
    kind = _kind(file)
    if kind == "parquet":
        return Embeddings(*read_parquet(file))
    read = {"npz": read_npz, "npy": read_npy, "csv": read_csv}[kind]
    return Embeddings(*read(file), {})


def embeddings_file(path: Path) -> Path:
    """The file that a path means: itself, or the one in a folder of ``frbias embed``.

    Raises:
        BadInputError: There is none.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise BadInputError(f"{file} does not exist; give a folder of 'frbias embed', or a file: {FORMATS}.")
    return file


def hash_of_embeddings(path: Path) -> str:
    """SHA-256 of everything :func:`read_embeddings` would read: of the file, or of a ``.npy`` and its CSV together.

    Raises:
        BadInputError: There is no such file.
    """
    file = embeddings_file(path)
    beside = rows_beside(file)
    if _kind(file) == "npy" and beside.is_file():
        return sha256_json([sha256_file(file), sha256_file(beside)])
    return sha256_file(file)


def _kind(file: Path) -> str:
    with file.open("rb") as stream:
        head = stream.read(6)
    for magic, kind in ((b"PAR1", "parquet"), (b"PK", "npz"), (b"\x93NUMPY", "npy")):
        if head.startswith(magic):
            return kind
    suffix = file.suffix.lower()
    if suffix in (".csv", ".txt"):
        return "csv"
    if suffix in (".parquet", ".pq"):
        return "parquet"
    raise BadInputError(f"{file} is no file of embeddings that frbias reads ({FORMATS}); {NEEDED}.")


__all__ = [
    "COLUMNS", "FILE_NAME", "Embeddings", "embeddings_file", "hash_of_embeddings", "read_embeddings", "write_embeddings",
]  # fmt: skip
