"""Who somebody is: everything that the seed and the subject's number fix, at every age."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from frbias.synth.mesh.sliders import HEAD_FORMS, SLIDERS
from frbias.synth.mesh.streams import stream

Colour = tuple[float, float, float]

_HAIR_COLOURS: dict[str, Colour] = {
    "black": (0.011, 0.009, 0.008),
    "dark": (0.026, 0.015, 0.010),
    "brown": (0.070, 0.037, 0.019),
    "light": (0.150, 0.088, 0.045),
    "blond": (0.360, 0.250, 0.130),
    "red": (0.230, 0.075, 0.026),
}
_IRIS_COLOURS: dict[str, Colour] = {
    "dark": (0.040, 0.020, 0.011),
    "brown": (0.095, 0.045, 0.020),
    "hazel": (0.165, 0.110, 0.040),
    "green": (0.125, 0.165, 0.090),
    "blue": (0.125, 0.215, 0.330),
    "grey": (0.190, 0.220, 0.240),
}
STYLES_MALE = ("crop", "short", "side", "quiff", "curly")
STYLES_FEMALE = ("long", "bob", "tied", "wavy", "fringe")


@dataclass(frozen=True)
class Skin:
    """Pigment and marks.

    Attributes:
        melanin, blood: Optical densities (see :mod:`frbias.synth.mesh.skin`).
        blush, freckles, lip_redness, under_eye: Strengths, about 0..1.
        lip_tone: Lightness of the lips relative to the skin, -1..1.
        moles: Number of moles.
        stubble: Strength of the beard shadow of a grown man.
        make_up: Strength of a grown woman's make-up of lids, lips and cheeks, 0..1.
    """

    melanin: float
    blood: float
    blush: float
    freckles: float
    lip_redness: float
    lip_tone: float
    under_eye: float
    moles: int
    stubble: float
    make_up: float


@dataclass(frozen=True)
class Hair:
    """Hair of the head, brows and beard. Lengths in decimetres on an adult head.

    Attributes:
        colour: Linear RGB albedo before greying.
        style: One of ``STYLES_MALE`` and ``STYLES_FEMALE``.
        length, curl, part: Length factor, curliness 0..1.5, parting in x.
        hairline, peak: Offset of the hairline and of its middle.
        bald, bald_onset: Extent of male balding 0..1 and its first year.
        grey_onset, grey_years: Middle of greying and its time constant.
        brow_thickness, brow_arch, brow_height, brow_density, brow_length, brow_tilt, brow_inset: Shape of the brows.
        beard: ``none``, ``moustache`` or ``full``.
        fringe_as_child: Wears the hair over the forehead until about eleven.
    """

    colour: Colour
    style: str
    length: float
    curl: float
    part: float
    hairline: float
    peak: float
    bald: float
    bald_onset: float
    grey_onset: float
    grey_years: float
    brow_thickness: float
    brow_arch: float
    brow_height: float
    brow_density: float
    brow_length: float
    brow_tilt: float
    brow_inset: float
    beard: Literal["none", "moustache", "full"]
    fringe_as_child: bool


@dataclass(frozen=True)
class Ageing:
    """How somebody ages.

    Attributes:
        offset: Years that the face looks older than it is.
        sag, eye_bags, spots: Strengths about 1.
        wrinkles: Strength of each kind of wrinkle, about 1.
        onsets: Shift of each kind's onset in years.
    """

    offset: float
    sag: float
    eye_bags: float
    spots: float
    wrinkles: tuple[float, ...]
    onsets: tuple[float, ...]


@dataclass(frozen=True)
class Identity:
    """One person.

    Attributes:
        seed, subject: What the person was drawn from.
        female: Sex.
        gender: Position between the male (0) and female (1) shapes.
        ancestry: Weights of the African, Asian and Caucasian shapes, sum 1. A mixture of three sets of
            blend shapes, not a statement about anybody's ethnicity.
        muscle, weight: 0..1.
        shape: Blend shape weights of the adult.
        iris: Linear RGB albedo.
        draws: Numbers whose draws the forms (scanned and random) and the complexion are made of, with the factor of
            each; the squares of the factors have the sum 1.
    """

    seed: int
    subject: int
    female: bool
    gender: float
    ancestry: tuple[float, float, float]
    muscle: float
    weight: float
    shape: dict[str, float]
    iris: Colour
    skin: Skin
    hair: Hair
    ageing: Ageing
    draws: tuple[tuple[int, float], ...]


def sample_identity(seed: int, subject: int, ancestry: tuple[float, float, float] | None = None) -> Identity:
    """Draw a person, of a given ancestry or of their own; a pure function of its arguments."""
    rng = stream(seed, subject, "person")
    female = bool(rng.random() < 0.5)
    weights = np.full(3, 0.3)
    weights[int(rng.integers(3))] = 5.0
    drawn = rng.dirichlet(weights)
    mixed = drawn if ancestry is None else np.array(ancestry)
    dark = float(mixed[0] + mixed[1])
    return Identity(
        seed=seed,
        subject=subject,
        female=female,
        gender=float(rng.uniform(0.8, 1.0) if female else rng.uniform(0.0, 0.2)),
        ancestry=(float(mixed[0]), float(mixed[1]), float(mixed[2])),
        muscle=float(np.clip(rng.normal(0.45 if female else 0.58, 0.15), 0.1, 0.95)),
        weight=float(np.clip(rng.normal(0.5, 0.2), 0.05, 0.97)),
        shape=_shape(stream(seed, subject, "shape")),
        iris=_iris(stream(seed, subject, "iris"), dark),
        skin=_skin(stream(seed, subject, "skin"), mixed, female),
        hair=_hair(stream(seed, subject, "hair"), mixed, female),
        ageing=_ageing(stream(seed, subject, "ageing")),
        draws=((subject, 1.0),),
    )


def _average_shape() -> dict[str, float]:
    """Mean weight of every blend shape over :func:`_shape`: a pair's two shapes are not exact opposites."""
    shape = {f"local/{form}": 0.22 * 0.425 for form in HEAD_FORMS}
    for slider in SLIDERS:
        half = slider.spread / float(np.sqrt(2 * np.pi))
        shape |= slider.weights(half, 0.0) | slider.weights(-half, 0.0)
    return shape


