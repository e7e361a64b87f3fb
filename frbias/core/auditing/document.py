"""The document of an audit: everything that was found, as one dataclass and as JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from frbias.core.auditing.ageing import Agreement
from frbias.core.auditing.ages import AgeRow
from frbias.core.auditing.flags import FLAGS
from frbias.core.auditing.gap import Appearance, Distance
from frbias.core.auditing.similarity import Similarity

SCHEMA, SCHEMA_VERSION = "frbias.audit", 2


@dataclass(frozen=True)
class Against:
    """The set that was compared with.

    Attributes:
        name: As given.
        left_out: Its files that gave no face and were compared with nothing.
        appearance: What it looks like.
        distance: How far the two are from each other.
        ageing: How well their ageing agrees; None when one has too few people seen young and old.
        ageing_note: Why not, when it is None.
    """

    name: str
    left_out: int
    appearance: Appearance
    distance: Distance
    ageing: Agreement | None
    ageing_note: str = ""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        name: The set, as given.
        recogniser: Name of the recogniser whose eyes were used.
        weights_sha256: Hash of its weights.
        images: Images looked at, those without a face included.
        flagged: Images with each flag; None where it was looked for in none.
        looked_at: Images that each flag was looked for in.
        not_looked_for: Why a flag was looked for in no image, a clause; only of those.
        counts: Images by ``sex``, ``age`` and ``yaw (degrees)`` where these are known of any, with those of which it is
            ``unknown``.
        appearance: What the set looks like.
        similarity: Scores of the set with itself.
        ages: Apparent against stated ages; empty without an estimator or ages.
        ages_reason: Why they are empty, a clause, or empty.
        against: The other set; None without one.
    """

    name: str
    recogniser: str
    weights_sha256: str
    images: int
    flagged: dict[str, int | None]
    looked_at: dict[str, int]
    not_looked_for: dict[str, str]
    counts: dict[str, dict[str, int]]
    appearance: Appearance
    similarity: Similarity
    ages: tuple[AgeRow, ...]
    ages_reason: str
    against: Against | None

    def to_json(self) -> dict[str, Any]:
        """The document: ``schema``, ``schema_version`` and the attributes; what is not defined is null."""
        return {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "flags": FLAGS, **_finite(asdict(self))}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
