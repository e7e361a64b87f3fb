"""The networks that propose faces: YuNet (embedded) and the detector of an insightface pack."""

from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.assets.embedded import embedded_model
from frbias.core.faces.candidates import Candidates, candidates
from frbias.core.foundation.errors import AssetMissingError

Image = npt.NDArray[np.uint8]

# Below this nothing is a face, not even in a view around one.
LOWEST_SCORE = 0.3
_MOST = 5000


class FaceNetwork(Protocol):
    """Proposes faces in a picture that is looked at as it is, without scaling."""

    def look(self, pixels: Image) -> Candidates:
        """Everything with a score of at least ``LOWEST_SCORE`` in a uint8 RGB (height, width, 3) picture.

        Several candidates for the same face are wanted: they vote.
        """
        ...


class YuNetNetwork:
    """YuNet of the OpenCV model zoo (Wu, Peng, Yu 2023), without its non-maximum suppression."""

    def __init__(self) -> None:
        path = str(embedded_model("yunet"))
        # OpenCV 5 warns about a missing target on every load
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._net = cv2.FaceDetectorYN.create(path, "", (320, 320), LOWEST_SCORE, 1.0, _MOST)
        cv2.utils.logging.setLogLevel(level)

    def look(self, pixels: Image) -> Candidates:
        """See :class:`FaceNetwork`."""
        self._net.setInputSize((pixels.shape[1], pixels.shape[0]))
        _, rows = self._net.detect(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        values = np.zeros((0, 15)) if rows is None else np.asarray(rows, dtype=np.float64)
        return candidates(values[:, :4], values[:, 4:14], values[:, 14])


class InsightFaceNetwork:
    """The SCRFD (or RetinaFace) detector of an insightface pack, without its non-maximum suppression.

    A view is put into the top left corner of a black square, of one of four sizes or, for a graph of fixed size,
    of that size, so that insightface does not scale it. What is larger than the square it shrinks.

    Args:
        path: The detector's ONNX file.
    """

    _SQUARES = (320, 480, 640, 1280)

    def __init__(self, path: Path) -> None:
        from insightface.model_zoo import get_model

        self._model: Any = get_model(str(path), providers=["CPUExecutionProvider"])
        self._model.prepare(ctx_id=-1, input_size=(640, 640), nms_thresh=1.0, det_thresh=LOWEST_SCORE)
        height, width = self._model.session.get_inputs()[0].shape[2:4]
        self._fixed = int(max(height, width)) if isinstance(height, int) and isinstance(width, int) else 0

    def look(self, pixels: Image) -> Candidates:
        """See :class:`FaceNetwork`."""
        long = max(pixels.shape[:2])
        square = self._fixed or next((s for s in self._SQUARES if s >= long), self._SQUARES[-1])
        canvas = np.zeros((max(square, long), max(square, long), 3), dtype=np.uint8)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels[:, :, ::-1]
        boxes, points = self._model.detect(canvas, input_size=(square, square))
        corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 5)
        extents = np.hstack([corners[:, :2], corners[:, 2:4] - corners[:, :2]])
        return candidates(extents, points, corners[:, 4])


def insightface_detector_file(pack: str) -> Path:
    """The detector file (``det_*.onnx`` or ``scrfd_*.onnx``) of an insightface pack.

    Raises:
        AssetMissingError: No such pack is on this machine, or it holds no detector.
    """
    folder = Path(pack) if Path(pack).is_dir() else Path.home() / ".insightface" / "models" / pack
    found = sorted([*folder.glob("det_*.onnx"), *folder.glob("scrfd*.onnx")]) if folder.is_dir() else []
    if not found:
        raise AssetMissingError(
            f"The insightface pack {pack!r} (a folder with det_*.onnx) is not in {folder}; its weights are for "
            "non-commercial research only and come from https://github.com/deepinsight/insightface (model zoo).",
            hint=f"Unpack {pack}.zip into {folder}, or use --detector yunet, which needs nothing.",
        )
    return found[0]
