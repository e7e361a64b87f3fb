"""Embeddings in numpy files (``.npz``; ``.npy`` with a CSV beside it) and in CSV; nothing is ever unpickled."""

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.assets.archives import DAMAGED, check_table
from frbias.core.data.embedding_rows import NEEDED, checked_matrix, checked_rows, normal_name, vector_columns
from frbias.core.foundation.delimited import check_delimited
from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.packed_size import check_unpacked

_MOST_ARRAYS = 1000
_Table = tuple[pd.DataFrame, npt.NDArray[np.float32]]


def read_npz(path: Path) -> _Table:
    """Arrays ``subject`` and ``embedding``, optionally ``age``, ``sex``, ``file_name`` and other columns of one length.

    Raises:
        BadInputError: It is no such archive, or an array has another shape or holds Python objects.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        check_table(path)
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MOST_ARRAYS:
                raise BadInputError(f"{path} has more than {_MOST_ARRAYS} arrays, so it holds no embeddings.")
            check_unpacked(path, sum(member.file_size for member in archive.infolist()))
            for member in archive.infolist():
                name = normal_name(member.filename.removesuffix(".npy"))
                with archive.open(member) as stream:
                    arrays[name] = _array(stream, member.file_size, path, f"the array {name!r}")
    except (*DAMAGED, OSError, NotImplementedError, RuntimeError) as error:
        raise BadInputError(f"{path} cannot be read as .npz: {reason_of(error)}.") from error
    for name in ("subject", "embedding"):
        if name not in arrays:
            raise BadInputError(f"{path} lacks the array {name!r} (it has {', '.join(arrays) or 'none'}); {NEEDED}.")
    matrix = arrays.pop("embedding")
    rows = len(matrix) if matrix.ndim else 0
    for name, values in arrays.items():
        if values.shape != (rows,):
            raise BadInputError(
                f"{path}: the array {name!r} has shape {values.shape}, but there are {rows} embeddings."
            )
    return checked_rows(pd.DataFrame({n: list(v) for n, v in arrays.items()}), path), checked_matrix(matrix, rows, path)


def read_npy(path: Path) -> _Table:
    """A matrix (n, D), and its rows from the CSV of the same name beside it (``x.npy``, ``x.csv``).

    Raises:
        BadInputError: There is no such CSV, or the two do not fit.
    """
    beside = rows_beside(path)
    if not beside.is_file():
        raise BadInputError(f"{path} holds vectors alone; put {beside.name} beside it, one row a vector: {NEEDED}.")
    with path.open("rb") as stream:
        matrix = _array(stream, path.stat().st_size, path, "it")
    frame = _csv(beside, {})
    return checked_rows(frame, beside), checked_matrix(matrix, len(frame), path)


def rows_beside(path: Path) -> Path:
    """The CSV that belongs to a ``.npy``."""
    return path.with_suffix(".csv")


def read_csv(path: Path) -> _Table:
    """A table with ``subject``, ``e0`` .. ``eD`` and optionally the other columns.

    Raises:
        BadInputError: It cannot be read, lacks a column, or holds something else than numbers in ``e0`` .. ``eD``.
    """
    header = [normal_name(name) for name in _csv(path, {}, rows=0).columns]
    vectors = vector_columns(header, path)
    frame = _csv(path, dict.fromkeys(vectors, np.float32))
    return checked_rows(frame.drop(columns=vectors), path), checked_matrix(frame[vectors].to_numpy(), len(frame), path)


def _csv(path: Path, numbers: dict[str, type], rows: int | None = None) -> pd.DataFrame:
    """The table as text, but for the columns in ``numbers``; names of columns as they are compared."""
    if rows is None:
        check_delimited(path)
    try:
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        names = [normal_name(name) for name in first.iloc[0]]
        kinds: dict[Any, Any] = {name: numbers.get(name, str) for name in names}
        return pd.read_csv(
            path,
            header=0,
            names=names,
            dtype=kinds,
            nrows=rows,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
        )
    except (ValueError, UnicodeDecodeError, OverflowError, OSError) as error:
        reason = reason_of(error)
        raise BadInputError(f"{path} cannot be read as CSV ({reason}); {NEEDED}.") from error


def _array(stream: IO[bytes], size: int, path: Path, what: str) -> npt.NDArray[Any]:
    """One array in numpy's format, its claimed size compared with the bytes that are there before any is reserved."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except ValueError as error:
        raise BadInputError(f"{path}: {what} is no numpy array ({reason_of(error)}).") from error
    if dtype.hasobject:
        raise BadInputError(
            f"{path}: {what} holds Python objects, which would have to be unpickled; save plain numbers or text "
            "(numpy.asarray(values, dtype=str))."
        )
    count = math.prod(shape)
    if dtype.kind not in "fiuUSb" or count * dtype.itemsize > size or any(n < 0 for n in shape):
        raise BadInputError(f"{path}: {what} claims {dtype} of shape {shape}, which is not what the file holds.")
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise BadInputError(f"{path}: {what} is cut off.")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
