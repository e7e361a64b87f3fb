"""All figures that a document has data for, drawn or written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.reporting.figures import comparison, evaluation
from frbias.core.reporting.figures.drawing import Document, Drawn, Sketch, nearest_target, save, styled
from frbias.core.reporting.figures.scales import Scales

_SIDES = ("baseline", "other")


@dataclass(frozen=True)
class Gallery:
    """The figures of a document.

    Attributes:
        whole: Those of the document itself: of the evaluation, or of both recognisers of a comparison together.
        sides: Those of the baseline and of the other recogniser of a comparison; empty for one evaluation.
    """

    whole: tuple[Drawn, ...]
    sides: tuple[tuple[Drawn, ...], ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of all of them, those of the sides with their folder."""
        beside = [f"{side}/{one.name}" for side, drawn in zip(_SIDES, self.sides, strict=False) for one in drawn]
        return [*(one.name for one in self.whole), *beside]


def draw_document(source: Any, out_dir: Path, *, target: float | None = None, progress: Progress = SILENT) -> Gallery:
    """Draw every figure of an evaluation or a comparison.

    A comparison has the figures of both recognisers in ``out_dir``, and in ``baseline/`` and ``other/`` below it those
    that one recogniser has for itself, on the same axes and colour scales.

    Args:
        source: An Evaluation or Comparison, or the JSON document of one.
        out_dir: Folder to write ``<name>.png``, ``.svg``, ``.pdf`` and ``.csv`` into.
        target: Target FMR of the figures at one threshold; default: the one nearest to 0.01.
        progress: Where to report.
    """
    document, folder = source if isinstance(source, dict) else source.to_json(), Path(out_dir)
    paired = document["schema"] == "frbias.comparison"
    with progress.task("drawing figures", 3 if paired else 1) as advance:
        whole = draw_all(document, folder, target=target)
        advance(1)
        if not paired:
            return Gallery(whole)
        both = [document[side] for side in _SIDES]
        sides = []
        for side in _SIDES:
            sides.append(draw_all(document[side], folder / side, target=target, beside=both))
            advance(1)
    return Gallery(whole, tuple(sides))


def draw_all(
    source: Any, out_dir: Path, *, target: float | None = None, beside: Sequence[Document] = ()
) -> tuple[Drawn, ...]:
    """Draw the figures that a document has data for into one folder.

    Args:
        source: An Evaluation or Comparison, or the JSON document of one.
        out_dir: Folder to write ``<name>.png``, ``.svg``, ``.pdf`` and ``.csv`` into.
        target: Target FMR of the figures at one threshold; default: the one nearest to 0.01.
        beside: JSON documents of evaluations that are compared with this one: all get the same scales, and what is
            drawn of both together is left out.

    Returns:
        The figures in the order a reader wants them.
    """
    document = source if isinstance(source, dict) else source.to_json()
    return tuple(save(sketch, Path(out_dir)) for sketch in sketches(document, target=target, beside=beside))


def sketches(document: Document, *, target: float | None = None, beside: Sequence[Document] = ()) -> list[Sketch]:
    """Figures in memory for a document of either schema."""
    with styled():
        if document["schema"] == "frbias.comparison":
            chosen = nearest_target(document["baseline"], target)
            found = [make(document, chosen) for make in comparison.MAKERS]
        else:
            chosen = nearest_target(document, target)
            scales = Scales.of((document, *beside), chosen)
            makers: Sequence[Callable[[Document, float, Scales], Sketch | None]] = evaluation.MAKERS
            found = [make(document, chosen, scales) for make in makers if not (beside and make in evaluation.ALONE)]
    return [sketch for sketch in found if sketch is not None]
