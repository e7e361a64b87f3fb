"""Finding faces and their points over several scales, with any network.

A network answers well for faces of some sizes only. Asked about a portrait that the face fills, it still finds the
face, but its points are off by a fifth of an eye distance and more. So a picture is searched at two scales (long
side 320 and 640 pixels: large faces and small ones), what is the same face in both is matched, and each face is
then looked at again by itself, at scales relative to *its* size, plain and mirrored. The points are medians:

* in a view, over the ten best candidates for the face (a network proposes it from several anchors),
* over the views, of which there are three to six: no more when three or more already agree.

The agreement of the views is reported with the points; it says which ones not to trust. Candidates are told apart
by the face that they overlap most with, so that faces side by side keep their own points.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.core.faces.candidates import Candidates, distinct, overlaps, together
from frbias.core.faces.networks import FaceNetwork
from frbias.core.faces.views import MAX_ENLARGEMENT, View, around, whole

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

SEARCH_SIDES = (320, 640)
# Only when nothing was found: smaller faces, then faces that leave the picture.
FURTHER_SEARCHES = (((1280, 0.0),), ((640, 0.5), (320, 0.5)))
# Side of the face in a view (root of the box's area, pixels), and whether the view is mirrored.
LADDER = ((178, False), (250, True), (321, False), (178, True), (250, False), (321, True))
# For faces whose side in the picture is below SMALL pixels: enlarged as far as above they are only blurred.
SMALL = 64
SMALL_LADDER = ((45, False), (60, True), (75, False), (45, True), (60, False), (75, True))
FEWEST_VIEWS = 3
ENOUGH_AGREEMENT = 0.96
_CONTEXT = 1.8
_SAME_FACE = 0.3
_INSIDE = 0.8
_OWN = 0.4
_VOTERS = 10
_VOTE_SHARE = 0.5


@dataclass(frozen=True)
class Face:
    """A face found in an image.

    Attributes:
        box: (x, y, width, height), pixels.
        points: (5, 2) pixels: viewer's left eye, right eye, nose tip, left and right mouth corner.
        score: Confidence of the detector, 0..1: the median over the views that saw the face.
        agreement: 1 minus the root mean square distance of the views' points from their median, in eye distances;
            at most 1, at least 0. NaN where fewer than two views saw the face.
        views: Views that the points are the median of; 0: the points of the search alone.
        framed: It was found only with a margin around the picture.
    """

    box: tuple[float, float, float, float]
    points: Array
    score: float
    agreement: float = float("nan")
    views: int = 0
    framed: bool = False

    @property
    def area(self) -> float:
        """Area of the box, square pixels."""
        return self.box[2] * self.box[3]


class MultiScaleDetector:
    """Finds faces with a network, and their points as medians over scales.

    Args:
        network: What proposes faces.
        threshold: Smallest confidence of the search, 0..1.
    """

    def __init__(self, network: FaceNetwork, threshold: float = 0.6) -> None:
        self._network = network
        self._threshold = threshold

    def detect(self, image: Image) -> list[Face]:
        """All faces of a uint8 RGB (height, width, 3) image with refined points, best score first."""
        found = self.search(image)
        refined = [self.refine(image, face, found) for face in found]
        seen = [face for face in refined if face.views] or refined
        return sorted(seen, key=lambda face: -face.score)

    def search(self, image: Image) -> list[Face]:
        """Where the faces are, best score first; their points are those of one scale."""
        for looks in (tuple((side, 0.0) for side in SEARCH_SIDES), *FURTHER_SEARCHES):
            views = [whole(image, side, margin) for side, margin in looks]
            found = distinct(together([self._seen(view) for view in views]), _SAME_FACE, _INSIDE)
            sure = found.chosen(found.scores >= self._threshold)
            if len(sure):
                framed = looks[0][1] > 0
                return [
                    Face(_box(box), points, float(score), framed=framed)
                    for box, points, score in zip(sure.boxes, sure.points, sure.scores, strict=True)
                ]
        return []

    def refine(self, image: Image, face: Face, found: list[Face]) -> Face:
        """The face with points from views around it.

        Args:
            image: The picture.
            face: One of ``found``.
            found: All faces of the search.

        Returns:
            The face, unchanged when no view shows it again.
        """
        side = max(float(np.sqrt(face.area)), 1.0)
        centre = np.array(face.box[:2]) + np.array(face.box[2:]) / 2
        others = np.array([other.box for other in found if other is not face]).reshape(-1, 4)
        votes: list[tuple[Array, Array, float]] = []
        for target, mirrored in LADDER if side >= SMALL else SMALL_LADDER:
            scale = min(target / side, MAX_ENLARGEMENT)
            view = around(image, centre, _CONTEXT * side, scale, padded=face.framed, mirrored=mirrored)
            own = belonging(self._seen(view), np.array(face.box), others)
            if len(own):
                votes.append(_vote(own))
            if len(votes) >= FEWEST_VIEWS and agreement([vote[1] for vote in votes]) >= ENOUGH_AGREEMENT:
                break
        if not votes:
            return face
        boxes, points, scores = (np.array([vote[i] for vote in votes]) for i in range(3))
        return Face(
            _box(np.median(boxes, axis=0)),
            np.median(points, axis=0),
            float(np.median(scores)),
            agreement(list(points)),
            len(votes),
            face.framed,
        )

    def _seen(self, view: View) -> Candidates:
        return self._network.look(view.pixels).moved(view.to_picture, mirrored=view.mirrored)


def agreement(points: list[Array]) -> float:
    """1 minus the root mean square distance of several (5, 2) points from their median, in eye distances, >= 0.

    NaN for fewer than two; 0 when the eyes coincide.
    """
    if len(points) < 2:
        return float("nan")
    middle = np.median(points, axis=0)
    eyes = float(np.hypot(*(middle[1] - middle[0])))
    spread = float(np.sqrt(((np.array(points) - middle) ** 2).sum(axis=2).mean()))
    return max(0.0, 1.0 - spread / eyes) if eyes > 0 else 0.0


def belonging(seen: Candidates, box: Array, others: Array) -> Candidates:
    """The candidates for the face in ``box`` (4,): those that overlap with it well, and more than with any other.

    Args:
        seen: Candidates in the same coordinates.
        box: x, y, width, height.
        others: (n, 4) boxes of the other faces of the picture.
    """
    own = overlaps(box, seen.boxes)[0]
    rival = np.max([overlaps(other, seen.boxes)[0] for other in others], axis=0) if len(others) else np.zeros(len(seen))
    return seen.chosen((own >= _OWN) & (own > rival))


def _vote(own: Candidates) -> tuple[Array, Array, float]:
    voters = own.chosen(np.flatnonzero(own.scores >= _VOTE_SHARE * own.scores[0])[:_VOTERS])
    return np.median(voters.boxes, axis=0), np.median(voters.points, axis=0), float(own.scores[0])


def _box(values: Array) -> tuple[float, float, float, float]:
    x, y, width, height = (float(v) for v in values)
    return x, y, width, height
