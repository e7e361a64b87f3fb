"""Finding and reading the JSON document that a report is made from."""

from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import read_json
from frbias.core.verification.paired import SCHEMA as COMPARISON_SCHEMA
from frbias.core.verification.paired import Comparison
from frbias.core.verification.results import SCHEMA as EVALUATION_SCHEMA
from frbias.core.verification.results import Evaluation

NAMES = ("comparison.json", "evaluation.json")


def read_document(place: Path) -> tuple[dict[str, Any], Path]:
    """The document of an evaluation folder (the comparison when it holds one) or file, and where it was found.

    Raises:
        BadInputError: There is none, it is not JSON, not an evaluation or comparison of frbias, of another schema
            version, or a member is wrong (its path is named).
    """
    place = Path(place)
    if not place.exists():
        raise BadInputError(f"{place} does not exist; give the folder that frbias evaluate or compare wrote.")
    found = [place] if place.is_file() else [place / name for name in NAMES if (place / name).is_file()]
    if not found:
        raise BadInputError(f"{place} holds no {' or '.join(NAMES)}; run frbias evaluate or compare with --out first.")
    try:
        document = read_json(found[0])
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{found[0]} cannot be read as JSON; make the evaluation again.") from error
    return checked(document, str(found[0])), found[0]


def checked(document: Any, name: str) -> dict[str, Any]:
    """An evaluation or comparison as frbias writes it, from members that were all checked.

    Raises:
        BadInputError: It is something else, of another schema version, or a member is wrong.
    """
    return typed(document, name).to_json()


def typed(document: Any, name: str = "the document") -> Evaluation | Comparison:
    """The evaluation or comparison that a JSON document holds.

    Raises:
        BadInputError: As :func:`checked`.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in (EVALUATION_SCHEMA, COMPARISON_SCHEMA):
        raise BadInputError(f"{name} is neither an evaluation nor a comparison of frbias.")
    try:
        return (Evaluation if schema == EVALUATION_SCHEMA else Comparison).from_json(document)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error.message}") from error


def typed_evaluation(place: Path) -> Evaluation:
    """The evaluation in a folder or file; of a comparison, that of its baseline.

    Raises:
        BadInputError: As :func:`read_document`.
    """
    document, found = read_document(Path(place))
    read = typed(document, str(found))
    return read if isinstance(read, Evaluation) else read.baseline


def read_evaluation(place: Path | str) -> Evaluation | Comparison:
    """The evaluation (or comparison) in a folder that ``frbias evaluate`` or ``compare`` wrote, or in its JSON file.

    Raises:
        BadInputError: As :func:`read_document`.

    Example:
        >>> from frbias.core.foundation.files import write_json
        >>> from frbias.core.verification.evaluation import evaluate_embeddings
        >>> rng, who = np.random.default_rng(0), np.repeat(np.arange(40), 6)
        >>> vectors = (rng.normal(size=(40, 16))[who] + rng.normal(size=(240, 16))).astype(np.float32)
        >>> ages = np.tile([5, 8, 15, 18, 30, 50], 40)
        >>> found = evaluate_embeddings(vectors, who, ages, groups="0-19,20+", targets=[0.1], bootstrap=0)
        >>> write_json(Path("evaluation.json"), found.to_json())
        >>> [group.name for group in read_evaluation("evaluation.json").at(0.1).groups]
        ['0-19', '20+']
    """
    document, found = read_document(Path(place).expanduser())
    return typed(document, str(found))
