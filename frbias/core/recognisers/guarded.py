"""Which photographs were looked at while a recogniser was learned, from the folder that frbias left."""

from pathlib import Path

from frbias.core.foundation.provenance import read_provenance

_LEARNED_BY = ("finetune", "adapt")


def guarded_of(folder: Path) -> tuple[str, ...]:
    """What became of the guards, a sentence each, or that there was none; empty when the folder does not say.

    Args:
        folder: A run of ``frbias finetune``, or what ``frbias adapt`` left.

    Raises:
        BadInputError: Its provenance is no such record.
    """
    record = read_provenance(folder) or {}
    if record.get("stage") not in _LEARNED_BY:
        return ()
    results = record.get("results") or {}
    told = (results.get("final") or results).get("guarded")
    return tuple(str(sentence) for sentence in told) if isinstance(told, list) else ()
