"""The local shape sliders that tell identities apart: opposite pairs of MakeHuman blend shapes."""

from dataclasses import dataclass

_DI = ("decr", "incr")
_DU = ("down", "up")
_BF = ("backward", "forward")
_IO = ("in", "out")


@dataclass(frozen=True)
class Slider:
    """One opposite pair.

    Attributes:
        name: Stem of the two blend shapes (``local/<stem>-<low|high>``; sided ones exist for ``l-`` and ``r-``).
        low, high: Endings for negative and positive values.
        spread: Standard deviation over identities; values are clipped to -1..1.
        sided: Whether left and right are separate shapes.
    """

    name: str
    low: str
    high: str
    spread: float
    sided: bool = False

    def weights(self, value: float, asymmetry: float) -> dict[str, float]:
        """Blend shape weights of a slider value; ``asymmetry`` is added left and taken off right."""
        if not self.sided:
            return {self._shape("", value): abs(value)}
        return {
            self._shape(side, value + sign * asymmetry): abs(value + sign * asymmetry)
            for side, sign in (("l-", 1), ("r-", -1))
        }

    def _shape(self, side: str, value: float) -> str:
        return f"local/{side}{self.name}-{self.high if value > 0 else self.low}"


def _group(spread: float, ends: tuple[str, str], names: str, *, sided: bool = False) -> tuple[Slider, ...]:
    return tuple(Slider(name, ends[0], ends[1], spread, sided) for name in names.split())


SLIDERS: tuple[Slider, ...] = (
    *_group(0.24, _DI, "head-fat head-scale-horiz head-scale-vert head-back-scale-depth"),
    *_group(0.27, _DI, "forehead-nubian forehead-scale-vert forehead-temple"),
    *_group(0.27, _BF, "forehead-trans"),
    *_group(0.38, ("down", "up"), "eyebrows-angle eyebrows-trans"),
    *_group(0.32, _BF, "eyebrows-trans"),
    *_group(0.32, _DI, "eye-bag eye-height1 eye-height2 eye-height3 eye-scale", sided=True),
    *_group(0.36, _DU, "eye-corner1 eye-corner2 eye-eyefold-angle eye-eyefold", sided=True),
    *_group(0.32, ("concave", "convex"), "eye-eyefold", sided=True),
    *_group(0.34, _IO, "eye-epicanthus eye-trans", sided=True),
    *_group(0.29, _DU, "eye-trans", sided=True),
    *_group(0.35, _DI, "nose-flaring nose-greek nose-hump nose-nostrils-width nose-point-width nose-scale-depth"),
    *_group(0.35, _DI, "nose-scale-horiz nose-scale-vert nose-septumangle nose-volume"),
    *_group(0.35, _DI, "nose-width1 nose-width2 nose-width3"),
    *_group(0.37, _DU, "nose-base nose-nostrils-angle nose-point nose-trans"),
    *_group(0.35, ("concave", "convex"), "nose-curve"),
    *_group(0.32, ("compress", "uncompress"), "nose-compression"),
    *_group(0.34, _DI, "mouth-cupidsbow mouth-cupidsbow-width mouth-lowerlip-height mouth-lowerlip-volume"),
    *_group(0.34, _DI, "mouth-lowerlip-width mouth-philtrum-volume mouth-scale-depth mouth-scale-horiz"),
    *_group(0.34, _DI, "mouth-scale-vert mouth-upperlip-height mouth-upperlip-volume mouth-upperlip-width"),
    *_group(0.34, _DU, "mouth-angles mouth-lowerlip-ext mouth-lowerlip-middle mouth-trans mouth-upperlip-ext"),
    *_group(0.34, _DU, "mouth-upperlip-middle"),
    *_group(0.34, _DI, "chin-bones chin-cleft chin-height chin-jaw-drop chin-prognathism chin-prominent chin-width"),
    *_group(0.34, _DI, "cheek-bones cheek-inner cheek-volume", sided=True),
    *_group(0.29, _DU, "cheek-trans", sided=True),
    *_group(0.40, _DI, "ear-flap ear-lobe ear-scale ear-scale-vert ear-wing", sided=True),
    *_group(0.32, ("backward", "forward"), "ear-rot", sided=True),
    *_group(0.18, _DI, "neck-scale-horiz neck-scale-vert neck-scale-depth"),
)

HEAD_FORMS = (
    "head-diamond",
    "head-oval",
    "head-round",
    "head-square",
    "head-triangular",
    "head-rectangular",
    "head-invertedtriangular",
    "chin-triangle",
)
