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

The schema metadata key ``frbias`` holds JSON provenance: recogniser, hash of its weights, preprocessing, hash of
the image set, failures to acquire, versions.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import atomic_path

FILE_NAME = "embeddings.parquet"
COLUMNS = ("file_name", "subject", "age", "sex")
_ROWS = 4096
_KEY = b"frbias"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of the faces of an image set.

    Attributes:
        frame: ``file_name``, ``subject``, ``age``, ``sex`` and further columns, one row per face.
        matrix: float32 (n, d), not normalised, rows as in ``frame``.
        provenance: How they were made; see the module.
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    matrix = np.ascontiguousarray(embeddings.matrix, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) != len(embeddings.frame):
        raise BadInputError(f"{len(embeddings.frame)} rows cannot have an embedding matrix of shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise BadInputError(f"The embedding of {embeddings.frame['file_name'].iloc[row]} is not finite.")
    table = pa.Table.from_pandas(embeddings.frame.reset_index(drop=True), preserve_index=False)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    note = json.dumps(embeddings.provenance, sort_keys=True, allow_nan=False).encode()
    table = table.append_column("embedding", vectors).replace_schema_metadata({_KEY: note})
    with atomic_path(Path(path)) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_embeddings(path: Path) -> Embeddings:
    """Read a file written by :func:`write_embeddings`, or the one in a folder of ``frbias embed``.

    Raises:
        BadInputError: There is no such file, or it does not follow the schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise BadInputError(f"{file} does not exist; give a file or folder written by 'frbias embed'.")
    try:
        with pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            missing = [c for c in ("file_name", "subject", "age", "embedding") if c not in schema.names]
            if missing:
                raise BadInputError(f"{file} lacks the column {missing[0]!r}; is it a file of 'frbias embed'?")
            frame = parquet.read([c for c in schema.names if c != "embedding"]).to_pandas()
            matrix = _matrix(parquet, file)
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{file} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    return Embeddings(frame, matrix, json.loads((schema.metadata or {}).get(_KEY, b"{}")))


def _matrix(parquet: Any, file: Path) -> npt.NDArray[np.float32]:
    """The column ``embedding`` (lists of any kind), a few thousand rows at a time: it is most of the file."""
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    refused = BadInputError(f"{file}: the column 'embedding' does not hold vectors of one length.")
    kind = parquet.schema_arrow.field("embedding").type
    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        raise refused
    if not (kinds.is_floating(kind.value_type) or kinds.is_integer(kind.value_type)):
        raise refused
    matrix: npt.NDArray[np.float32] | None = None
    done = 0
    for batch in parquet.iter_batches(_ROWS, columns=["embedding"], use_threads=False):
        column = batch.column(0)
        if not len(column):
            continue
        lengths = pc.list_value_length(column)
        length = lengths[0].as_py()
        values = column.flatten()
        if column.null_count or values.null_count or not pc.all(pc.equal(lengths, length)).as_py():
            raise refused
        if matrix is None:
            matrix = np.empty((parquet.metadata.num_rows, length), np.float32)
        if matrix.shape[1] != length:
            raise refused
        matrix[done : done + len(column)] = values.to_numpy(zero_copy_only=False).reshape(len(column), length)
        done += len(column)
    return np.zeros((0, 0), np.float32) if matrix is None else matrix
