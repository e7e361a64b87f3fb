"""Ages that faces look, by the embedded estimator, straight from aligned ArcFace crops.

The estimator is dlib's age predictor (a ResNet over 81 classes, 0 to 80 years; CC0). It was trained on dlib's 64 pixel
face chips: a square 1.5 times the face's mean shape, in which the eye centres lie at fixed places. An ArcFace crop
contains that square but for a strip of chin, so the chip is cut from the crop by the similarity that takes the crop's
eyes to the chip's.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.assets.age_model import AGE_MODEL, age_model
from frbias.core.faces.align import arcface_template, similarity_transform

_SIDE = 64
_PADDING = 0.25
# Eye centres in dlib's mean shape of five points (means of the two corners of each eye).
_EYES = np.array([[0.2273300617, 0.2213958466], [0.7528139680, 0.2212327963]])
_MEANS = np.array([122.781998, 117.000999, 104.297997], np.float32)
_BATCH = 256
_YEARS = np.array([0.25, *range(1, 81)])


class ApparentAge:
    """The estimator; loads its model when it is made.

    Attributes:
        sha256: Hash of the model.

    Raises:
        AssetMissingError: The model is not on this machine and cannot be fetched.
    """

    sha256 = AGE_MODEL.sha256

    def __init__(self, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(age_model()), options, providers=["CPUExecutionProvider"])

    def __call__(
        self, crops: npt.NDArray[np.uint8], advance: Callable[[int], None] = lambda done: None
    ) -> npt.NDArray[np.float64]:
        """Apparent ages in years, 0.25..80 (n,), of aligned crops (n, S, S, 3), uint8 RGB; mean of the distribution."""
        found = []
        for start in range(0, len(crops), _BATCH):
            chips = np.stack([chip_of(crop) for crop in crops[start : start + _BATCH]])
            pixels = (chips.astype(np.float32) - _MEANS) / 256
            (chances,) = self._session.run(None, {"images": np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})
            found.append(np.asarray(chances, np.float64) @ _YEARS)
            advance(len(chips))
        return np.concatenate(found) if found else np.zeros(0)


def chip_of(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The 64 x 64 face chip of an aligned ArcFace crop (side a multiple of 112 or 128)."""
    chip_eyes = (_EYES + _PADDING) / (1 + 2 * _PADDING) * _SIDE
    matrix = similarity_transform(arcface_template(len(crop))[:2], chip_eyes)
    small = cv2.warpAffine(crop, matrix, (_SIDE, _SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(small, dtype=np.uint8)
