"""What a detector's network says of one view: many overlapping answers for every face, not yet thinned out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Viewer's left and right change places in a mirrored view.
_MIRRORED_ORDER = (1, 0, 2, 4, 3)


@dataclass(frozen=True)
class Candidates:
    """Faces proposed by a network, best first, several for the same face.

    Attributes:
        boxes: (n, 4) x, y, width, height, pixels.
        points: (n, 5, 2) pixels: viewer's left eye, right eye, nose tip, left and right mouth corner.
        scores: (n,) confidence, 0..1, descending.
    """

    boxes: Array
    points: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)

    def chosen(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Candidates":
        """Some of them, by mask or by index."""
        return Candidates(self.boxes[which], self.points[which], self.scores[which])

    def moved(self, to_picture: Callable[[Array], Array], *, mirrored: bool) -> "Candidates":
        """The same in other coordinates.

        Args:
            to_picture: Takes points (..., 2) to the new coordinates.
            mirrored: The mapping exchanges left and right.
        """
        one, other = to_picture(self.boxes[:, :2]), to_picture(self.boxes[:, :2] + self.boxes[:, 2:])
        low, high = np.minimum(one, other), np.maximum(one, other)
        points = to_picture(self.points)
        return Candidates(np.hstack([low, high - low]), points[:, _MIRRORED_ORDER] if mirrored else points, self.scores)


def candidates(boxes: npt.ArrayLike, points: npt.ArrayLike, scores: npt.ArrayLike) -> Candidates:
    """Candidates in order of score (a stable sort); those with a number that is not finite are left out."""
    b = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    p = np.asarray(points, dtype=np.float64).reshape(-1, 5, 2)
    s = np.asarray(scores, dtype=np.float64).reshape(-1)
    sound = np.flatnonzero(np.isfinite(b).all(axis=1) & np.isfinite(p).all(axis=(1, 2)) & np.isfinite(s))
    order = sound[np.argsort(-s[sound], kind="stable")]
    return Candidates(b[order], p[order], s[order])


def together(parts: list[Candidates]) -> Candidates:
    """The candidates of several views, in the same coordinates, as one list."""
    return candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def overlaps(box: Array, boxes: Array) -> tuple[Array, Array]:
    """How a box (4,) overlaps with boxes (n, 4).

    Returns:
        Intersection over union, (n,), and intersection over the smaller of the two areas, (n,); 0..1.
    """
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    area, areas = max(float(box[2] * box[3]), 1e-12), np.maximum(boxes[:, 2] * boxes[:, 3], 1e-12)
    return common / (area + areas - common), common / np.minimum(area, areas)


def distinct(found: Candidates, overlap: float, inside: float) -> Candidates:
    """One candidate for each face: greedy, best score first.

    Args:
        found: Candidates in order of score.
        overlap: Two with a larger intersection over union are the same face.
        inside: Two of which one lies inside the other by more than this part of its area are the same face: what a
            network sees in the eye of a face that is too large for it.
    """
    kept: list[int] = []
    left = np.arange(len(found))
    while left.size:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        union, smaller = overlaps(found.boxes[best], found.boxes[left])
        left = left[(union <= overlap) & (smaller <= inside)]
    return found.chosen(np.array(kept, dtype=np.int64))
