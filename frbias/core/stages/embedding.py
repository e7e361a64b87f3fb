"""A recogniser on its device, fed with faces: what the embed stage runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from frbias.core.data.feeding import Faces, face_batches
from frbias.core.foundation.devices import choose_device, usable_cores
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.machine import Machine
from frbias.core.stages.requests.embed import EmbedOptions

if TYPE_CHECKING:
    from frbias.core.recognisers.base import Recogniser

Vectors = npt.NDArray[np.float32]
TILE = 16
_READ = (
    16 * TILE
)  # images that are decoded together for the CPU; waiting for each tile would cost as much as a check sum


@dataclass(frozen=True)
class Embedded:
    """Consecutive images.

    Attributes:
        vectors: float32 (n, D); of zeros' embedding where an image cannot be used.
        reasons: Why it cannot; empty where it can.
    """

    vectors: Vectors
    reasons: list[str]


class FedNetwork:
    """A recogniser on its device.

    On the CPU tiles of ``TILE`` images are used, whatever the batch size, so that an embedding does not depend on how the
    work was cut. On CUDA every batch but the last is a full one.

    Args:
        recogniser: It; may be moved to the device.
        options: How faces become vectors.
        machine: Device and batch size.

    Raises:
        UsageError: 16-bit arithmetic is asked of a recogniser that frbias can only run.
    """

    def __init__(self, recogniser: "Recogniser", options: EmbedOptions, machine: Machine) -> None:
        target = choose_device(machine.resources.device)
        self.recogniser = in_arithmetic(recogniser, options.arithmetic).on(str(target))
        self.size, self.flip, self.on_cuda = recogniser.input_size, options.flip, target.type == "cuda"
        self.batch = machine.resources.batch_size if self.on_cuda else TILE
        self.read = self.batch if self.on_cuda else _READ

    def embed(self, paths: Sequence[Path | str]) -> Iterator[Embedded]:
        """Embeddings of image files in order, as many at a time as are read together."""
        room = _pinned if self.on_cuda else _plain
        for batch in face_batches(paths, self.size, self.read, threads=usable_cores(), room=room):
            tiles = range(0, len(batch.faces), self.batch)
            vectors = [self._forward(batch.faces[start : start + self.batch]) for start in tiles]
            yield Embedded(vectors[0] if len(vectors) == 1 else np.concatenate(vectors), batch.reasons)

    def _forward(self, faces: Faces) -> Vectors:
        count = len(faces)
        if count < self.batch:
            faces = np.concatenate([faces, np.zeros((self.batch - count, *faces.shape[1:]), np.uint8)])
        straight = self.recogniser.embed(faces)
        if self.flip == "none":
            return straight[:count]
        mirrored = self.recogniser.embed(np.ascontiguousarray(faces[:, :, ::-1]))
        both = straight + mirrored if self.flip == "add" else np.concatenate([straight, mirrored], axis=1)
        return both[:count]


def in_arithmetic(recogniser: "Recogniser", arithmetic: str) -> "Recogniser":
    """The recogniser computing in ``fp32`` or ``bf16``.

    Raises:
        UsageError: frbias can only run it, so its arithmetic is its own.
    """
    from frbias.core.recognisers.adapted import AdaptedRecogniser
    from frbias.core.recognisers.trainable.recogniser import Trainable

    if arithmetic == "fp32":
        return recogniser
    if isinstance(recogniser, AdaptedRecogniser):
        return replace(recogniser, base=in_arithmetic(recogniser.base, arithmetic))
    if isinstance(recogniser, Trainable):
        return replace(recogniser, arithmetic=arithmetic)
    raise UsageError(
        f"--arithmetic {arithmetic} needs a recogniser of a known architecture; {recogniser.name} computes as its file says."
    )


def _plain(shape: tuple[int, ...]) -> Faces:
    return np.zeros(shape, np.uint8)


def _pinned(shape: tuple[int, ...]) -> Faces:
    """Memory that a device can copy from in the background."""
    import torch

    found: Faces = torch.zeros(shape, dtype=torch.uint8, pin_memory=True).numpy()
    return found
