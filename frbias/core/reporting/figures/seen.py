"""What is seen in a figure, in words, from its plotted points: the text for readers who do not see it."""

from collections.abc import Sequence
from typing import Any

from frbias.core.reporting.figures.drawing import Points, percent

_RATES = frozenset({"fmr", "fnmr", "rate", "share"})
_SHOWN: dict[str, tuple[str, tuple[str, ...], str]] = {
    "rates_by_group": ("rate", ("group",), "value"),
    "rates_of_both": ("model rate", ("group",), "value"),
    "fnmr_by_age": ("", ("younger_sample", "older_sample"), "rate"),
    "score_by_age": ("", ("younger_sample", "older_sample"), "mean_score"),
    "fmr_by_groups": ("", ("first_group", "second_group"), "rate"),
    "fairness_over_fmr": ("measure", ("target_fmr",), "value"),
    "fairness_of_both": ("model measure", ("target_fmr",), "value"),
    "differences": ("verdict", ("quantity",), "difference"),
    "cmc": ("group", ("rank",), "share"),
}
_DISTRIBUTIONS = {
    "distributions_by_group": "group",
    "distributions_by_age_gap": "gap_years",
    "distributions_by_protocol": "class",
}
_CURVES = {"det": ("group",), "det_of_both": ("group", "model")}
"""Per figure: columns that part the points, columns that name one, column of the value."""


def seen(name: str, title: str, points: Points) -> str:
    """The title and, for every line or panel, the lowest and the highest value and whose they are.

    Example:
        >>> points = Points(("group", "rate", "value"), [("0-12", "fmr", 0.02), ("60+", "fmr", 0.01)])
        >>> seen("rates_by_group", "Error rates", points)
        'Error rates. fmr: from 1% (60+) to 2% (0-12).'
    """
    rows = [dict(zip(points.columns, row, strict=True)) for row in points.rows]
    if name in _DISTRIBUTIONS:
        return " ".join([f"{title}.", *_middles(rows, _DISTRIBUTIONS[name])])
    if name in _CURVES:
        return " ".join([f"{title}.", *_meetings(rows, _CURVES[name])])
    if name == "operating_points":
        return " ".join([f"{title}.", *(_place(row) for row in rows)])
    if name not in _SHOWN:
        return f"{title}."
    parting, naming, value = _SHOWN[name]
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row[value] is not None:
            parts.setdefault(" ".join(str(row[column]) for column in parting.split()), []).append(row)
    return " ".join([f"{title}.", *(_ends(part, found, naming, value) for part, found in parts.items())])


def _ends(part: str, rows: Sequence[dict[str, Any]], naming: Sequence[str], value: str) -> str:
    def said(row: dict[str, Any]) -> str:
        fraction = value in _RATES or bool(_RATES & set(part.split()))
        number = percent(float(f"{row[value]:.3g}")) if fraction else f"{row[value]:.3g}"
        labels = [percent(row[c]) if c == "target_fmr" else str(row[c]) for c in naming]
        return f"{number} ({' and '.join(labels)})"

    low, high = min(rows, key=lambda r: r[value]), max(rows, key=lambda r: r[value])
    head = f"{part}: " if part else ""
    return f"{head}from {said(low)} to {said(high)}." if low is not high else f"{head}{said(low)}."


def _middles(rows: Sequence[dict[str, Any]], naming: str) -> list[str]:
    """The bin in which the median score of every histogram lies."""
    histograms: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        histograms.setdefault((str(row[naming]), str(row["kind"])), []).append(row)
    found = []
    for (name, kind), bins in histograms.items():
        half, reached = sum(b["count"] for b in bins) / 2, 0
        for b in bins:
            reached += b["count"]
            if half and reached >= half:
                middle = (b["score_from"] + b["score_to"]) / 2
                found.append(f"{name}, {kind.replace('_', '-')}: median score about {middle:.2f}.")
                break
    return found


def _meetings(rows: Sequence[dict[str, Any]], naming: Sequence[str]) -> list[str]:
    """Where on every curve the two rates meet."""
    nearest: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = ", ".join(str(row[column]) for column in naming)
        if name not in nearest or abs(row["fmr"] - row["fnmr"]) < abs(nearest[name]["fmr"] - nearest[name]["fnmr"]):
            nearest[name] = row
    return [
        f"{name}: rates meet at about {percent(float(format((row['fmr'] + row['fnmr']) / 2, '.2g')))}."
        for name, row in nearest.items()
    ]


def _place(row: dict[str, Any]) -> str:
    fmr, fnmr = (percent(float(f"{row[rate]:.3g}")) for rate in ("fmr", "fnmr"))
    return f"{row['model']}, {row['group']}: FMR {fmr}, FNMR {fnmr}."
