"""All figures that a document has data for, drawn or written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frbias.core.reporting.figures import comparison, evaluation
from frbias.core.reporting.figures.drawing import STYLE, Document, Drawn, Sketch, nearest_target, save
from frbias.core.reporting.figures.scales import Scales


def draw_all(
    source: Any, out_dir: Path, *, target: float | None = None, beside: Sequence[Document] = ()
) -> tuple[Drawn, ...]:
    """Draw every figure that the document has data for.

    Args:
        source: An Evaluation or Comparison, or the JSON document of one.
        out_dir: Folder to write ``<name>.png``, ``.svg``, ``.pdf`` and ``.csv`` into.
        target: Target FMR of the figures at one threshold; default: the one nearest to 0.01.
        beside: JSON documents of other evaluations that are drawn for comparison: all get the same scales.

    Returns:
        The figures in the order a reader wants them.
    """
    document = source if isinstance(source, dict) else source.to_json()
    return tuple(save(sketch, Path(out_dir)) for sketch in sketches(document, target=target, beside=beside))


def sketches(document: Document, *, target: float | None = None, beside: Sequence[Document] = ()) -> list[Sketch]:
    """Figures in memory for a document of either schema."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        if document["schema"] == "frbias.comparison":
            chosen = nearest_target(document["baseline"], target)
            found = [make(document, chosen) for make in comparison.MAKERS]
        else:
            chosen = nearest_target(document, target)
            scales = Scales.of((document, *beside), chosen)
            found = [make(document, chosen, scales) for make in evaluation.MAKERS]
    return [sketch for sketch in found if sketch is not None]
