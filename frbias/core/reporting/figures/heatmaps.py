"""Heat maps over pairs of ages and pairs of groups, drawn from an evaluation's JSON document."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.reporting.figures.drawing import (
    INK,
    SMALL,
    TINY,
    Document,
    Points,
    Sketch,
    at_target,
    decades,
    new_figure,
    percent,
    percent_axis,
)
from frbias.core.reporting.figures.scales import Range, Scales

_MOST_IN_ONE_COLUMN, _LARGE_CELLS = 9, 6


def fnmr_by_age(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Heat map of FNMR by the two ages of mated comparisons."""
    data = at_target(document, target).get("cross_age")
    if not data or len(data["ages"]) < 2:
        return None
    return _heat_map(
        document,
        "fnmr_by_age",
        "False non-match rate by age",
        f"mated comparisons by the ages of their two images at FMR {percent(target)}; small: how many. Darker is missed "
        "more often; if age itself were no trouble but the years between were, only cells away from the diagonal would "
        "be dark",
        data["ages"],
        (data["fnmr"], data["mated"], data["false_non_matches"]),
        ("older sample", "younger sample"),
        scales.fnmr_by_age,
    )


def score_by_age(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Heat map of the mean mated score by the two ages."""
    data = at_target(document, target).get("cross_age")
    if not data or len(data["ages"]) < 2:
        return None
    return _heat_map(
        document,
        "score_by_age",
        "Mean mated score by age",
        "mean score of mated comparisons by the ages of their two images; small: how many. Darker is less alike; the one "
        "threshold asks the same of every cell",
        data["ages"],
        (data["mean_score"], data["mated"], data["false_non_matches"]),
        ("older sample", "younger sample"),
        scales.score_by_age,
        rate=False,
    )


def fmr_by_groups(document: Document, target: float, scales: Scales) -> Sketch | None:
    """Heat map of FMR by the two groups of non-mated comparisons."""
    data = at_target(document, target).get("cross_groups")
    if not data:
        return None
    return _heat_map(
        document,
        "fmr_by_groups",
        "False match rate within and across groups",
        f"non-mated comparisons by the groups of their two images at FMR {percent(target)}, colours on a logarithmic scale; "
        "small: how many. Equal groups would have a diagonal of one colour; its darkest cell are the people most often "
        "taken for one another",
        data["groups"],
        (data["fmr"], data["non_mated"], data["false_matches"]),
        ("group", "group"),
        scales.fmr_by_groups,
        logarithmic=True,
    )


def _heat_map(
    document: Document,
    name: str,
    title: str,
    what: str,
    labels: list[str],
    cells: tuple[list[list[Any]], list[list[int]], list[list[int]]],
    axis_names: tuple[str, str],
    scale: Range | None,
    *,
    rate: bool = True,
    logarithmic: bool = False,
) -> Sketch:
    values, counts, errors = cells
    matrix = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=np.float64)
    size = len(labels)
    figure, axes = new_figure(
        1 if size <= _MOST_IN_ONE_COLUMN else 2, 0.85 + (0.34 if size <= _LARGE_CELLS else 0.25) * size
    )
    ax = axes[0, 0]
    low, top = scale or (0.0, 1.0)
    shade, norm = _shading(matrix, low, top, logarithmic=logarithmic)
    image = ax.imshow(shade, cmap="YlOrBr" if rate else "viridis", norm=norm, aspect="auto")
    large, small = (SMALL, TINY - 0.7) if size <= _LARGE_CELLS else (TINY - 0.7, TINY - 1.5)
    rows = []
    for i in range(size):
        for j in range(size):
            rows.append((labels[i], labels[j], errors[i][j], counts[i][j], values[i][j]))
            if values[i][j] is not None:
                dark = norm(shade[i, j]) > 0.6 if rate else norm(shade[i, j]) < 0.5
                ink, shown = "white" if dark else INK, f"{100 * matrix[i, j]:.3g}%" if rate else f"{matrix[i, j]:.3f}"
                ax.text(j, i - 0.08, shown, ha="center", va="center", color=ink, fontsize=large)
                ax.text(j, i + 0.27, f"{counts[i][j]:,}", ha="center", va="center", color=ink, fontsize=small)
    ax.set_xticks(range(size), labels, rotation=0 if size <= _LARGE_CELLS else 45)
    ax.set_yticks(range(size), labels)
    ax.set_xlabel(axis_names[0])
    ax.set_ylabel(axis_names[1])
    ax.grid(visible=False)
    bar = figure.colorbar(image, ax=ax, shrink=0.85)
    if rate:
        bar.ax.yaxis.set_major_formatter(percent_axis())
    if logarithmic and low < top:
        bar.set_ticks(decades(low, top) or [low, top])
        bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    columns = (
        axis_names[1].replace(" ", "_"),
        axis_names[0].replace(" ", "_"),
        "errors",
        "comparisons",
        "rate" if rate else "mean_score",
    )
    if columns[0] == columns[1]:
        columns = ("first_group", "second_group", *columns[2:])
    return Sketch(name, title, f"{document['name']}: {what}.", figure, Points(columns, rows))


def _shading(
    matrix: npt.NDArray[np.float64], low: float, top: float, *, logarithmic: bool
) -> tuple[npt.NDArray[np.float64], Any]:
    """Values to be shaded and their scale; on a logarithmic one, zeros have the colour of its lower end."""
    from matplotlib.colors import LogNorm, Normalize

    if not logarithmic or low <= 0 or low >= top:
        return matrix, Normalize(min(low, top), top)
    return np.where(matrix < low, low, matrix), LogNorm(low, top)
