"""A recogniser whose weights frbias can train, freeze by stages, and export."""

from dataclasses import dataclass
from itertools import chain
from typing import Self

import torch
from torch import nn

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.base import Description, Faces, Recogniser, Vectors, check_faces
from frbias.core.recognisers.trainable.base import Backbone, StateDict


@dataclass(frozen=True, eq=False)
class Trainable:
    """A :class:`frbias.core.recognisers.base.Recogniser` with stages and weights.

    Attributes:
        model: The network, in eval mode on the chosen device.
        name: Short name for tables and files.
        sha256: Hash of the weights themselves, equal for equal weights in any file format.
        description: What is known about it.
        arithmetic: ``fp32``, or ``bf16`` for what automatic 16-bit arithmetic computes in it.
    """

    model: Backbone
    name: str
    sha256: str
    description: Description
    arithmetic: str = "fp32"

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        return self.model.input_size, self.model.input_size

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding."""
        return self.model.embedding_dim

    def stages(self) -> dict[str, list[nn.Module]]:
        """Modules of every stage, in order: ``stem``, ``1``, ``2``, ``3``, ``4``, ``head``."""
        return self.model.stages()

    def weights(self) -> StateDict:
        """The state dict of the network."""
        return self.model.state_dict()

    def on(self, device: str) -> Self:
        """Move the network to ``device``, in eval mode and in the memory layout that is fastest to run."""
        self.model.to(torch.device(device), memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return self

    def embed(self, faces: Faces) -> Vectors:
        """Embeddings (N, D) of faces (N, height, width, 3); see :class:`frbias.core.recognisers.base.Recogniser`."""
        check_faces(faces, self.input_size)
        tensor = next(chain(self.model.parameters(), self.model.buffers()), None)
        with torch.inference_mode():
            device = torch.device("cpu") if tensor is None else tensor.device
            images = torch.from_numpy(faces).to(device, non_blocking=True)
            batch = self.model.preprocess(images).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.arithmetic == "bf16"):
                vectors = self.model(batch)
            found: Vectors = vectors.float().cpu().numpy()
        return found


def require_trainable(recogniser: Recogniser, command: str) -> Trainable:
    """``recogniser`` as one that can be trained.

    Args:
        recogniser: Any recogniser.
        command: What wants to train or export it, for the message: ``finetune``, ``export``.

    Raises:
        BadInputError: frbias can only run it.
    """
    if isinstance(recogniser, Trainable):
        return recogniser
    raise BadInputError(
        f"{command} needs a recogniser that frbias can train, but {recogniser.name} ({recogniser.description.source}) can "
        "only be run; give weights of a known architecture (docs/bring-your-own.md lists them)."
    )
