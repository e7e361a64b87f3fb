"""The request of the embed stage."""

from dataclasses import dataclass
from typing import Literal

from frbias.core.foundation.requests import Request, option
from frbias.core.stages.requests.input import InputOptions

Flip = Literal["none", "add", "concat"]


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(Request):
    """How faces become vectors.

    Attributes:
        flip: ``none``; ``add`` the embedding of the mirrored face; or ``concat`` it.
        arithmetic: ``fp32``, or ``bf16`` where matrix units multiply it (CUDA from Ampere on, AMX): about twice as fast,
            and embeddings of about two digits.
    """

    title = "embed"
    flip: Flip = option("none", help="none, or add / concat the embedding of the mirrored face.")
    arithmetic: Literal["fp32", "bf16"] = option(
        "fp32", help="Of the recogniser: fp32, or bf16 for speed where the machine multiplies it."
    )


@dataclass(frozen=True, kw_only=True)
class EmbedRequest(EmbedOptions, InputOptions):
    """Embed an aligned image set.

    Attributes:
        data: Aligned image set, or the name of a registered data set.
        weights: Recogniser: a name, a weight file, any ONNX, ``module:function``, or a run folder.
    """

    data: str = option(
        help="Aligned image set: a folder, or the name of a registered data set.",
        positional=True,
        completes="data",
        decides=False,
    )
    weights: str = option(
        "sface",
        help="Recogniser: a name (see 'frbias models list'), a weight file, any ONNX, module:function, or a run folder.",
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
