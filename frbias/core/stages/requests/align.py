"""The request of the align stage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from frbias.core.foundation.requests import Request, option

SIDES = {"arcface": 112, "ffhq": 256}


@dataclass(frozen=True, kw_only=True)
class AlignOptions(Request):
    """How faces are found and cropped.

    Attributes:
        template: ``arcface`` or ``ffhq``.
        size: Side of the crop, pixels; 0 means 112 for ArcFace and 256 for FFHQ.
        detector: ``yunet``, ``insightface:<pack>``, ``points`` (the columns x1..y5 of the table), or ``none``: the
            whole picture, resized to the square, whatever it shows (as the thesis did).
        faces: Which face of several: ``largest``, ``central``, or ``reject`` the image.
        max_residual: Largest root mean square distance of the points from the ArcFace template, as a fraction of
            the crop's side; beyond it the points cannot be those of a face. 0 accepts all.
    """

    title = "align"
    template: Literal["arcface", "ffhq"] = option(
        "arcface", help="arcface (112x112, for recognisers) or ffhq (for generators)."
    )
    size: int = option(0, help="Side of the crop in pixels; 0 means 112 (arcface) or 256 (ffhq).", low=0, high=4096)
    detector: str = option(
        "yunet",
        help="yunet (embedded), insightface:<pack>, points (columns x1..y5 of the table), or none: whole pictures, resized.",
    )
    faces: Literal["largest", "central", "reject"] = option(
        "largest", help="Face to take of several: largest, central, or reject the image."
    )
    max_residual: float = option(
        0.2,
        help="Reject points further than this fraction of the crop from the template; 0 accepts all.",
        low=0,
        high=1,
    )

    def conflicts(self) -> Iterator[str]:
        """Sides that the template cannot have, and detectors that do not exist."""
        if self.template == "ffhq" and 0 < self.size < 16:
            yield f"--size {self.size} is out of range; use 16 to 4096 pixels."
        if self.template == "arcface" and self.size % 112 and self.size % 128:
            yield f"--size {self.size}: an ArcFace crop is a multiple of 112 or of 128 pixels."
        if self.detector not in ("yunet", "points", "none") and not self.detector.startswith("insightface:"):
            yield f"--detector {self.detector!r} is unknown; use yunet, points, none or insightface:<pack>."

    def identity(self) -> dict[str, Any]:
        """The options with the side resolved."""
        return {**super().identity(), "size": self.side}

    @property
    def side(self) -> int:
        """Side of the crop in pixels."""
        return self.size or SIDES[self.template]


@dataclass(frozen=True, kw_only=True)
class AlignRequest(AlignOptions):
    """Align an image set.

    Attributes:
        data: Image set, folder of photographs, or the name of a registered data set.
        against_points: The set has annotated points, and the errors of the detected ones are wanted.
    """

    data: str = option(
        help="Image set, folder of photographs, or the name of a registered data set.",
        positional=True,
        completes="data",
        decides=False,
    )
    against_points: bool = option(
        False,
        help="Report how far the detected points are from the annotated ones (columns x1..y5), in eye distances.",
        decides=False,
    )

    def conflicts(self) -> Iterator[str]:
        """Also: points that are not detected cannot be compared with annotated ones."""
        yield from super().conflicts()
        if self.against_points and self.detector in ("points", "none"):
            yield f"--against-points compares detected points with annotated ones; it needs a detector, not {self.detector}."
