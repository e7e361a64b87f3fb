"""How a result was made: the provenance of its stages, ready to be read by people."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.provenance import read_provenance

TITLES = {
    "generate": "Made the faces",
    "import": "Imported the photographs",
    "align": "Found and aligned the faces",
    "finetune": "Fine-tuned the recogniser",
    "adapt": "Took out of the embeddings what tells no people apart",
    "embed": "Turned faces into embeddings",
    "evaluate": "Compared every pair and measured",
    "compare": "Compared both recognisers, paired",
}
_SHORT, _SENTENCES = 64, 600


@dataclass(frozen=True)
class Made:
    """One stage for the page.

    Attributes:
        title: What it did.
        stage: Name of the stage.
        folder: Where its result is, as given.
        facts: What it depended on, (name, value) as text.
        results: Counts it recorded.
        versions: Libraries.
        key: Hash of the work.
        complete: Whether it came to its end.
        told: The command and the name and licence of the data, as far as it tells.
    """

    title: str
    stage: str
    folder: str
    facts: tuple[tuple[str, str], ...]
    results: tuple[tuple[str, str], ...]
    versions: str
    key: str
    complete: bool
    told: dict[str, str]


def read_stages(folders: Sequence[Path], beside: Path) -> list[Made]:
    """Read the provenance of stage folders, in order.

    Args:
        folders: Folders of finished stages, or files in them.
        beside: Folder of the page; places are shown relative to it where they are below it.

    Raises:
        BadInputError: A folder has no provenance.
    """
    return [_read(Path(folder), Path(beside)) for folder in folders]


def _read(folder: Path, beside: Path) -> Made:
    place = folder if folder.is_dir() else folder.parent
    record = read_provenance(place)
    if record is None:
        raise BadInputError(f"{place} has no provenance.json, so it is not a result of frbias; leave it out.")
    stage = str(record["stage"])
    versions = ", ".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    return Made(
        TITLES.get(stage, stage),
        stage,
        _relative(place, beside),
        tuple(flatten({**(record.get("arguments") or {}), **_prefixed(record.get("inputs") or {})})),
        tuple(flatten(record.get("results") or {})),
        versions,
        str(record.get("key", "")),
        bool(record.get("complete")),
        {str(key): str(value) for key, value in (record.get("told") or {}).items()},
    )


def told_by(stages: Sequence[Made]) -> dict[str, str]:
    """What the last stage that measured tells, with the licence that an earlier one notes of what it made.

    What aligning and embedding tell may be about images to learn from.
    """
    measured = [stage.told for stage in stages if stage.told and stage.stage not in ("align", "embed")]
    found = measured[-1] if measured else {}
    makers = [stage for stage in stages if stage.stage == "generate"]  # a recogniser has a licence too
    noted = [value for stage in makers for name, value in stage.facts if name.endswith("licence")]
    return found if "licence" in found or not noted else {**found, "licence": noted[-1]}


def flatten(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested JSON as (dotted name, short text); empty values are left out, long ones cut."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in flatten(inner, f"{name} {key}".strip())]
    if value is None or value in ("", [], {}):
        return []
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return [(name.replace("_", " "), _cut(json.dumps(value, ensure_ascii=False)))]
    if isinstance(value, list):
        whole = name.endswith("guarded")  # what was looked at is said in full
        joined = (" " if whole else ", ").join(_word(v) for v in value)
        return [(name.replace("_", " "), _cut(joined, _SENTENCES if whole else _SHORT))]
    return [(name.replace("_", " "), _cut(_word(value)))]


def _prefixed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {f"input {key}": value for key, value in inputs.items()}


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    word = str(value)
    return word[:12] + "\u2026" if len(word) == 64 and all(c in "0123456789abcdef" for c in word) else word


def _cut(word: str, limit: int = _SHORT) -> str:
    return word if len(word) <= limit else word[: limit - 1] + "\u2026"


def _relative(place: Path, beside: Path) -> str:
    try:
        return place.resolve().relative_to(beside.resolve()).as_posix()
    except ValueError:
        return place.name
