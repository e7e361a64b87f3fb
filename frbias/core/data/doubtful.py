"""Faces not to be trusted: where the detector was unsure, its views disagree, or the points do not look like a face.

The rules stand on columns of an image set (:mod:`frbias.core.data.samples`), so that the alignment and an evaluation,
which may be made long after it, list the same faces.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Rule:
    """A bound on a column.

    Attributes:
        column: Name of the column.
        bound: Values beyond it are doubtful.
        below: Whether beyond is below.
        words: What is then wrong, a clause.
        given: The bound for points that were given, not detected.
    """

    column: str
    bound: float
    below: bool
    words: str
    given: float | None = None

    @property
    def told(self) -> str:
        """The rule in words."""
        given = "" if self.given is None else f" ({self.given:g} where points were given)"
        return f"{'below' if self.below else 'above'} {self.bound:g}{given}: {self.words}"

    def broken(self, values: Any, detected: Any = True) -> Any:
        """Whether values are beyond the bound; unknown ones are not.

        Args:
            values: Of the column.
            detected: Whether a detector found the points, for each of them.
        """
        bound = self.bound if self.given is None else np.where(detected, self.bound, self.given)
        return np.less(values, bound) if self.below else np.greater(values, bound)


# Chosen on FG-NET 001-040; docs/alignment.md says what each of them finds.
RULES = (
    Rule("point_agreement", 0.92, True, "scales do not agree"),
    Rule("transform_residual", 0.045, False, "points far from the template", given=0.1),
    Rule("detector_score", 0.7, True, "detector unsure"),
)


@dataclass(frozen=True)
class DoubtfulFace:
    """A face that breaks a rule.

    Attributes:
        file_name: The crop.
        source_file: The picture; empty when the table does not say.
        reasons: Words of the broken rules.
        point_agreement, transform_residual, detector_score: The columns; None where unknown.
    """

    file_name: str
    source_file: str
    reasons: tuple[str, ...]
    point_agreement: float | None = None
    transform_residual: float | None = None
    detector_score: float | None = None


def judged(frame: pd.DataFrame) -> Any:
    """Which rows any rule can be applied to, bool (n,)."""
    there = [_values(frame, rule.column) for rule in RULES]
    return np.isfinite(np.array(there)).any(axis=0)


def doubtful_faces(frame: pd.DataFrame) -> tuple[DoubtfulFace, ...]:
    """The rows that break a rule, the worst first: by the number of broken rules, then by agreement.

    Args:
        frame: Columns as in an image set or its embeddings; those of the rules may be missing.

    Example:
        >>> frame = pd.DataFrame({"file_name": ["a.png", "b.png"], "point_agreement": [0.99, 0.5]})
        >>> [(face.file_name, face.reasons) for face in doubtful_faces(frame)]
        [('b.png', ('scales do not agree',))]
    """
    values = {rule.column: _values(frame, rule.column) for rule in RULES}
    detected = np.isfinite(values["detector_score"])
    broken = np.array([rule.broken(values[rule.column], detected) for rule in RULES])
    agreement = np.nan_to_num(values[RULES[0].column], nan=1.0)
    rows = np.flatnonzero(broken.any(axis=0))
    ordered = rows[np.lexsort((rows, agreement[rows], -broken.sum(axis=0)[rows]))]
    names = frame["file_name"].astype(str).to_numpy()
    sources = frame["source_file"].fillna("").astype(str).to_numpy() if "source_file" in frame.columns else None
    return tuple(
        DoubtfulFace(
            names[row],
            "" if sources is None else sources[row],
            tuple(rule.words for rule, found in zip(RULES, broken[:, row], strict=True) if found),
            **{column: _known(found[row]) for column, found in values.items()},
        )
        for row in ordered
    )


def _values(frame: pd.DataFrame, column: str) -> Any:
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