def average_identity() -> Identity:
    """Somebody halfway between all extremes, who no seed draws: what corrections of everybody are measured on."""
    return Identity(
        seed=0,
        subject=-1,
        female=False,
        gender=0.5,
        ancestry=(1 / 3, 1 / 3, 1 / 3),
        muscle=0.5,
        weight=0.5,
        shape=_average_shape(),
        iris=_IRIS_COLOURS["brown"],
        skin=Skin(0.5, 0.2, 0.15, 0.0, 0.5, 0.0, 0.5, 0, 0.0, 0.0),
        hair=_hair(stream(0, -1, "hair"), np.full(3, 1 / 3), female=False),
        ageing=Ageing(0.0, 1.15, 0.5, 1.0, (1.0,) * 10, (0.0,) * 10),
        draws=((-1, 1.0),),
    )


def _shape(rng: np.random.Generator) -> dict[str, float]:
    shape: dict[str, float] = {}
    for slider in SLIDERS:
        value = float(np.clip(rng.normal(0.0, slider.spread), -1.0, 1.0))
        shape |= slider.weights(value, float(rng.normal(0.0, 0.08)))
    for form in HEAD_FORMS:
        chosen, amount = rng.random() < 0.22, float(rng.uniform(0.15, 0.7))
        if chosen:
            shape[f"local/{form}"] = amount
    return shape


def _iris(rng: np.random.Generator, dark: float) -> Colour:
    pick = float(rng.random())
    if rng.random() < dark:
        name = "dark" if pick < 0.6 else "brown"
    else:
        name = str(np.array(list(_IRIS_COLOURS))[np.searchsorted([0.08, 0.32, 0.48, 0.62, 0.92], pick)])
    red, green, blue = _IRIS_COLOURS[name]
    return (red, green, blue)


