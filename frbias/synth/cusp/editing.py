"""Ageing a face: encode the photograph once, decode it at every age."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frbias.core.faces.dex import AgeClassifier
from frbias.core.foundation.devices import exact_arithmetic
from frbias.core.foundation.errors import UsageError
from frbias.synth.cusp.network import CuspNetwork
from frbias.synth.cusp.saliency import MaskRule, gradient_map, mask_is_zero, saturated_mask
from frbias.synth.stylegan2 import Noise

NoiseMode = Literal["const", "random", "none"]
NOISE_MODES: tuple[NoiseMode, ...] = ("const", "random", "none")
Precision = Literal["fp32", "fp16", "bf16"]
_TOGETHER = 32  # images that a device decodes at a time
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Encoded:
    """What of a face (or of n) does not depend on the age it is shown at.

    Attributes:
        content: Coarsest content features (1, c, R / 32, R / 32).
        skip: Blurred skip connection (1, c, H, W).
        style: Style code (1, style_dim).
        mask: Saliency mask (1, 1, R, R); None where the rule makes it 0.
    """

    content: Tensor
    skip: Tensor
    style: Tensor
    mask: Tensor | None

    def each(self) -> "list[Encoded]":
        """Of n faces, each by itself."""
        masks = [None] * len(self.style) if self.mask is None else list(self.mask.split(1))
        parts = zip(self.content.split(1), self.skip.split(1), self.style.split(1), masks, strict=True)
        return [Encoded(content, skip, style, mask) for content, skip, style, mask in parts]


def _together(faces: Sequence[Encoded]) -> Encoded:
    """Faces as one batch; their masks have done their work."""
    if len(faces) == 1:
        return faces[0]
    parts = zip(*((face.content, face.skip, face.style) for face in faces), strict=True)
    content, skip, style = (torch.cat(part) for part in parts)
    return Encoded(content, skip, style, None)


class CuspEditor:
    """A CUSP network at work on one device.

    On the CPU every image is decoded by itself and by one thread, several images at a time: its bytes depend neither
    on what else is in the call nor on the number of threads (sums in convolutions are ordered differently when
    threads share one). On CUDA faces are encoded together, and images are decoded together, whosever they are.

    Args:
        network: The network, float32; moved to the device.
        rule: Mask rule.
        classifier: The age classifier; needed unless the rule makes the mask 0 everywhere.
        global_blur, mask_blur: Strengths of the two blurs, 0..1.
        device: Where to work.
        precision: Of the finer decoder blocks (those the original runs in fp16): ``fp32``, ``fp16`` or ``bf16``.
        compiled: Compile the decoder (CUDA).

    Raises:
        UsageError: A blur is out of range, or the rule needs a classifier and there is none.
    """

    def __init__(
        self,
        network: CuspNetwork,
        *,
        rule: MaskRule,
        classifier: AgeClassifier | None = None,
        global_blur: float = 0.2,
        mask_blur: float = 0.8,
        device: torch.device | None = None,
        precision: Precision = "fp32",
        compiled: bool = False,
    ) -> None:
        if not (0 <= global_blur <= 1 and 0 <= mask_blur <= 1):
            raise UsageError("Blur strengths are numbers from 0 (none) to 1 (strongest).")
        self.device = device or torch.device("cpu")
        self.batched = self.device.type != "cpu"
        self.network = network.to(self.device).eval()
        self.config = network.config
        self.masked = not mask_is_zero(self.config.resolution, rule)
        if self.masked and classifier is None:
            raise UsageError(f"The mask rule {rule!r} needs the DEX age classifier.")
        self.rule, self.global_blur, self.mask_blur = rule, global_blur, mask_blur
        self.classifier = classifier.to(self.device) if self.masked and classifier is not None else None
        self.precision = precision
        self._prepare(compiled)
        with torch.inference_mode():
            self.codes = self.network.age_codes(torch.arange(self.config.labels, device=self.device))

    def _prepare(self, compiled: bool) -> None:
        for block, resolution in zip(self.network.image_dec.blocks(), self.config.block_resolutions, strict=True):
            half = self.precision != "fp32" and self.config.half_precision(resolution)
            block.dtype = _DTYPES[self.precision] if half else torch.float32
        if self.device.type == "cuda":
            exact_arithmetic()
            self.network.image_dec.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._decoder = torch.compile(self.network.image_dec) if compiled else self.network.image_dec

    def encode(self, image: npt.NDArray[np.uint8]) -> Encoded:
        """Encode an RGB image (R, R, 3), uint8."""
        return self.encode_all([image])[0]

    def encode_all(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[Encoded]:
        """:meth:`encode` of several images."""
        if not self.batched:
            return [self._encode(image[None]) for image in images]
        return self._encode(np.stack(images)).each() if images else []

    def _encode(self, images: npt.NDArray[np.uint8]) -> Encoded:
        x = to_input(images, self.device)
        with one_thread(self.device), torch.no_grad():
            content = self.network.content_enc(x)
            style = self.network.style_code(x)
            mask = None
            if self.classifier is not None:
                mask = saturated_mask(gradient_map(self.classifier, x), self.rule)
            skip = self.network.merge_skip(content[self.config.skip_level], mask, self.global_blur, self.mask_blur)
        return Encoded(content[-1], skip, style, mask)

    def decode_labels(
        self, face: Encoded, labels: Sequence[int], noise: NoiseMode = "const", seeds: Sequence[int] | None = None
    ) -> npt.NDArray[np.uint8]:
        """Pictures of an encoded face at age labels: uint8 RGB (n, R, R, 3); arguments as :meth:`decode`."""
        return to_pixels(self.decode([face] * len(labels), labels, noise, seeds))

    def decode(
        self,
        faces: Sequence[Encoded],
        labels: Sequence[int],
        noise: NoiseMode = "const",
        seeds: Sequence[int] | None = None,
    ) -> Tensor:
        """What the network gives for encoded faces at age labels.

        Args:
            faces: From :meth:`encode`, one per image.
            labels: One label per image.
            noise: ``const`` (stored), ``none``, or ``random``.
            seeds: One seed per image for ``random``; drawn on the CPU, the same on every device.

        Returns:
            float32 (n, 3, R, R), about -1..1, not clipped.

        Raises:
            UsageError: Random noise without a seed for every image.
        """
        if noise == "random" and (seeds is None or len(seeds) != len(labels)):
            raise UsageError("Random noise needs a seed for every image.")
        step = _TOGETHER if self.batched else 1
        starts = range(0, len(labels), step)

        def part(start: int) -> Tensor:
            chosen = slice(start, start + step)
            drawn = self._noise(noise, (seeds or ())[chosen])
            with torch.no_grad():
                return self._decode(_together(faces[chosen]), list(labels[chosen]), drawn)

        with one_thread(self.device) as threads:
            if threads == 1 or len(starts) == 1:
                images = [part(start) for start in starts]
            else:
                with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                    images = list(pool.map(part, starts))
        return torch.cat(images) if images else torch.empty(0, 3, self.config.resolution, self.config.resolution)

    def _decode(self, face: Encoded, labels: list[int], noise: Noise) -> Tensor:
        ws = self.network.slots(face.style, self.codes[torch.tensor(labels, device=self.device)])
        image: Tensor = self._decoder(face.content, face.skip, ws, noise)
        return image

    def _noise(self, mode: NoiseMode, seeds: Sequence[int]) -> Noise:
        if mode != "random":
            return mode
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

        def draw(resolution: int) -> Tensor:
            planes = [torch.randn((1, 1, resolution, resolution), generator=g) for g in generators]
            return torch.cat(planes).to(self.device)

        return draw


@contextmanager
def one_thread(device: torch.device) -> Iterator[int]:
    """Let torch use one thread on the CPU for a while; yields how many it may use otherwise (1 on CUDA)."""
    if device.type != "cpu":
        yield 1
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def to_input(images: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """RGB images (n, R, R, 3) as the network takes them: (n, 3, R, R), value / 256 * 2 - 1."""
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).to(device)
    return pixels.float() / 256 * 2 - 1


def to_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """Network outputs (n, 3, R, R) as uint8 RGB (n, R, R, 3): (y + 1) * 128, clipped, truncated."""
    values = ((images.float() + 1) * 128).clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).cpu().numpy())
