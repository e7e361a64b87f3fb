"""Known points of the face: the five of the table and the 68 of FG-NET's annotation."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import HeadData, load_head
from frbias.synth.mesh.surface import Anchors, anchor

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

# Frontal template coordinates (decimetres) of one half of the face; x is mirrored for the other.
_JAW = ((0.665, 7.30), (0.655, 7.10), (0.625, 6.90), (0.555, 6.70), (0.475, 6.54), (0.345, 6.38), (0.180, 6.30))
_CHIN = (0.0, 6.28)
# outer end, upper outer, upper inner, inner end, lower inner, lower outer
_BROW = ((0.53, 7.44), (0.42, 7.525), (0.26, 7.53), (0.11, 7.49), (0.26, 7.465), (0.42, 7.465))
# outer corner, upper lid, inner corner, lower lid
_EYE = ((0.420, 7.345), (0.300, 7.392), (0.166, 7.312), (0.300, 7.296))
_NOSE = ((0.085, 7.33), (0.095, 7.14), (0.180, 6.98), (0.110, 6.925))
_NOSE_BASE = (0.0, 6.905)
_NOSTRIL = (0.090, 6.940)
_LIPS = ((0.225, 6.672), (0.13, 6.745), (0.045, 6.785), (0.0, 6.768))
_LOWER = ((0.14, 6.605), (0.07, 6.567), (0.0, 6.560))
_INNER = ((0.09, 6.692), (0.0, 6.692))
_INNER_LOWER = ((0.09, 6.678), (0.0, 6.676))
_TIP = (0.0, 7.0)
EYE_CENTRES = (31, 36)
NOSE_TIP = 67
MOUTH_CORNERS = (48, 54)


def _mirror(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    return [(-x, y) for x, y in points]


def template_points() -> Array:
    """The 68 points on the neutral adult in FG-NET's order, float64 (68, 2).

    Order: 0-14 face outline from the viewer's left over the chin, 15-20 the viewer's right brow and
    21-26 the left one (outer end, upper edge inwards, inner end, lower edge outwards), 27-30 and 32-35
    left and right eye (outer corner, upper lid, inner corner, lower lid), 31 and 36 their centres, 37-45
    nose from the left of the bridge round its base, 46-47 nostrils, 48-59 outer lips from the left
    corner over the upper lip, 60-65 inner lips, 66 middle of the mouth, 67 tip of the nose.
    """
    jaw = [*_mirror(_JAW), _CHIN, *reversed(_JAW)]
    centre = (0.289, 7.352)
    eyes = [*_mirror(_EYE), (-centre[0], centre[1]), *_EYE, centre]
    nose = [*_mirror(_NOSE), _NOSE_BASE, *reversed(_NOSE), (-_NOSTRIL[0], _NOSTRIL[1]), _NOSTRIL]
    upper = [*_mirror(_LIPS), *reversed(_LIPS[:3])]
    lower = [*_LOWER, *reversed(_mirror(_LOWER[:2]))]
    inner = [*_mirror(_INNER[:1]), _INNER[1], _INNER[0], _INNER_LOWER[0], _INNER_LOWER[1], *_mirror(_INNER_LOWER[:1])]
    points = [*jaw, *_BROW, *_mirror(_BROW), *eyes, *nose, *upper, *lower, *inner, (0.0, 6.68), _TIP]
    return np.array(points)


@lru_cache(maxsize=1)
def _anchors() -> Anchors:
    return anchor(load_head(), template_points())


def face_points(head: HeadData, control: FloatArray, drawn: FloatArray) -> FloatArray:
    """The 68 points on a face in the head's frame, float32 (68, 3); the eye centres lie on the eyeballs."""
    points = _anchors().on(drawn)
    for number, ball in zip(EYE_CENTRES, (head.eye_right, head.eye_left), strict=True):
        corner = control[ball]
        centre = (corner.max(axis=0) + corner.min(axis=0)) / 2
        radius = np.linalg.norm(corner - centre, axis=1).mean()
        points[number] = centre + np.array([0, 0, radius])
    return points


def five_points(points: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Viewer's left eye, right eye, nose tip, left and right mouth corner out of the 68, shape (5, c)."""
    return points[[*EYE_CENTRES, NOSE_TIP, *MOUTH_CORNERS]]
