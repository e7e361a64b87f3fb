"""Figures of an evaluation or a comparison, each as PNG, SVG, PDF and the CSV of the plotted points.

Everything is drawn from the JSON document alone (``docs/evaluation.md``), so a figure can be made again from
``evaluation.json`` and every plotted number can be traced. matplotlib is imported when something is drawn.
"""

import csv
import io
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.files import atomic_path, write_text
from frbias.core.reporting.figures.fonts import FAMILIES, make_known, under_known_names

Document = dict[str, Any]


@dataclass(frozen=True)
class Points:
    """The plotted points: column names and rows."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def to_csv(self) -> str:
        """CSV text, numbers in full precision, empty where there is no value."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if v is None else v for v in row] for row in self.rows)
        return stream.getvalue()


@dataclass(frozen=True)
class Drawn:
    """One figure on disk.

    Attributes:
        name: File name without suffix.
        title: One line.
        caption: How to read it.
        points: What is plotted.
        columns: Columns of a paper that it spans, 1 or 2.
        png, svg, pdf, csv: Files.
    """

    name: str
    title: str
    caption: str
    points: Points
    columns: int
    png: Path
    svg: Path
    pdf: Path
    csv: Path


@dataclass(frozen=True)
class Sketch:
    """A figure in memory: what a plotting function returns."""

    name: str
    title: str
    caption: str
    figure: Any
    points: Points

    @property
    def columns(self) -> int:
        """Columns of a paper that it spans, 1 or 2."""
        return 2 if self.figure.get_size_inches()[0] > COLUMN_WIDTHS[1] else 1


def nearest_target(document: Document, target: float | None) -> float:
    """The evaluated target FMR nearest (in ratio) to ``target``, or to 0.01."""
    wanted = 0.01 if target is None else target
    return float(min((t["target"] for t in document["targets"]), key=lambda t: max(t / wanted, wanted / t)))


def at_target(document: Document, target: float) -> Document:
    """The record of one target FMR."""
    return next(t for t in document["targets"] if t["target"] == target)


def colours(count: int) -> list[Any]:
    """``count`` colours from dark blue to green, readable in grey, with colour blindness and on white (3:1)."""
    import matplotlib
    import numpy as np

    places = [0.25] if count == 1 else np.linspace(0.02, 0.57, count)
    return [matplotlib.colormaps["viridis"](float(place)) for place in places]


def styled() -> AbstractContextManager[None]:
    """Everything within is drawn in the style of these figures."""
    import matplotlib

    make_known()
    return matplotlib.rc_context(STYLE)


def new_figure(span: int, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure and its axes (always an array of shape (rows, columns)).

    Args:
        span: Columns of a paper that it is made for, 1 or 2; see ``COLUMN_WIDTHS``.
        height: Inches.
        rows, columns: Panels.
        options: Of matplotlib's ``Figure.subplots``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(COLUMN_WIDTHS[span], height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def percent(fraction: float) -> str:
    """``0.01`` as ``1%``, as short as it is exact."""
    return f"{100 * fraction:.4g}%"


def percent_axis() -> Any:
    """Formatter of an axis of fractions in per cent."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: percent(value))


def logarithmic_rates(axis: Any, ends: tuple[float, float]) -> None:
    """Make an axis of fractions logarithmic, labelled in per cent at 1, 2 and 5 when it spans less than two decades."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
    axis.set_major_locator(FixedLocator(decades(*ends)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(percent_axis())


def decades(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones: 1, 2 and 5 times a power of ten, powers alone over two decades and more.

    There are none when the lower one is 0, as where every rate is.

    Example:
        >>> decades(0.004, 0.03)
        [0.005, 0.01, 0.02]
    """
    if not 0 < low < high:
        return []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high >= 100 * low else (1, 2, 5)
    return [value for power in powers for step in steps if low <= (value := float(f"{step}e{power}")) <= high]


def save(sketch: Sketch, folder: Path) -> Drawn:
    """Write a sketch as ``<name>.png``, ``.svg``, ``.pdf`` and ``.csv``, each whole or not at all; same sketch, same bytes."""
    paths = {suffix: folder / f"{sketch.name}.{suffix}" for suffix in ("png", "svg", "pdf", "csv")}
    with styled():
        sketch.figure.suptitle(sketch.title, x=0.01, ha="left", fontsize=9, fontweight="bold")
        said: dict[str, dict[str, str | None]] = {
            "png": {"Software": None},
            "svg": {"Date": None, "Creator": "frbias"},
            "pdf": {"CreationDate": None, "Creator": "frbias", "Producer": None, "Title": sketch.title},
        }
        for suffix, metadata in said.items():
            with atomic_path(paths[suffix]) as temporary:
                sketch.figure.savefig(temporary, metadata=metadata)
                if suffix == "svg":
                    text = temporary.read_text(encoding="utf-8")
                    temporary.write_text(under_known_names(text), encoding="utf-8", newline="\n")
            sketch.figure.set_layout_engine("none")  # as it was laid out for the first one
    write_text(paths["csv"], sketch.points.to_csv())
    return Drawn(sketch.name, sketch.title, sketch.caption, sketch.points, sketch.columns, **paths)


COLUMN_WIDTHS = {1: 3.5, 2: 7.16}
"""Inches of one and of two columns of a paper (IEEE and the like); text of 7 points can be read in either."""
SMALL, TINY = 6.5, 5.5
MATED_COLOUR = OTHER_COLOUR = "#2a788e"
NON_MATED_COLOUR = BASELINE_COLOUR = "#85888c"
ACCENT = "#c44e34"
CHANCE_COLOUR = "#7d838a"
UNCLEAR_COLOUR = "#85888c"
INK = "#22262b"
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
STYLE: dict[str, Any] = {
    "font.family": list(FAMILIES),
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": "#9aa0a6",
    "axes.labelcolor": INK,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "grid.color": "#e6e8ea",
    "grid.linewidth": 0.6,
    "xtick.color": "#5b6168",
    "ytick.color": "#5b6168",
    "xtick.labelsize": 6.8,
    "ytick.labelsize": 6.8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "savefig.dpi": 300,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "frbias",
}
