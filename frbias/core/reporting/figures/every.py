"""All figures that a document has data for, drawn or written."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frbias.core.reporting.figures import comparison, evaluation
from frbias.core.reporting.figures.drawing import STYLE, Document, Drawn, Sketch, nearest_target, save


def draw_all(source: Any, out_dir: Path, *, target: float | None = None) -> tuple[Drawn, ...]:
    """Draw every figure that the document has data for.

    Args:
        source: An Evaluation or Comparison, or the JSON document of one.
        out_dir: Folder to write ``<name>.png``, ``.svg`` and ``.csv`` into.
        target: Target FMR of the figures at one threshold; default: the one nearest to 0.01.

    Returns:
        The figures in the order a reader wants them.
    """
    document = source if isinstance(source, dict) else source.to_json()
    return tuple(save(sketch, Path(out_dir)) for sketch in sketches(document, target=target))


def sketches(document: Document, *, target: float | None = None) -> list[Sketch]:
    """Figures in memory for a document of either schema."""
    import matplotlib

    if document["schema"] == "frbias.comparison":
        makers: Sequence[Callable[[Document, float], Sketch | None]] = comparison.MAKERS
        chosen = nearest_target(document["baseline"], target)
    else:
        makers, chosen = evaluation.MAKERS, nearest_target(document, target)
    with matplotlib.rc_context(STYLE):
        return [sketch for make in makers if (sketch := make(document, chosen)) is not None]
