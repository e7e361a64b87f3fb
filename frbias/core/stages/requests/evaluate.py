"""The request of the evaluate stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.requests import option
from frbias.core.stages.requests.input import InputOptions
from frbias.core.stages.requests.measuring import OUTPUT, MeasureOptions, gate_problems

INPUT = "What to evaluate (one of --data, --embeddings, --scores)"


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(MeasureOptions, InputOptions):
    """Evaluate a recogniser on an image set, or embeddings, or scores.

    Attributes:
        data: Image set (a folder or a registered name); aligned first when it is not.
        weights: Recogniser for ``data``.
        embeddings: File or folder of embeddings, instead of ``data``.
        scores: Somebody's scores, instead of ``data``.
        baseline: Compare, paired, with this recogniser (or, with ``embeddings``, these embeddings).
        name: Name to show; None: the recogniser's, or the file's.
        fail_if: Conditions that make the evaluation fail, such as ``garbe@1% > 0.3``.
        figures: Draw figures.
        save_scores: Write every score.
    """

    title = "evaluate"
    data: str | None = option(
        None,
        help="Image set: a folder or a registered name (fgnet); aligned first when it is not.",
        panel=INPUT,
        metavar="DATA",
        completes="data",
        decides=False,
    )
    weights: str = option(
        "sface",
        help="Recogniser for --data: a name, a weight file, any ONNX, module:function, or a run folder.",
        panel=INPUT,
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    embeddings: Path | None = option(
        None, help="Embeddings: a file, or a folder of 'frbias embed'.", panel=INPUT, decides=False
    )
    scores: Path | None = option(
        None, help="Somebody's scores: CSV, Parquet, bob's four or five columns.", panel=INPUT, decides=False
    )
    baseline: str | None = option(
        None,
        help="Compare, paired, with this recogniser (with --embeddings: these embeddings).",
        panel=INPUT,
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    name: str | None = option(None, help="Name to show; default: the recogniser's or the file's.", panel=OUTPUT)
    fail_if: tuple[str, ...] = option(
        (),
        help="Exit with 4 when this holds, e.g. 'garbe@1% > 0.3'; may be repeated.",
        panel=OUTPUT,
        metavar="CONDITION",
        many=True,
        decides=False,
    )
    figures: bool = option(True, help="Draw figures.", panel=OUTPUT)
    save_scores: bool = option(False, help="Also write every score (scores.parquet).", panel=OUTPUT)

    def conflicts(self) -> Iterator[str]:
        """No source or several, gates that make no sense, and options that scores alone cannot serve."""
        found = list(super().conflicts())
        yield from found
        if not found:
            yield from gate_problems(self.fail_if, self, paired=self.baseline is not None)
        given = [name for name in ("data", "embeddings", "scores") if getattr(self, name) is not None]
        if len(given) != 1:
            yield "Give one of --data NAME, --embeddings FILE or --scores FILE."
        elif given == ["scores"]:
            yield from self._too_much_for_scores()

    def _too_much_for_scores(self) -> Iterator[str]:
        if self.baseline is not None:
            yield "--baseline needs embeddings; scores of two recognisers cannot be paired without them."
        if self.save_scores:
            yield "--save-scores needs embeddings; a file of scores is saved already."
        asked = {
            "--protocol": self.protocol is not None,
            "--matched-age": self.matched_age is not None,
            "--drop-duplicates": self.drop_duplicates is not None,
            "--non-mated": self.non_mated != "within",
        }
        for name in (name for name, given in asked.items() if given):
            yield f"{name} needs embeddings; a file of scores has its comparisons already."
