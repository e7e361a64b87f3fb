"""Figures of an evaluation or a comparison, each as PNG, SVG, PDF and the CSV of the plotted points.

Everything is drawn from the JSON document alone (``docs/evaluation.md``), so a figure can be made again from
``evaluation.json`` and every plotted number can be traced. matplotlib is imported when something is drawn.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.files import atomic_path, write_text

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
        png, svg, pdf, csv: Files.
    """

    name: str
    title: str
    caption: str
    points: Points
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


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure of ``width`` x ``height`` inches and its axes (always an array of shape (rows, columns))."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def percent(fraction: float) -> str:
    """``0.01`` as ``1%``, as short as it is exact."""
    return f"{100 * fraction:.4g}%"


def percent_axis() -> Any:
    """Formatter of an axis of fractions."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: percent(value))


def save(sketch: Sketch, folder: Path) -> Drawn:
    """Write a sketch as ``<name>.png``, ``.svg``, ``.pdf`` and ``.csv``, each whole or not at all; same sketch, same bytes."""
    import matplotlib

    paths = {suffix: folder / f"{sketch.name}.{suffix}" for suffix in ("png", "svg", "pdf", "csv")}
    with matplotlib.rc_context(STYLE):
        sketch.figure.suptitle(sketch.title, x=0.01, ha="left", fontsize=12.5, fontweight="bold")
        said: dict[str, dict[str, str | None]] = {
            "png": {"Software": None},
            "svg": {"Date": None, "Creator": "frbias"},
            "pdf": {"CreationDate": None, "Creator": "frbias", "Producer": None, "Title": sketch.title},
        }
        for suffix, metadata in said.items():
            with atomic_path(paths[suffix]) as temporary:
                sketch.figure.savefig(temporary, metadata=metadata)
    write_text(paths["csv"], sketch.points.to_csv())
    return Drawn(sketch.name, sketch.title, sketch.caption, sketch.points, **paths)


MATED_COLOUR = "#2a788e"
NON_MATED_COLOUR = "#8a8d91"
ACCENT = "#c44e34"
INK = "#22262b"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": "#9aa0a6",
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8ea",
    "grid.linewidth": 0.8,
    "xtick.color": "#5b6168",
    "ytick.color": "#5b6168",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "frbias",
}
