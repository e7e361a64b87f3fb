"""What the user has added, by name: ``models.json`` and ``datasets.json`` in the data root, changed atomically."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from frbias.core.assets.paths import data_home
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import read_json, write_json
from frbias.core.foundation.folders import TEMPORARY_PREFIX, make_private

Book = Literal["models", "datasets"]
SCHEMA = 1


def read_book(book: Book) -> dict[str, dict[str, Any]]:
    """Every record of a book by name.

    Raises:
        BadInputError: The file exists but cannot be read; it is left as it is.
    """
    path = _path(book)
    if not path.exists():
        return {}
    try:
        content = read_json(path)
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}")
        return {str(name): dict(record) for name, record in content[book].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(
            f"{path} cannot be read ({error}); repair or delete it, then add your {book} again."
        ) from error


def put_record(book: Book, name: str, record: dict[str, Any]) -> None:
    """Add or replace a record; safe against other frbias processes doing the same."""
    with _locked():
        write_json(_path(book), {"schema": SCHEMA, book: {**read_book(book), name: record}})


def drop_record(book: Book, name: str) -> bool:
    """Forget a name; True when it was there."""
    with _locked():
        found = read_book(book)
        gone = found.pop(name, None)
        if gone is not None:
            write_json(_path(book), {"schema": SCHEMA, book: found})
    return gone is not None


def stored_path(path: Path) -> str:
    """How a record keeps a path: relative to the data root when inside of it, so that the root can be moved."""
    home, path = data_home().resolve(), path.resolve()
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def restored_path(text: str) -> Path:
    """The path that :func:`stored_path` kept."""
    return data_home() / text  # an absolute text stays as it is


def _path(book: Book) -> Path:
    return data_home() / f"{book}.json"


@contextmanager
def _locked() -> Iterator[None]:
    make_private(data_home())
    with FileLock(data_home() / ".datasets.lock"), FileLock(data_home() / ".models.lock"):  # both: in this order
        for leftover in data_home().glob(f"{TEMPORARY_PREFIX}*.json"):
            leftover.unlink(missing_ok=True)
        yield
