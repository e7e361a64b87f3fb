"""DEX, the age classifier with an output for every year from 0 to 100: a VGG-16 (Rothe et al., IJCV 2018).

CUSP asks its gradients where a face shows its age; the calibration of EG3D-Age asks how old faces look.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frbias.core.assets.exact_loading import load_exactly
from frbias.core.assets.store import resolve_weights
from frbias.core.foundation.constants import constant
from frbias.core.foundation.errors import BadInputError
from frbias.core.foundation.files import sha256_file
from frbias.core.installing.recognise import recognise

CLASSIFIER_SIDE = 224
# Means that DEX was trained with, in the order of its channels: B, G, R.
MEANS = (0.40760392, 0.45795686, 0.48501961)
# CUSP subtracts them in the order R, G, B: a slip that its networks were trained with.
CUSP_MEANS = (0.48501961, 0.45795686, 0.40760392)
_GROUPS = (2, 2, 3, 3, 3)
_BATCH = 16


class GuidedReLU(torch.autograd.Function):
    """ReLU that lets gradients back only where both input and gradient are positive (Springenberg et al. 2015)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        """max(x, 0)."""
        ctx.save_for_backward(x > 0)
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        """gradient where the input and the gradient are positive."""
        (positive,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * positive * (gradient > 0)


class AgeClassifier(nn.Module):
    """VGG-16 with an output for every year (DEX, Rothe et al., IJCV 2018).

    Args:
        widths: Channels of the five groups of convolutions.
        pooled: Height and width of the last feature map.
        hidden: Units of ``fc6`` and ``fc7``.
        outputs: Number of ages.
        guided: Use :class:`GuidedReLU`.

    Attributes:
        means: Of the three channels (0..1) in the order B, G, R in which the network takes them; :data:`CUSP_MEANS`
            unless set otherwise.
    """

    def __init__(
        self, widths: tuple[int, ...], pooled: int, hidden: int, outputs: int, *, guided: bool = False
    ) -> None:
        super().__init__()
        self.guided, self.means = guided, CUSP_MEANS
        previous = 3
        for group, (width, count) in enumerate(zip(widths, _GROUPS, strict=True), start=1):
            for index in range(1, count + 1):
                self.add_module(f"conv{group}_{index}", nn.Conv2d(previous, width, 3, padding=1))
                previous = width
        self.fc6 = nn.Linear(previous * pooled * pooled, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8_101 = nn.Linear(hidden, outputs)

    def _relu(self, x: Tensor) -> Tensor:
        return GuidedReLU.apply(x) if self.guided else F.relu(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, R, R), RGB in -1..1, to logits (N, outputs)."""
        x = x.flip(1)
        if x.shape[-1] != CLASSIFIER_SIDE or x.shape[-2] != CLASSIFIER_SIDE:
            x = F.interpolate(x, (CLASSIFIER_SIDE, CLASSIFIER_SIDE), mode="bilinear", align_corners=False)
        x = (x + 1) * 127.5 - 255 * constant(self.means, x.dtype, x.device).view(1, 3, 1, 1)
        for group, count in enumerate(_GROUPS, start=1):
            for index in range(1, count + 1):
                x = self._relu(self.get_submodule(f"conv{group}_{index}")(x))
            x = F.max_pool2d(x, 2, 2)
        x = self._relu(self.fc6(x.flatten(1)))
        logits: Tensor = self.fc8_101(self._relu(self.fc7(x)))
        return logits


def classifier_of(tensors: Mapping[str, Tensor], *, guided: bool = False) -> AgeClassifier:
    """The age classifier of a state dict in DEX's names (``conv1_1`` ... ``fc8-101``).

    Raises:
        BadInputError: Tensors are missing, left over or of other shapes.
    """
    renamed = {name.replace("-", "_"): value.float() for name, value in tensors.items()}
    try:
        widths = tuple(int(renamed[f"conv{group}_1.weight"].shape[0]) for group in range(1, 6))
        hidden, inputs = renamed["fc6.weight"].shape
        outputs = int(renamed["fc8_101.weight"].shape[0])
    except (KeyError, ValueError) as error:
        raise BadInputError(f"These tensors are not those of the DEX age classifier: {error} is missing.") from error
    pooled = round((inputs / widths[-1]) ** 0.5)
    classifier = AgeClassifier(widths, pooled, int(hidden), outputs, guided=guided)
    load_exactly(classifier, renamed, "DEX age classifier")
    return classifier.eval().requires_grad_(False)


def load_dex(name: str = "dex") -> tuple[AgeClassifier, str]:
    """The classifier and the hash of its file.

    Args:
        name: A registered name or a weight file.

    Raises:
        AssetMissingError: It is not installed; says where it comes from.
        BadInputError: The file is something else.
    """
    path = resolve_weights(name, "age-classifier")
    found = recognise(path)
    if found.kind != "age-classifier" or found.tensors is None:
        raise BadInputError(f"{path} is not the DEX age classifier, but {found.kind} {found.variant}.")
    return classifier_of(found.tensors), sha256_file(path)


class DexEstimator:
    """Ages that faces look, by the mean of DEX's distribution over years (Rothe et al., eq. 1).

    Args:
        classifier: The classifier.
        device: Where to run.
    """

    def __init__(self, classifier: AgeClassifier, device: torch.device | str = "cpu") -> None:
        classifier.means = MEANS
        self.classifier, self.device = classifier.to(device), torch.device(device)

    @torch.inference_mode()
    def __call__(
        self, faces: npt.NDArray[np.uint8], advance: Callable[[int], None] = lambda done: None
    ) -> npt.NDArray[np.float64]:
        """Ages in years, 0..100 (n,), of faces (n, H, W, 3), uint8 RGB, with head and hair in the picture."""
        found = []
        for start in range(0, len(faces), _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(faces[start : start + _BATCH])).to(self.device)
            logits = self.classifier(batch.permute(0, 3, 1, 2).float() / 127.5 - 1)
            years = torch.arange(logits.shape[1], dtype=torch.float64, device=self.device)
            found.append((torch.softmax(logits.double(), dim=1) @ years).cpu().numpy())
            advance(len(batch))
        return np.concatenate(found) if found else np.zeros(0)
