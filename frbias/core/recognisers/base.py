"""What a face recogniser is: something that turns aligned faces into embeddings, with a name and a hash.

Embedding, evaluating, comparing and auditing ask for no more than :class:`Recogniser`. Fine-tuning and exporting ask
for its stages and weights too: :class:`frbias.core.recognisers.trainable.recogniser.Trainable`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

Colour = Literal["RGB", "BGR"]
Faces = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pixels:
    """How pixels (0..255) become the numbers that a network reads: (pixel - mean) / scale.

    Attributes:
        colour: Order of the channels.
        mean: Subtracted, one number a channel, in that order.
        scale: Divisor, one number a channel, in that order; never 0.
    """

    colour: Colour = "RGB"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: tuple[float, float, float] = (127.5, 127.5, 127.5)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; one number where all channels have the same."""
        return {"colour": self.colour, "mean": _short(self.mean), "scale": _short(self.scale)}


@dataclass(frozen=True)
class Description:
    """What is known about a recogniser, for provenance and tables.

    Attributes:
        architecture: ``iresnet50``, ``sface``, ..., or ``onnx`` and ``callable`` for what can only be run.
        embedding_length: Numbers in an embedding, D.
        input_size: Height and width of the faces it takes, in pixels.
        trainable: True when frbias can fine-tune and export it.
        source: File, or ``embedded``, or ``module:function``.
        pixels: What is done to the pixels; None when that is the recogniser's own affair.
        parameters: Number of weights; None when unknown.
        licence: As stated by its publisher; empty when unknown.
        batch_norm: ``folded`` when BatchNorm statistics were folded away by an exporter, else empty.
        assumed: Names of what neither the file nor the user said and was therefore taken as usual.
        guarded: Which photographs were looked at while frbias learned it, a sentence each; empty when nobody noted it.
    """

    architecture: str
    embedding_length: int
    input_size: tuple[int, int]
    trainable: bool
    source: str
    pixels: Pixels | None = None
    parameters: int | None = None
    licence: str = ""
    batch_norm: Literal["", "folded"] = ""
    assumed: tuple[str, ...] = field(default=())
    guarded: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what is unknown is left out."""
        known: dict[str, Any] = {
            "architecture": self.architecture,
            "embedding_dim": self.embedding_length,
            "input_size": list(self.input_size),
            "trainable": self.trainable,
            "source": self.source,
        }
        optional = {
            "preprocessing": self.pixels and self.pixels.to_json(),
            "parameters": self.parameters,
            "licence": self.licence,
            "batch_norm": self.batch_norm,
            "assumed": list(self.assumed),
            "guarded": list(self.guarded),
        }
        return {**known, **{key: value for key, value in optional.items() if value}}


class Recogniser(Protocol):
    """A face recogniser; anything with these members is one."""

    @property
    def name(self) -> str:
        """Short name for tables and files: ``sface``, the name of the run or of the file."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of what it computes with: its weights, its file, or its source."""
        ...

    @property
    def description(self) -> Description:
        """What is known about it."""
        ...

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        ...

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding, D."""
        ...

    def on(self, device: str) -> Self:
        """The same recogniser ready to embed on ``cpu`` or ``cuda[:i]``; it may be moved, not copied."""
        ...

    def embed(self, faces: Faces) -> Vectors:
        """Embeddings, float32 (N, D), not normalised, of aligned faces, uint8 RGB (N, height, width, 3), N >= 1.

        Raises:
            ValueError: The faces have another type or shape.
        """
        ...


def check_faces(faces: Faces, size: tuple[int, int]) -> None:
    """Refuse what is no batch of faces of that height and width.

    Raises:
        ValueError: Another type or shape than uint8 (N, height, width, 3) with N >= 1.
    """
    wanted = (*size, 3)
    if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[1:] != wanted or not len(faces):
        raise ValueError(f"expected uint8 images of shape (N, {', '.join(map(str, wanted))}), got {faces.shape}")


def _short(values: tuple[float, ...]) -> float | list[float]:
    return values[0] if len(set(values)) == 1 else list(values)
