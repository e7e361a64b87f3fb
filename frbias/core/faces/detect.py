"""Detectors by name, and which face of a picture is taken: YuNet (embedded), insightface packs, points of the table."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from frbias.core.assets.embedded import EMBEDDED_MODELS
from frbias.core.faces.multiscale import Face, MultiScaleDetector
from frbias.core.faces.networks import InsightFaceNetwork, YuNetNetwork, insightface_detector_file
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import sha256_file

Image = npt.NDArray[np.uint8]
DETECTORS = "yunet, points, none or insightface:<pack>"
# Raised whenever the same picture would get other points.
DETECTION_VERSION = "2"
_INSIGHTFACE = "insightface:"


@lru_cache(maxsize=4)
def load_detector(name: str) -> MultiScaleDetector:
    """The detector called ``yunet`` or ``insightface:<pack>``; loaded once per process.

    Raises:
        UsageError: The name is unknown.
        AssetMissingError: The pack is not on this machine, or YuNet cannot be fetched.
    """
    if name == "yunet":
        return MultiScaleDetector(YuNetNetwork())
    if name.startswith(_INSIGHTFACE) and len(name) > len(_INSIGHTFACE):
        return MultiScaleDetector(InsightFaceNetwork(insightface_detector_file(name.removeprefix(_INSIGHTFACE))), 0.5)
    raise UsageError(f"--detector {name!r} is unknown; use {DETECTORS}.")


def describe_detector(name: str) -> dict[str, str]:
    """Name, hash and version of a detector for provenance; checks that it is there.

    Raises:
        UsageError: The name is unknown.
        AssetMissingError: The pack is not on this machine.
    """
    if name in ("points", "none"):
        return {"name": name}
    if name == "yunet":
        return {"name": name, "sha256": EMBEDDED_MODELS["yunet"].sha256, "version": DETECTION_VERSION}
    if name.startswith(_INSIGHTFACE) and len(name) > len(_INSIGHTFACE):
        digest = sha256_file(insightface_detector_file(name.removeprefix(_INSIGHTFACE)))
        return {"name": name, "sha256": digest, "version": DETECTION_VERSION}
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


def find_face(detector: MultiScaleDetector, image: Image, rule: str) -> tuple[Face | None, int]:
    """The face that ``rule`` takes, with refined points, and how many faces the picture has.

    Only the face that is taken is looked at again, unless the rule is ``reject``. A find that no view shows again
    is no face as long as the picture has others.

    Args:
        detector: What finds faces.
        image: uint8 RGB (height, width, 3).
        rule: See :func:`choose_face`.
    """
    found = detector.search(image)
    if rule == "reject" and len(found) > 1:
        faces = detector.detect(image)
        return choose_face(faces, rule, image.shape), len(faces)
    left = list(found)
    while left:
        face = choose_face(left, rule, image.shape)
        if face is None:
            break
        refined = detector.refine(image, face, found)
        if refined.views:
            return refined, len(left)
        left = [other for other in left if other is not face]
    return choose_face(found, rule, image.shape), len(found)