def _skin(rng: np.random.Generator, ancestry: np.ndarray, female: bool) -> Skin:
    tone = float(ancestry @ np.array([1.65, 0.46, 0.26])) + float(rng.normal(0.0, 0.14)) * (1 + float(ancestry[0]))
    melanin = float(np.clip(tone, 0.17, 1.9))
    stubble = float(np.clip(rng.normal(0.30, 0.3), 0.0, 1.0))
    return Skin(
        melanin=melanin,
        blood=float(np.clip(rng.normal(0.20, 0.06), 0.08, 0.36)),
        blush=float(rng.uniform(0.03, 0.32)),
        freckles=float(max(0.0, rng.normal(-0.35, 0.6)) * (melanin < 0.5)),
        lip_redness=float(rng.uniform(0.25, 1.15 if female else 0.75)),
        lip_tone=float(rng.normal(0.0, 0.45)),
        under_eye=float(rng.uniform(0.0, 1.0)),
        moles=int(rng.poisson(3.0)),
        stubble=0.0 if female else stubble,
        make_up=float(max(0.0, rng.uniform(-0.8, 1.0))) if female else 0.0,
    )


def _hair(rng: np.random.Generator, ancestry: np.ndarray, female: bool) -> Hair:
    draws = rng.random(6)
    colour, african = _hair_colour(rng, draws, ancestry)
    style = (STYLES_FEMALE if female else STYLES_MALE)[int(draws[2] * 5)]
    if african and style in ("side", "short", "quiff", "wavy", "fringe", "bob"):
        style = "afro" if draws[3] < (0.6 if female else 0.25) else "crop"
    beard: Literal["none", "moustache", "full"] = "none"
    if not female and draws[4] < 0.30:
        beard = "full" if draws[4] < 0.2 else "moustache"
    return Hair(
        colour=colour,
        style=style,
        length=float(np.exp(rng.normal(0.0, 0.18))),
        curl=float(np.clip(rng.normal(0.3, 0.25), 0.0, 1.0)) + (0.8 if african else 0.0),
        part=float((1 if draws[5] < 0.5 else -1) * rng.uniform(0.0, 0.35)),
        hairline=float(rng.normal(0.0, 0.065)),
        peak=float(-abs(rng.normal(0.0, 0.05))),
        bald=float(rng.uniform(0.0, 0.1) if female else rng.uniform(0.05, 1.0)),
        bald_onset=float(rng.uniform(24.0, 55.0)),
        grey_onset=float(rng.normal(54.0, 6.0)),
        grey_years=float(rng.uniform(5.0, 8.5)),
        brow_thickness=float(np.clip(rng.normal(0.031 if female else 0.047, 0.021), 0.012, 0.100)),
        brow_arch=float(rng.normal(0.005 if female else -0.007, 0.025)),
        brow_height=float(rng.normal(-0.039, 0.0375)),
        brow_density=float(np.clip(rng.normal(0.9, 0.42), 0.22, 1.6)),
        brow_length=float(rng.normal(0.046, 0.056)),
        brow_tilt=float(rng.normal(0.041, 0.0375)),
        brow_inset=float(rng.normal(0.140, 0.040)),
        beard=beard,
        fringe_as_child=bool(rng.random() < 0.45),
    )


def _hair_colour(rng: np.random.Generator, draws: np.ndarray, ancestry: np.ndarray) -> tuple[Colour, bool]:
    if draws[0] < ancestry[0] + ancestry[1]:
        name = "black" if draws[1] < 0.7 else "dark"
    else:
        name = str(np.array(list(_HAIR_COLOURS))[np.searchsorted([0.06, 0.26, 0.54, 0.74, 0.92], draws[1])])
    red, green, blue = np.array(_HAIR_COLOURS[name]) * np.exp(rng.normal(0.0, 0.18))
    return (float(red), float(green), float(blue)), bool(ancestry[0] > 0.55)


def _ageing(rng: np.random.Generator) -> Ageing:
    return Ageing(
        offset=float(rng.normal(0.0, 2.0)),
        sag=float(rng.uniform(0.75, 1.6)),
        eye_bags=float(rng.uniform(0.1, 0.9)),
        spots=float(rng.uniform(0.4, 1.6)),
        wrinkles=tuple(float(x) for x in rng.uniform(0.6, 1.5, 10)),
        onsets=tuple(float(x) for x in rng.normal(0.0, 5.0, 10)),
    )
