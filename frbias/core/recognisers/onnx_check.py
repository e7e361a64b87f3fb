"""Does an ONNX recogniser compute what a network computes? Asked whenever one is written or read."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.foundation.errors import BadInputError
from frbias.core.recognisers.trainable.base import Backbone

MEAN = SCALE = 127.5
TOLERANCE = 1e-4
_IMAGES = 3


def check_onnx(model: Backbone, path: Path) -> float:
    """Largest difference between an ONNX file and a network on fixed images, over the largest embedding value.

    The file gets pixels as insightface normalises them, the network as its own preprocessing does. Batches of one and of
    several images are compared, so that a fixed batch axis shows.

    Raises:
        BadInputError: The difference is above 1e-4, or the file does not run.
    """
    import onnxruntime

    images = fixed_images(_IMAGES, model.input_size)
    blob = ((images.astype(np.float32) - MEAN) / SCALE).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = model.eval()(model.preprocess(torch.from_numpy(images))).numpy()
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        one, several = (session.run(None, {name: np.ascontiguousarray(part)})[0] for part in (blob[:1], blob))
    except Exception as error:  # onnxruntime has kinds of its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInputError(f"{path.name} does not run: {reason}") from error
    difference = max(np.abs(one - expected[:1]).max(), np.abs(several - expected).max())
    relative = float(difference / np.abs(expected).max())
    if not relative <= TOLERANCE:
        raise BadInputError(
            f"The ONNX graph differs from the network by {relative:.2g} of the largest value (allowed {TOLERANCE:g}); "
            "it is not used."
        )
    return relative


def fixed_images(count: int, size: int) -> npt.NDArray[np.uint8]:
    """Smooth pictures that are the same on every machine, uint8 (count, size, size, 3)."""
    y, x = np.mgrid[0:size, 0:size] / size
    phases = np.arange(count * 3).reshape(count, 1, 1, 3)
    waves = np.sin(2 * np.pi * (x[..., None] * (1 + phases % 3) + y[..., None] * (1 + phases % 2)) + phases)
    return (127.5 + 100 * waves).astype(np.uint8)
