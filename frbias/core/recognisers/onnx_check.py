"""Does an ONNX recogniser compute what a network computes? Asked whenever one is written or read."""

from pathlib import Path

import numpy as np
import torch

from frbias.core.foundation.errors import BadInputError, reason_of
from frbias.core.recognisers.base import Pixels
from frbias.core.recognisers.probing import TOLERANCE, fixed_images
from frbias.core.recognisers.trainable.base import Backbone

MEAN = 127.5
AS_INSIGHTFACE = Pixels()
_IMAGES = 3


def check_onnx(model: Backbone, path: Path, pixels: Pixels = AS_INSIGHTFACE) -> float:
    """Largest difference between an ONNX file and a network on fixed images, over the largest embedding value.

    The file gets RGB normalised as ``pixels`` says, the network as its own preprocessing does. Batches of one and of
    several images are compared, so that a fixed batch axis shows.

    Raises:
        BadInputError: The difference is above 1e-4, or the file does not run.
    """
    import onnxruntime

    images = fixed_images(_IMAGES, model.input_size)
    mean, scale = (np.array(values, dtype=np.float32) for values in (pixels.mean, pixels.scale))
    blob = ((images.astype(np.float32) - mean) / scale).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = model.eval()(model.preprocess(torch.from_numpy(images))).numpy()
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        one, several = (session.run(None, {name: np.ascontiguousarray(part)})[0] for part in (blob[:1], blob))
    except Exception as error:  # onnxruntime has kinds of its own
        reason = reason_of(error)
        raise BadInputError(f"{path.name} does not run: {reason}") from error
    difference = max(np.abs(one - expected[:1]).max(), np.abs(several - expected).max())
    relative = float(difference / np.abs(expected).max())
    if not relative <= TOLERANCE:
        raise BadInputError(
            f"The ONNX graph differs from the network by {relative:.2g} of the largest value (allowed {TOLERANCE:g}); "
            "it is not used."
        )
    return relative
