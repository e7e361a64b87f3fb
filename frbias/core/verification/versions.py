"""Which version of a document's schema can be read."""

from collections.abc import Mapping
from typing import Any

from frbias.core.foundation.errors import BadInputError


def check_version(document: Mapping[str, Any], schema: str, version: int) -> None:
    """Refuse a document of another kind or version.

    Raises:
        BadInputError: The schema or its version is another one.

    Example:
        >>> check_version({"schema": "frbias.evaluation", "schema_version": 2}, "frbias.evaluation", 2)
    """
    what = schema.removeprefix("frbias.")
    if document.get("schema") != schema:
        raise BadInputError(f"This is no {what} of frbias: its schema is {document.get('schema')!r}.")
    found = document.get("schema_version")
    if found != version or isinstance(found, bool):
        advice = "update frbias" if isinstance(found, int) and found > version else "make it again"
        raise BadInputError(
            f"This {what} has schema version {found}; this frbias reads version {version}, so {advice}."
        )
