"""The request of the export stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from frbias.core.foundation.requests import Request, option


@dataclass(frozen=True, kw_only=True)
class ExportRequest(Request):
    """Write a recogniser in the forms that other tools load.

    Attributes:
        weights: The recogniser: a run folder, or anything that ``--weights`` takes.
        onnx: Write ``recognition.onnx``.
        pack: Write the manifest that makes the folder an insightface pack; without ``onnx`` there is none.
        detector: Detector to put into the pack, which ``FaceAnalysis`` cannot do without: an ``.onnx`` file or
            ``insightface:<pack>``; None for none.
        card: Write ``README.md``, a model card.
        evaluation: Folder of an evaluation or comparison of this recogniser, for the card and beside it; None for none.
    """

    title = "export"
    weights: str = option(
        help="Run folder of 'frbias finetune', or any recogniser as for --weights.",
        name="run",
        positional=True,
        completes="weights",
        decides=False,
    )
    onnx: bool = option(True, help="ONNX as insightface loads it.")
    pack: bool = option(True, help="Manifest that makes the folder a pack.")
    detector: str | None = option(
        None,
        help="Detector for the pack: an .onnx file or insightface:<pack>; FaceAnalysis needs one.",
        metavar="FILE",
        decides=False,
    )
    card: bool = option(True, help="Model card (README.md), filled from what is recorded.")
    evaluation: Path | None = option(
        None,
        help="Folder of an evaluation or comparison of this recogniser, to go with it.",
        metavar="FOLDER",
        decides=False,
    )

    def conflicts(self) -> Iterator[str]:
        """A detector without a pack to put it into."""
        if self.detector is not None and not (self.onnx and self.pack):
            yield "--detector belongs into a pack; leave out --no-onnx and --no-pack."
