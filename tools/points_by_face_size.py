"""Error of the detected face points against the known ones of rendered people, by the size of the face in the picture.

Draws ``docs/images/points_by_face_size.png`` and prints its numbers. Pictures come from the mesh generator: 12 people
at 8 and 40 years, 512 x 512 pixels, the face from 5 to 95 percent of the picture's height (from the chin to the top
of the forehead, taken as 1.4 times the height from chin to brows). Before: one scale (long side 640 pixels; 1280, then
a margin, when nothing is found). Now: what ``frbias align`` does.

    python tools/points_by_face_size.py
"""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from frbias.core.faces.candidates import distinct
from frbias.core.faces.detect import find_face, load_detector
from frbias.core.faces.networks import YuNetNetwork
from frbias.core.faces.point_errors import point_error
from frbias.core.faces.views import whole
from frbias.synth.mesh.faces import RenderedFace, Sitter

PEOPLE, AGES, SIDE = 12, (8.0, 40.0), 512
SIZES = tuple(range(5, 100, 5))
FOREHEAD = 1.4
FIGURE = Path(__file__).parent.parent / "docs/images/points_by_face_size.png"
Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]


def main() -> None:
    """Measure, print, draw."""
    network, detector = YuNetNetwork(), load_detector("yunet")
    renders = [Sitter(7, person).portray(age, person % 2, size=768) for person in range(PEOPLE) for age in AGES]
    errors = np.full((2, len(SIZES), len(renders)), np.nan)
    for row, size in enumerate(SIZES):
        for column, render in enumerate(renders):
            picture, known = placed(render, size / 100)
            before = at_one_scale(network, picture)
            now, _ = find_face(detector, picture, "largest")
            errors[0, row, column] = np.nan if before is None else point_error(before, known)
            errors[1, row, column] = np.nan if now is None else point_error(now.points, known)
        before_row, now_row = errors[:, row]
        print(f"{size:3d} %  before {told(before_row)}  now {told(now_row)}", flush=True)
    draw(errors)


def placed(render: RenderedFace, share: float) -> tuple[Image, Array]:
    """The rendered face at a share of the picture's height, in the middle, with its points (5, 2)."""
    low, high = render.points68.min(axis=0), render.points68.max(axis=0)
    height = FOREHEAD * (high[1] - low[1])
    scale = share * SIDE / height
    middle = np.array([(low[0] + high[0]) / 2, high[1] - height / 2])
    shift = SIDE / 2 - scale * middle
    source = render.image
    if scale < 1:  # averaged down before it is sampled
        small = max(1, round(source.shape[0] * scale))
        source = cv2.resize(source, (small, small), interpolation=cv2.INTER_AREA)
    step = source.shape[0] / render.image.shape[0]
    matrix = np.array([[scale / step, 0, shift[0]], [0, scale / step, shift[1]]])
    ground = tuple(float(v) for v in np.median(render.image[:8].reshape(-1, 3), axis=0))
    picture = cv2.warpAffine(source, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=ground)
    return np.asarray(picture, dtype=np.uint8), scale * render.points5 + shift


def at_one_scale(network: YuNetNetwork, picture: Image) -> Array | None:
    """The points that the first look finds, as before there were several scales."""
    for side, margin in ((640, 0.0), (1280, 0.0), (640, 0.5)):
        view = whole(picture, side, margin)
        found = distinct(network.look(view.pixels).moved(view.to_picture, mirrored=False), 0.3, 1.0)
        sure = found.chosen(found.scores >= 0.6)
        if len(sure):
            largest: Array = sure.points[int(np.argmax(sure.boxes[:, 2] * sure.boxes[:, 3]))]
            return largest
    return None


def told(errors: Array) -> str:
    """Mean, worst, and how many faces were missed."""
    known = errors[np.isfinite(errors)]
    if not known.size:
        return f"none of {len(errors)} found"
    return f"{known.mean():.3f} (worst {known.max():.3f}, missed {len(errors) - len(known)})"


def draw(errors: Array) -> None:
    """Mean and 90 % quantile over the pictures, by face size."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for values, label, colour in ((errors[0], "one scale", "#b35806"), (errors[1], "several scales", "#2166ac")):
        axes.plot(SIZES, np.nanmean(values, axis=1), color=colour, marker="o", markersize=3, label=f"{label}: mean")
        high = np.nanquantile(values, 0.9, axis=1)
        axes.plot(SIZES, high, color=colour, linestyle="--", linewidth=1, label=f"{label}: nine of ten are below")
    axes.set(xlabel="height of the face, % of the picture", ylabel="error of the points, eye distances", xlim=(0, 100))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
