"""The request of the adapt stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from frbias.core.foundation.requests import option
from frbias.core.stages.requests.guard import GuardOptions
from frbias.core.training.map_options import AUTO, MapOptions, directions_named

_MAP = "Map of the embeddings"


@dataclass(frozen=True, kw_only=True)
class AdaptRequest(MapOptions, GuardOptions):
    """Learn a map of a recogniser's embeddings, without training.

    Attributes:
        data: Image sets to learn from: renders, labelled photographs, or both; aligned first when they are not.
        weights: The recogniser; any that can embed.
        photos: Unlabelled photographs, whose mean embedding stands for ``common``; None for none.
        normalise: After the directions: ``wccn`` (whitening of what varies within people), ``lda``, or ``none``.
        shrinkage: Of the covariance within people, from 0 (as it is) to 1 (a multiple of the identity).
        dimensions: Numbers in an embedding that LDA leaves; 0 for all that tell people apart.
        guard_fmr: False match rate of the TAR that guards are measured by.
        seed: Of the damage.
    """

    title = "adapt"
    data: tuple[str, ...] = option(
        help="Image sets of known people to learn from: renders, photographs, or both.",
        positional=True,
        many=True,
        metavar="SETS...",
        completes="data",
        decides=False,
    )
    weights: str = option(
        "sface",
        help="Recogniser: a name, a weight file, any ONNX, or a run folder.",
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    photos: str | None = option(
        None,
        help="Your own photographs, no labels needed: their mean goes in place of that of SETS.",
        metavar="SET",
        completes="data",
        decides=False,
    )
    remove: tuple[str, ...] = option(
        (AUTO,),
        help="Directions to take out of every embedding: offset, common, growth, pose; auto: all that can be had; or none.",
        metavar="NAMES",
        parse=directions_named,
        show=lambda names: ",".join(names) or "none",
    )
    normalise: Literal["none", "wccn", "lda"] = option(
        "none", help="Afterwards: within-class covariance normalisation, or linear discriminants.", panel=_MAP
    )
    shrinkage: float = option(0.6, help="Of the covariance within people.", panel=_MAP, low=0, high=1)
    dimensions: int = option(0, help="Numbers that LDA leaves; 0: all.", panel=_MAP, low=0, high=4096)
    guard_fmr: float = option(
        0.01, help="False match rate of a labelled guard's TAR.", panel="Guard", low=1e-6, high=0.5
    )
    seed: int = option(0, help="Seed of the damage.", low=0, high=2**63 - 1)

    def conflicts(self) -> Iterator[str]:
        """Nothing to do, and options without what they belong to."""
        yield from super().conflicts()
        if not (self.remove or self.within or self.normalise != "none"):
            yield "--remove none, --within 0 and --normalise none leave the embeddings as they are."
        if self.dimensions and self.normalise != "lda":
            yield "--dimensions belongs to --normalise lda."
        if self.dimensions == 1:
            yield "--dimensions 1 leaves a single number; use 2 or more."
