"""Common scales: what two compared recognisers are drawn on, so that their figures can be laid side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from frbias.core.reporting.figures.drawing import Document, at_target

Range = tuple[float, float]


@dataclass(frozen=True)
class Scales:
    """Ranges over all documents that are drawn for comparison; None where none of them has such values.

    Attributes:
        fnmr_by_age: Rates of the cells of the heat map, from 0.
        fmr_by_groups: Rates of the cells of the heat map, zeros left out.
        score_by_age: Mean scores of the cells.
        scores: Comparison scores that occur.
        fmr, fnmr: Rates on the DET curves, 0 and 1 left out.
        group_fmr, group_fnmr: Rates of the groups at the target with their intervals, zeros left out.
    """

    fnmr_by_age: Range | None
    fmr_by_groups: Range | None
    score_by_age: Range | None
    scores: Range | None
    fmr: Range | None
    fnmr: Range | None
    group_fmr: Range | None
    group_fnmr: Range | None

    @classmethod
    def of(cls, documents: Sequence[Document], target: float) -> "Scales":
        """The scales of evaluations (JSON documents) that are drawn for comparison at one target FMR."""
        records = [at_target(d, target) for d in documents if any(t["target"] == target for t in d["targets"])]
        ages = [r["cross_age"] for r in records if r.get("cross_age")]
        groups = [r["cross_groups"] for r in records if r.get("cross_groups")]
        curves = [curve for d in documents for curve in (d.get("curves") or {}).get("det") or []]
        return cls(
            fnmr_by_age=_from_zero(_cells(a["fnmr"] for a in ages)),
            fmr_by_groups=_range([v for v in _cells(g["fmr"] for g in groups) if v > 0]),
            score_by_age=_range(_cells(a["mean_score"] for a in ages)),
            scores=_range([edge for d in documents for edge in _score_ends(d)]),
            fmr=_range([v for c in curves for v in c["fmr"] if 0 < v < 1]),
            fnmr=_range([v for c in curves for v in c["fnmr"] if 0 < v < 1]),
            group_fmr=_range(_rates(records, "fmr")),
            group_fnmr=_range(_rates(records, "fnmr")),
        )


def _cells(matrices: Iterable[list[list[float | None]]]) -> list[float]:
    return [value for matrix in matrices for row in matrix for value in row if value is not None]


def _rates(records: Sequence[Document], rate: str) -> list[float]:
    interval = f"{rate}_interval"
    found = [v for r in records for g in r["groups"] for v in (g[rate], g[interval]["low"], g[interval]["high"])]
    return [v for v in found if v is not None and v > 0]


def _score_ends(document: Document) -> list[float]:
    """The outer edges of the bins that hold a score, over every histogram of the document."""
    data = (document.get("curves") or {}).get("distributions") or {}
    histograms = [group[kind] for group in data.get("groups") or [] for kind in ("mated", "non_mated")]
    histograms += [gap["mated"] for gap in data.get("age_gaps") or []]
    histograms += [kind["counts"] for kind in data.get("classes") or []]
    if not histograms:
        return []
    filled = np.flatnonzero(np.sum(histograms, axis=0))
    return [] if not len(filled) else [data["edges"][filled[0]], data["edges"][filled[-1] + 1]]


def _range(values: Sequence[float]) -> Range | None:
    return (float(min(values)), float(max(values))) if len(values) else None


def _from_zero(values: Sequence[float]) -> Range | None:
    return (0.0, float(max(values)) or 1.0) if len(values) else None
