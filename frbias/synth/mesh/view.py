"""What differs between two pictures of one person at one age: pose, expression, light, clothes, camera."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.averages import ACTIONS, average
from frbias.synth.mesh.film import Film, sample_film
from frbias.synth.mesh.lighting import Light, sample_light
from frbias.synth.mesh.streams import stream

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranges:
    """Half widths of the uniform distributions of the head's pose, degrees."""

    yaw: float = 30.0
    pitch: float = 9.0
    roll: float = 6.0


@dataclass(frozen=True)
class View:
    """One picture's circumstances.

    Attributes:
        yaw: Degrees, positive turns the face to the viewer's right.
        pitch: Degrees, positive raises the face.
        roll: Degrees, positive tilts the head clockwise as seen.
        expression: Facial action -> strength 0..1.
        gaze: Horizontal and vertical turn of the eyes, radians.
        light: The light.
        distance: Camera distance in head units; zoom: extent of the picture in head units.
        shift: Offset of the head in the picture, head units.
        garment: Colour (3), neckline height, depth and half width of a V, stripe frequency and contrast.
        exposure, contrast, blur, grain, blotch: Of the camera. quality: Of its JPEG, 1..100.
        film: What the picture was taken on.
    """

    yaw: float
    pitch: float
    roll: float
    expression: dict[str, float]
    gaze: tuple[float, float]
    light: Light
    distance: float
    zoom: float
    shift: tuple[float, float]
    garment: Array
    exposure: float
    contrast: float
    blur: float
    grain: float
    blotch: float
    quality: int
    film: Film


def sample_view(seed: int, subject: int, age: float, variant: int, ranges: Ranges, family: int | None = None) -> View:
    """Draw a picture's circumstances; a pure function of its arguments.

    Even variants are near frontal (within a third of the range of yaw), odd ones take the whole range. ``family`` as in
    :func:`~frbias.synth.mesh.film.sample_film`.
    """
    key = (float(age), variant)
    rng = stream(seed, subject, "pose", *key)
    yaw = ranges.yaw * (1 / 3 if variant % 2 == 0 else 1.0)
    camera = stream(seed, subject, "camera", *key)
    return View(
        yaw=float(rng.uniform(-yaw, yaw)),
        pitch=float(rng.uniform(-ranges.pitch, ranges.pitch)),
        roll=float(rng.uniform(-ranges.roll, ranges.roll)),
        expression=_usual(_expression(stream(seed, subject, "expression", *key), age), age),
        gaze=(float(rng.normal(0, 0.10)), float(rng.normal(0, 0.05))),
        light=_balanced(sample_light(stream(seed, subject, "light", *key)), age),
        distance=float(rng.uniform(9.0, 17.0) * np.exp(average("distance", age))),
        zoom=float(rng.uniform(2.70, 3.10)),
        shift=(float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04))),
        garment=_garment(stream(seed, subject, "garment", *key)),
        exposure=float(camera.uniform(0.85, 1.2)),
        contrast=float(camera.uniform(0.92, 1.12)),
        blur=float(camera.uniform(0.0, 0.7)),
        grain=float(camera.uniform(0.002, 0.016)),
        blotch=float(camera.uniform(0.0, 0.012)),
        quality=int(camera.integers(68, 96)),
        film=sample_film(seed, subject, age, variant, family),
    )


def _balanced(light: Light, age: float) -> Light:
    """The light with the key and the rest as strong as they are on average at ``age`` years."""
    key, fill = (float(np.exp(average(name, age))) for name in ("key", "fill"))
    return replace(
        light, irradiance=fill * light.irradiance, radiance=fill * light.radiance, key_colour=key * light.key_colour
    )


def _usual(drawn: dict[str, float], age: float) -> dict[str, float]:
    """The actions of an expression with what faces of ``age`` years do on average."""
    usual = {f"{action}{side}": average(action, age) for action, sides in ACTIONS.items() for side in sides}
    return drawn | {name: min(max(drawn.get(name, 0.0) + amount, 0.0), 1.0) for name, amount in usual.items()}


def _expression(rng: np.random.Generator, age: float) -> dict[str, float]:
    kind, strength, other = float(rng.random()), float(rng.uniform(0.2, 0.85)), float(rng.random())
    strength *= float(np.interp(age, [0, 3, 10], [0.25, 0.40, 1.0]))  # the actions are modelled on adults
    blink = float(rng.uniform(0.0, 0.08))
    actions = {"eyeBlinkLeft": blink, "eyeBlinkRight": blink}
    if kind < 0.26:
        actions |= {f"mouthSmile{side}": 0.35 + 0.5 * strength for side in ("Left", "Right")}
        actions |= {f"mouthUpperUp{side}": 0.45 * strength for side in ("Left", "Right")}
        actions |= {f"mouthLowerDown{side}": 0.35 * strength for side in ("Left", "Right")}
        actions |= {"jawOpen": 0.16 * other * strength}
        actions |= {f"cheekSquint{side}": 0.4 * strength for side in ("Left", "Right")}
    elif kind < 0.45:
        actions |= {f"mouthSmile{side}": strength for side in ("Left", "Right")}
        actions |= {f"cheekSquint{side}": 0.5 * strength for side in ("Left", "Right")}
    elif kind < 0.55:
        actions |= {"jawOpen": 0.35 * strength, "browInnerUp": 0.5 * other}
    elif kind < 0.62:
        actions |= {
            f"{action}{side}": 0.6 * strength for action in ("mouthFrown", "browDown") for side in ("Left", "Right")
        }
    elif kind < 0.70:
        actions |= {"browInnerUp": strength, "browOuterUpLeft": 0.5 * strength, "browOuterUpRight": 0.5 * strength}
    else:
        actions |= {f"mouthSmile{side}": 0.10 + 0.30 * other for side in ("Left", "Right")}
    return actions


def _garment(rng: np.random.Generator) -> Array:
    grey = rng.uniform(0.02, 0.55)
    colour = np.clip(grey * (1 + rng.normal(0, 0.35, 3)), 0.012, 0.7)
    vee = 0.35 * rng.uniform(0.4, 1.0) if rng.random() < 0.35 else 0.0
    striped = rng.random() < 0.2
    return np.array(
        [
            *colour,
            rng.uniform(5.74, 5.90),
            vee,
            rng.uniform(0.25, 0.5),
            rng.uniform(28, 60),
            rng.uniform(0.15, 0.5) if striped else 0.0,
        ]
    )
