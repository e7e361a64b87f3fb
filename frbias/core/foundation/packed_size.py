"""Tables that are packed: what they claim to unpack to is compared with their size before any of it is read."""

from pathlib import Path
from typing import TYPE_CHECKING

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.words import size_text

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MOST_TIMES = 200  # honest tables are packed to a tenth, text to a fiftieth
ALWAYS_BYTES = 256 * 1024**2  # so much is read whatever the size of the file
ALWAYS_VALUES = 2**27
_VALUES_A_BYTE = 64


def check_unpacked(path: Path, claimed: int) -> None:
    """Refuse a file that claims to unpack to ``claimed`` bytes when that is absurd for its size.

    Raises:
        BadInputError: It is.
        OSError: There is no such file.
    """
    size = path.stat().st_size
    if claimed > max(ALWAYS_BYTES, MOST_TIMES * size):
        raise BadInputError(f"{path} is refused: its {size_text(size)} would unpack to {size_text(claimed)}.")


def check_parquet(parquet: "pq.ParquetFile", path: Path) -> None:
    """Refuse a Parquet file that claims more bytes, or more values, than are credible for its size.

    Raises:
        BadInputError: It does.
        OSError: There is no such file.
    """
    told = parquet.metadata
    groups = [told.row_group(number) for number in range(told.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    check_unpacked(path, sum(column.total_uncompressed_size for column in columns))
    values, size = max(told.num_rows, sum(column.num_values for column in columns)), path.stat().st_size
    if values > max(ALWAYS_VALUES, _VALUES_A_BYTE * size):
        raise BadInputError(f"{path} is refused: it claims {values:,} values in {size_text(size)}.")
