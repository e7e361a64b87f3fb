"""From a person, an age and an expression to the weights of the blend shapes."""

import itertools
from collections.abc import Mapping

import numpy as np

from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.makehuman import AGES, ANCESTRIES, LEVELS

OLDEST = 80.0

# MakeHuman's age axis (0 baby, 1/3 child, 2/3 young adult, 1 old) by years. Set by eye: the axis that
# anny publishes follows body height, by which a face would not change between 18 and 64.
_YEARS = (0.0, 1.0, 4.0, 7.0, 11.0, 16.0, 20.0, 25.0, 45.0, 65.0, 80.0)
_AXIS = (0.0, 0.02, 0.075, 0.135, 0.215, 0.385, 0.555, 0.65, 0.77, 0.91, 1.0)


def shape_weights(person: Identity, age: float, expression: Mapping[str, float]) -> dict[str, float]:
    """Blend shape weights of a face.

    Args:
        person: Whose face.
        age: Years, 0..80.
        expression: Facial action -> strength 0..1 (ARKit names, e.g. ``mouthSmileLeft``).
    """
    weights = _macro_weights(person, age)
    kept = kept_share(age)
    for name, value in person.shape.items():
        weights[name] = weights.get(name, 0.0) + value * kept
    for name, value in _ageing_weights(person, age).items():
        weights[name] = weights.get(name, 0.0) + value
    for name, value in expression.items():
        weights[f"unit/{name}"] = value
    return weights


def kept_share(age: float) -> float:
    """Share of a grown person's own form that shows at ``age`` years."""
    return float(np.interp(age, [0, 2, 6, 12, 18], [0.48, 0.53, 0.66, 0.84, 1.0]))


def _macro_weights(person: Identity, age: float) -> dict[str, float]:
    place = float(np.interp(age, _YEARS, _AXIS)) * 3
    first = min(int(place), 2)
    ages = {AGES[first]: 1 - (place - first), AGES[first + 1]: place - first}
    female = 0.5 + (person.gender - 0.5) * float(np.interp(age, [2, 10, 17], [0.3, 0.55, 1.0]))
    genders = {"male": 1 - female, "female": female}
    grown = float(np.interp(age, [8, 18], [0.0, 1.0]))
    muscle = _levels(0.5 + (person.muscle - 0.5) * grown)
    heavier = 0.10 * float(np.interp(age, [20, 50], [0, 1])) - 0.10 * float(np.interp(age, [62, 82], [0, 1]))
    weight = _levels(person.weight + heavier)
    out: dict[str, float] = {}
    for (gender, g), (name, a) in itertools.product(genders.items(), ages.items()):
        for kind, share in zip(ANCESTRIES, person.ancestry, strict=True):
            out[f"ancestry/{kind}/{gender}/{name}"] = g * a * share
        for (strong, m), (heavy, w) in itertools.product(muscle.items(), weight.items()):
            out[f"base/{gender}/{name}/{strong}/{heavy}"] = g * a * m * w
    return out


def _levels(value: float) -> dict[str, float]:
    x = 2 * float(np.clip(value, 0.0, 1.0))
    return dict(zip(LEVELS, (max(1 - x, 0.0), 1 - abs(x - 1), max(x - 1, 0.0)), strict=True))


def _ageing_weights(person: Identity, age: float) -> dict[str, float]:
    old = float(np.clip((age - 36) / 42, 0.0, 1.1)) * person.ageing.sag
    child = float(np.interp(age, [0, 4, 9, 12, 19], [0.8, 1.0, 0.85, 0.485, 0.0]))
    late = float(np.clip((age - 58) / 25, 0.0, 1.0))
    sided = {
        "cheek-trans-down": 0.5 * old,
        "cheek-inner-decr": 0.40 * old,
        "cheek-volume-incr": 0.70 * child,
        "cheek-inner-incr": 0.45 * child,
        "cheek-volume-decr": 0.50 * late,
        "eye-bag-incr": 0.75 * old * (0.5 + person.ageing.eye_bags),
        "eye-eyefold-down": 0.55 * old,
        "eye-height2-decr": 0.32 * old,
        "eye-height2-incr": 0.40 * child,
        "ear-scale-incr": 0.45 * old,
        "ear-lobe-incr": 0.50 * old,
    }
    middle = {
        "neck-double-incr": 0.6 * old * (0.4 + person.weight),
        "chin-height-decr": 0.45 * child,
        "chin-jaw-drop-decr": 0.40 * child,
        "chin-width-decr": 0.25 * child,
        "chin-prominent-decr": 0.25 * child,
        "nose-scale-depth-decr": 0.40 * child,
        "nose-scale-horiz-decr": 0.20 * child,
        "nose-volume-decr": 0.25 * child,
        "nose-point-up": 0.35 * child,
        "nose-hump-decr": 0.30 * child,
        "nose-greek-decr": 0.25 * child,
        "forehead-scale-vert-incr": 0.45 * child,
        "mouth-angles-down": 0.40 * old,
        "nose-scale-vert-incr": 0.25 * old,
        "nose-point-down": 0.30 * old,
        "nose-volume-incr": 0.25 * old,
        "mouth-upperlip-volume-decr": 0.5 * old,
        "mouth-lowerlip-volume-decr": 0.45 * old,
        "mouth-laugh-lines-in": 0.6 * old,
        "head-age-incr": 0.5 * old,
    }
    both = {f"local/{side}-{name}": value for side in "lr" for name, value in sided.items()}
    return both | {f"local/{name}": value for name, value in middle.items()}
