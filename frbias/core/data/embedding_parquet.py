"""Embeddings in Parquet: the file that ``frbias embed`` writes, and anybody's with the same columns."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from frbias.core.data.embedding_rows import NEEDED, checked_matrix, checked_rows, normal_name, vector_columns
from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.foundation.files import atomic_path
from frbias.core.foundation.packed_size import check_parquet

SCHEMA_VERSION = 1
_ROWS = 4096
_KEY = b"frbias"
_TEXT = ("name", "weights_sha256", "flip")
_TABLES = ("backbone", "inputs", "versions", "failure_to_acquire")


def write_parquet(path: Path, frame: pd.DataFrame, matrix: npt.NDArray[np.float32], provenance: dict[str, Any]) -> None:
    """Write a table with its vectors, atomically; the metadata key ``frbias`` holds schema version and provenance."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    note = {"schema_version": SCHEMA_VERSION, **provenance}
    metadata = {_KEY: json.dumps(note, sort_keys=True, allow_nan=False).encode()}
    table = table.append_column("embedding", vectors).replace_schema_metadata(metadata)
    with atomic_path(Path(path)) as temporary:
        rest = [name for name in table.column_names if name != "embedding"]  # vectors do not get smaller
        pq.write_table(table, temporary, compression=dict.fromkeys(rest, "zstd"), use_dictionary=rest)


def read_parquet(path: Path) -> tuple[pd.DataFrame, npt.NDArray[np.float32], dict[str, Any]]:
    """Rows, vectors (n, D) and provenance (empty where somebody else wrote the file).

    Raises:
        BadInputError: It is no Parquet, lacks a column, or its metadata are not those of ``frbias embed``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as parquet:
            check_parquet(parquet, path)
            schema = parquet.schema_arrow
            names = {normal_name(name): name for name in reversed(schema.names)}
            provenance = _provenance((schema.metadata or {}).get(_KEY), path)
            if "embedding" in names:
                matrix = _lists(parquet, names["embedding"], path)
                vectors = [names["embedding"]]
            else:
                vectors = [names[name] for name in vector_columns(list(names), path)]
                matrix = parquet.read(vectors).replace_schema_metadata(None).to_pandas().to_numpy()
            frame = (
                parquet.read([c for c in schema.names if c not in vectors]).replace_schema_metadata(None).to_pandas()
            )
            rows = parquet.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path} cannot be read as Parquet: {reason_of(error)}") from error
    return checked_rows(frame, path), checked_matrix(matrix, rows, path), provenance


def _provenance(note: bytes | None, path: Path) -> dict[str, Any]:
    """What ``frbias embed`` noted, checked; without the schema version."""
    if note is None:
        return {}
    try:
        value = json.loads(note, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadInputError(
            f"{path}: its metadata 'frbias' are no JSON that frbias wrote ({_first(error)})."
        ) from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path}: its metadata 'frbias' are no JSON object.")
    version = value.pop("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BadInputError(f"{path} has schema version {str(version)[:20]}; this frbias reads {SCHEMA_VERSION}.")
    wrong = [key for key in _TEXT if not isinstance(value.get(key, ""), str)]
    wrong += [key for key in _TABLES if not isinstance(value.get(key, {}), dict)]
    if not isinstance(value.get("synthetic"), str | None):
        wrong.append("synthetic")
    if wrong or not _counts(value.get("failure_to_acquire")):
        raise BadInputError(f"{path}: its metadata 'frbias' have no usable {(wrong or ['failure_to_acquire'])[0]!r}.")
    return value


def _counts(failures: Any) -> bool:
    """Whether failures to acquire are two counts, the first no larger than the second, and ``by`` divides the first."""
    if failures is None:
        return True
    pair = [failures.get(key) for key in ("failures", "attempts")]
    if not (_is_count(pair[0]) and _is_count(pair[1]) and pair[0] <= pair[1]):
        return False
    by = failures.get("by", [])
    return isinstance(by, list) and all(map(_is_share, by)) and sum(one["failures"] for one in by) <= pair[0]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _is_share(value: Any) -> bool:
    """Whether it is the failures of an age and sex: years from 0 to 150 or null, text, a count."""
    if not isinstance(value, dict) or not _is_count(value.get("failures")) or not isinstance(value.get("sex"), str):
        return False
    age = value.get("age")
    return age is None or (isinstance(age, int | float) and not isinstance(age, bool) and 0 <= age <= 150)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _first(error: Exception) -> str:
    return reason_of(error)[:100]


def _lists(parquet: Any, column_name: str, file: Path) -> npt.NDArray[np.float32]:
    """The column of vectors (lists of any kind), a few thousand rows at a time: it is most of the file."""
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    refused = BadInputError(f"{file}: the column 'embedding' does not hold vectors of one length; {NEEDED}.")
    kind = parquet.schema_arrow.field(column_name).type
    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        raise refused
    if not (kinds.is_floating(kind.value_type) or kinds.is_integer(kind.value_type)):
        raise refused
    matrix: npt.NDArray[np.float32] | None = None
    done = 0
    for batch in parquet.iter_batches(_ROWS, columns=[column_name], use_threads=False):
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
        with np.errstate(over="ignore"):
            matrix[done : done + len(column)] = values.to_numpy(zero_copy_only=False).reshape(len(column), length)
        done += len(column)
    return np.zeros((0, 0), np.float32) if matrix is None else matrix
