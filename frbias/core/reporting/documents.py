"""Finding and reading the JSON document that a report is made from."""

from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import read_json

NAMES = ("comparison.json", "evaluation.json")
SCHEMAS = ("frbias.evaluation", "frbias.comparison")


def read_document(place: Path) -> tuple[dict[str, Any], Path]:
    """The document of an evaluation folder (the comparison when it holds one) or file, and where it was found.

    Raises:
        BadInputError: There is none, it is not JSON, or not an evaluation or comparison of frbias.
    """
    place = Path(place)
    if not place.exists():
        raise BadInputError(f"{place} does not exist; give the folder that frbias evaluate or compare wrote.")
    found = [place] if place.is_file() else [place / name for name in NAMES if (place / name).is_file()]
    if not found:
        raise BadInputError(f"{place} holds no {' or '.join(NAMES)}; run frbias evaluate or compare with --out first.")
    try:
        document = read_json(found[0])
    except (OSError, ValueError) as error:
        raise BadInputError(f"{found[0]} cannot be read as JSON; make the evaluation again.") from error
    return checked(document, str(found[0])), found[0]


def checked(document: Any, name: str) -> dict[str, Any]:
    """The document itself when it is an evaluation or comparison.

    Raises:
        BadInputError: It is something else.
    """
    if not isinstance(document, dict) or document.get("schema") not in SCHEMAS:
        raise BadInputError(f"{name} is neither an evaluation nor a comparison of frbias.")
    return document
