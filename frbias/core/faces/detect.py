"""Finding faces and their five points: YuNet (embedded), insightface packs, or the points in the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from frbias.core.assets.embedded import EMBEDDED_MODELS, embedded_model
from frbias.core.foundation.errors import AssetMissingError, UsageError
from frbias.core.foundation.files import sha256_file

Image = npt.NDArray[np.uint8]
DETECTORS = "yunet, points or insightface:<pack>"
_INSIGHTFACE = "insightface:"


@dataclass(frozen=True)
class Face:
    """A face found in an image.

    Attributes:
        box: (x, y, width, height), pixels.
        points: (5, 2) pixels: viewer's left eye, right eye, nose tip, left and right mouth corner.
        score: Confidence of the detector, 0..1.
    """

    box: tuple[float, float, float, float]
    points: npt.NDArray[np.float64]
    score: float

    @property
    def area(self) -> float:
        """Area of the box, square pixels."""
        return self.box[2] * self.box[3]


class Detector(Protocol):
    """Finds faces in RGB images."""

    def detect(self, image: Image) -> list[Face]:
        """All faces of a uint8 RGB (height, width, 3) image, best score first; an empty list when there is none."""
        ...


class YuNet:
    """YuNet of the OpenCV model zoo (Wu, Peng, Yu 2023).

    An image is looked at with its long side at 640 pixels; when nothing is found, at 1280 (small faces), and
    then with a margin around it (faces that fill the picture).

    Args:
        threshold: Smallest confidence, 0..1.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        path = str(embedded_model("yunet"))
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of targets nobody asked for
        # OpenCV 5 warns about a missing target on every load
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._net = cv2.FaceDetectorYN.create(path, "", (320, 320), threshold, 0.3, 5000)
        cv2.utils.logging.setLogLevel(level)

    def detect(self, image: Image) -> list[Face]:
        """Faces of a uint8 RGB image, best score first."""
        for side, margin in ((640, 0.0), (1280, 0.0), (640, 0.5)):
            faces = self._look(image, side, margin)
            if faces:
                return faces
        return []

    def _look(self, image: Image, side: int, margin: float) -> list[Face]:
        height, width = image.shape[:2]
        border = round(margin * max(height, width))
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_CONSTANT) if border else image
        scale = side / max(framed.shape[:2])
        scale = min(scale, 4.0)
        size = (max(1, round(framed.shape[1] * scale)), max(1, round(framed.shape[0] * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        view = cv2.cvtColor(np.asarray(cv2.resize(framed, size, interpolation=method)), cv2.COLOR_RGB2BGR)
        self._net.setInputSize(size)
        _, rows = self._net.detect(view)
        factors = np.array([framed.shape[1] / size[0], framed.shape[0] / size[1]])
        faces = [_face(row, factors, border) for row in ([] if rows is None else rows)]
        return sorted((f for f in faces if np.isfinite(f.points).all()), key=lambda f: -f.score)


def _face(row: npt.NDArray[np.float32], factors: npt.NDArray[np.float64], border: int) -> Face:
    values = row.astype(np.float64)
    corner = values[:2] * factors - border
    extent = values[2:4] * factors
    points = values[4:14].reshape(5, 2) * factors - border
    return Face((corner[0], corner[1], extent[0], extent[1]), points, float(values[14]))


class InsightFaceDetector:
    """The SCRFD detector of an insightface pack that the user has (``~/.insightface/models/<pack>``).

    Args:
        pack: Name of the pack, e.g. ``buffalo_l``, or its folder.

    Raises:
        AssetMissingError: The pack is not there or has no detector.
    """

    def __init__(self, pack: str) -> None:
        from insightface.model_zoo import get_model

        path = insightface_detector_file(pack)
        self._model: Any = get_model(str(path), providers=["CPUExecutionProvider"])
        self._model.prepare(ctx_id=-1, input_size=(640, 640))

    def detect(self, image: Image) -> list[Face]:
        """Faces of a uint8 RGB image, best score first."""
        boxes, points = self._model.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        faces = []
        for box, five in zip(boxes, points, strict=True):
            x1, y1, x2, y2, score = (float(v) for v in box)
            faces.append(Face((x1, y1, x2 - x1, y2 - y1), np.asarray(five, dtype=np.float64), score))
        return sorted(faces, key=lambda f: -f.score)


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


@lru_cache(maxsize=4)
def load_detector(name: str) -> Detector:
    """The detector called ``yunet`` or ``insightface:<pack>``; loaded once per process.

    Raises:
        UsageError: The name is unknown.
        AssetMissingError: The pack is not on this machine, or YuNet cannot be fetched.
    """
    if name == "yunet":
        return YuNet()
    if name.startswith(_INSIGHTFACE) and len(name) > len(_INSIGHTFACE):
        return InsightFaceDetector(name.removeprefix(_INSIGHTFACE))
    raise UsageError(f"--detector {name!r} is unknown; use {DETECTORS}.")


def describe_detector(name: str) -> dict[str, str]:
    """Name and hash of a detector for provenance; checks that it is there.

    Raises:
        UsageError: The name is unknown.
        AssetMissingError: The pack is not on this machine.
    """
    if name == "points":
        return {"name": name}
    if name == "yunet":
        return {"name": name, "sha256": EMBEDDED_MODELS["yunet"].sha256}
    if name.startswith(_INSIGHTFACE) and len(name) > len(_INSIGHTFACE):
        return {"name": name, "sha256": sha256_file(insightface_detector_file(name.removeprefix(_INSIGHTFACE)))}
    raise UsageError(f"--detector {name!r} is unknown; use {DETECTORS}.")


def choose_face(faces: Sequence[Face], rule: str, shape: tuple[int, ...]) -> Face | None:
    """Pick one face of an image.

    Args:
        faces: What the detector found.
        rule: ``largest`` box, ``central`` (box centre nearest the image centre), or ``reject`` (None unless single).
        shape: (height, width, ...) of the image.
    """
    if not faces or (rule == "reject" and len(faces) > 1):
        return None
    if rule == "central":
        middle = np.array([shape[1] / 2, shape[0] / 2])
        return min(faces, key=lambda f: float(np.hypot(*(np.array(f.box[:2]) + np.array(f.box[2:]) / 2 - middle))))
    return max(faces, key=lambda f: f.area)
