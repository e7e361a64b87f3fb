"""What all people share by age beyond MakeHuman's shapes and the measured proportions: forms, pigment, light, expression.

Faces of a generator have something in common that no photograph shows, and a recogniser sees it: their mean embedding is
long, and what ageing does to it points elsewhere than in photographs. ``averages.csv`` moves the *average* face, of children
and of grown-ups apart, to where that is less so. Each amount is small; how they were found is told in docs/mesh.md.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.proportions import neutral_control, off_shoulders
from frbias.synth.mesh.scans import scan_modes
from frbias.synth.mesh.variation import THROAT

FloatArray = npt.NDArray[np.float32]

# Reach of a push and of a patch of pigment, decimetres.
_PUSH, _PATCH = 0.17, 0.09
# Share of the grown-up's amounts, and of the child's, by age.
_AGES = (3.0, 5.0, 10.0, 18.0, 35.0, 60.0)
_GROWN, _CHILD = (0.0, 0.0, 0.0, 1.0, 1.0, 0.0), (0.6, 1.0, 1.0, 0.0, 0.0, 0.0)
# Facial actions that the table has a row for, and their sides.
_BOTH = ("Left", "Right")
ACTIONS: dict[str, tuple[str, ...]] = {
    "jawOpen": ("",),
    "browInnerUp": ("",),
    "browOuterUp": _BOTH,
    "eyeSquint": _BOTH,
    "eyeWide": _BOTH,
    "mouthPress": _BOTH,
    "mouthSmile": _BOTH,
}


@dataclass(frozen=True)
class Averages:
    """The table.

    Attributes:
        scan: Rows ``scan <number>``: mean coefficient of a scanned component, in standard deviations of the scans.
        push: Rows ``push <x> <y> <z> <axis>``: displacement of the face about a point and its mirror image, decimetres.
        melanin, blood: Rows ``melanin <x> <y>`` and ``blood <x> <y>``: optical density of a patch and its mirror image.
        plain: All other rows by name.

    Keys are the numbers of the name, values the amounts of a child and of a grown-up.
    """

    scan: dict[int, tuple[float, float]]
    push: dict[tuple[float, float, float, int], tuple[float, float]]
    melanin: dict[tuple[float, float], tuple[float, float]]
    blood: dict[tuple[float, float], tuple[float, float]]
    plain: dict[str, tuple[float, float]]


@lru_cache(maxsize=1)
def averages() -> Averages:
    """The table that comes with the package."""
    text = resources.files("frbias.synth.mesh").joinpath("averages.csv").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")][1:]
    found = Averages({}, {}, {}, {}, {})
    for name, child, grown in rows:
        amounts = (float(child), float(grown))
        kind, *numbers = name.split()
        if kind == "scan":
            found.scan[int(numbers[0])] = amounts
        elif kind == "push":
            x, y, z = (float(number) for number in numbers[:3])
            found.push[x, y, z, "xyz".index(numbers[3])] = amounts
        elif numbers:
            patches = found.melanin if kind == "melanin" else found.blood
            patches[float(numbers[0]), float(numbers[1])] = amounts
        else:
            found.plain[kind] = amounts
    return found


def _shares(age: float) -> tuple[float, float]:
    """How much of the child's and of the grown-up's amounts applies at ``age`` years."""
    return float(np.interp(age, _AGES, _CHILD)), float(np.interp(age, _AGES, _GROWN))


def average(name: str, age: float) -> float:
    """Amount of a row of :attr:`Averages.plain` at ``age`` years."""
    (child, grown), amounts = _shares(age), averages().plain[name]
    return child * amounts[0] + grown * amounts[1]


@lru_cache(maxsize=96)
def average_form(age: float) -> FloatArray:
    """Displacement of every control vertex at ``age`` years, decimetres, float32 (n, 3)."""
    return _mixed(age, *_forms())


@lru_cache(maxsize=1)
def _forms() -> tuple[FloatArray, FloatArray]:
    table, modes = averages(), scan_modes()
    rest = neutral_control(load_head()).astype(np.float64)
    found = np.zeros((2, *rest.shape))
    for number, amounts in table.scan.items():
        step = modes.steps[number].astype(np.float64) * float(modes.scale[number])
        for form, amount in zip(found, amounts, strict=True):
            form[modes.vertices] += amount * step
    fade = off_shoulders(rest, THROAT)
    for (x, y, z, axis), amounts in table.push.items():
        here, there = (
            np.exp(-((rest - np.array([side * x, y, z])) ** 2).sum(axis=1) / (2 * _PUSH**2)) for side in (1, -1)
        )
        both = (here - there if axis == 0 else here + there) * fade
        for form, amount in zip(found, amounts, strict=True):
            form[:, axis] += amount * both
    return found[0].astype(np.float32), found[1].astype(np.float32)


def average_pigment(age: float) -> tuple[FloatArray, FloatArray]:
    """Optical densities of melanin and blood to add to everybody's skin at ``age`` years, float32 (s, s) each."""
    child, grown = _pigments()
    return _mixed(age, child[0], grown[0]), _mixed(age, child[1], grown[1])


def _mixed(age: float, child: FloatArray, grown: FloatArray) -> FloatArray:
    part, other = _shares(age)
    return np.float32(part) * child + np.float32(other) * grown


@lru_cache(maxsize=1)
def _pigments() -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Densities of melanin and blood of a child and of a grown-up."""
    table, (lips, lids) = averages(), load_head().texel_masks[:2]
    child, grown = (
        (
            _density(table.plain["melanin"][k], table.plain["lids"][k] * lids, table.melanin, k),
            _density(table.plain["blood"][k], table.plain["lips"][k] * lips, table.blood, k),
        )
        for k in (0, 1)
    )
    return child, grown


def _density(
    whole: float, part: FloatArray, patches: dict[tuple[float, float], tuple[float, float]], k: int
) -> FloatArray:
    total = np.float32(whole) + part.astype(np.float32)
    for place, amounts in patches.items():
        total += np.float32(amounts[k]) * _patch(*place)
    return total


def _patch(x: float, y: float) -> FloatArray:
    place = load_head().texel_position.astype(np.float64)
    square = (np.abs(place[..., 0]) - x) ** 2 + (place[..., 1] - y) ** 2
    return (np.exp(-square / (2 * _PATCH**2)) * (place[..., 2] > 0.3)).astype(np.float32)
