"""Lines that age draws on a face: where they run, when they come, how deep they get."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import HeadData
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.surface import texels
from frbias.synth.mesh.texture_space import TEXTURE_SIZE

FloatArray = npt.NDArray[np.float32]
# Factor on the depth of all lines by age.
_DEEPER = ((30.0, 45.0, 75.0), (1.0, 1.6, 1.9))
FOREHEAD, FROWN, CROW, FOLD, MARIONETTE, EYE, CHEEK, LIP, NECK, CHIN = range(10)


@dataclass(frozen=True)
class Line:
    """One line: its kind, course in frontal template coordinates (n, 2), width in texels, depth and first year."""

    kind: int
    course: npt.NDArray[np.float64]
    width: float
    depth: float
    onset: float


@dataclass(frozen=True)
class _Print:
    line: Line
    top: int
    left: int
    groove: FloatArray
    bank: FloatArray


class Wrinkles:
    """All lines of one person, drawn once; each age takes a share of each."""

    def __init__(self, head: HeadData, person: Identity) -> None:
        self._person = person
        self._prints = [_stamp(head, line) for line in wrinkle_lines(person)]

    def at(self, years: float) -> tuple[FloatArray, FloatArray]:
        """Height (decimetres x 100, negative in grooves) and darkness (0..1.3) of the skin, float32 (s, s) each."""
        size = TEXTURE_SIZE
        height, dark = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        ageing, deep = self._person.ageing, float(np.interp(years, *_DEEPER))
        for stamp in self._prints:
            line = stamp.line
            middle = line.onset + ageing.onsets[line.kind] + 6
            strength = line.depth * deep * ageing.wrinkles[line.kind] / (1 + np.exp(-(years - middle) / 6.5))
            if strength < 0.03 or (years < line.onset - 5 and line.kind != FOLD):
                continue
            rows = slice(stamp.top, stamp.top + stamp.groove.shape[0])
            columns = slice(stamp.left, stamp.left + stamp.groove.shape[1])
            height[rows, columns] -= strength * line.width * 0.65 * (stamp.groove - 0.45 * stamp.bank)
            dark[rows, columns] = np.maximum(dark[rows, columns], stamp.groove * min(strength, 1.4))
        return height, dark


def _stamp(head: HeadData, line: Line) -> _Print:
    course = texels(head, line.course, TEXTURE_SIZE)
    margin = 12
    left, top = np.maximum(course.min(axis=0).astype(int) - margin, 0)
    right, bottom = np.minimum(course.max(axis=0).astype(int) + margin + 1, TEXTURE_SIZE)
    drawn = np.zeros((max(int(bottom - top), 1), max(int(right - left), 1)), dtype=np.float32)
    points = np.round((course - [left, top]) * 16).astype(np.int32)
    cv2.polylines(drawn, [points], False, 1.0, max(1, round(line.width * 0.5)), cv2.LINE_AA, 4)
    groove = cv2.GaussianBlur(drawn, (0, 0), line.width * 0.6)
    bank = cv2.GaussianBlur(drawn, (0, 0), line.width * 1.5)
    return _Print(line, int(top), int(left), _unit(groove), _unit(bank))


def _unit(values: FloatArray) -> FloatArray:
    return values / max(float(values.max()), 1e-6)


def wrinkle_lines(person: Identity) -> list[Line]:
    """The lines of one person, fixed by identity."""
    rng = stream(person.seed, person.subject, "wrinkles")
    lines = _forehead(rng)
    for side in (-1, 1):
        lines += _beside_the_eye(rng, side) + _cheeks(rng, side)
    for x in np.linspace(-0.17, 0.17, 9) + rng.normal(0, 0.008, 9):
        lines.append(Line(LIP, np.array([[x * 0.95, 6.79], [x, 6.865]]), 1.0, float(rng.uniform(0.3, 0.9)), 54))
    for j in range(3):
        x = np.linspace(-0.4, 0.4, 20)
        lines.append(Line(NECK, np.column_stack([x, 6.05 - 0.13 * j + 0.05 * np.cos(4 * x)]), 2.2, 0.8, 42))
    x = np.linspace(-0.1, 0.1, 10)
    lines.append(Line(CHIN, np.column_stack([x, 6.47 - 0.02 * np.cos(15 * x)]), 2.2, 0.7, 40))
    return lines


def _forehead(rng: np.random.Generator) -> list[Line]:
    lines = []
    for i, y in enumerate(np.linspace(7.66, 7.94, 5) + rng.normal(0, 0.012, 5)):
        x = np.linspace(-0.42, 0.42, 30)
        waves = np.interp(x, np.linspace(-0.5, 0.5, 8), rng.normal(0, 0.010, 8))
        lift = 0.02 * np.cos(3.5 * x + rng.normal(0, 0.2)) * np.sign(rng.normal(0.6))
        inside = np.abs(x) < rng.uniform(0.25, 0.42)
        course = np.column_stack([x + rng.normal(0, 0.02), y + lift + waves])[inside]
        lines.append(Line(FOREHEAD, course, 1.7, float(rng.uniform(0.5, 1.0)), 36 + (4 * i) % 9))
    return lines


def _beside_the_eye(rng: np.random.Generator, side: int) -> list[Line]:
    x = side * np.linspace(0.045, 0.055, 8) + rng.normal(0, 0.004)
    lines = [Line(FROWN, np.column_stack([x, np.linspace(7.42, 7.60, 8)]), 1.9, float(rng.uniform(0.4, 1.0)), 38)]
    for j in range(5):
        angle = np.radians(-38 + 19 * j + rng.normal(0, 4))
        t = np.linspace(0.03, rng.uniform(0.11, 0.2), 10)
        course = np.column_stack([side * (0.455 + t * np.cos(angle)), 7.345 + t * np.sin(angle) - 0.1 * t**2])
        lines.append(Line(CROW, course, 1.4, float(rng.uniform(0.5, 1.0)), 33 + 2 * j))
    t = np.linspace(0, 1, 20)
    for j, onset in enumerate((30, 42, 54)):
        course = np.column_stack([side * (0.15 + 0.30 * t), 7.25 - 0.035 * j - 0.055 * np.sin(np.pi * t)])
        lines.append(Line(EYE, course, 1.5, float(rng.uniform(0.4, 0.9)), onset))
    for j in range(2):
        course = np.column_stack([side * (0.16 + 0.28 * t), 7.43 + 0.018 * j + 0.03 * np.sin(np.pi * t)])
        lines.append(Line(EYE, course, 1.3, 0.5, 42))
    return lines


def _cheeks(rng: np.random.Generator, side: int) -> list[Line]:
    t = np.linspace(0, 1, 20)
    fold = np.column_stack([side * (0.165 + 0.15 * t + 0.03 * np.sin(np.pi * t)), 7.02 - 0.36 * t])
    corner = np.column_stack([side * (0.245 + 0.03 * t), 6.64 - 0.22 * t])
    lines = [Line(FOLD, fold, 2.4, 1.2, 26), Line(MARIONETTE, corner, 2.0, 0.9, 44)]
    for j in range(3):
        course = np.column_stack([side * (0.47 + 0.03 * j + 0.05 * np.sin(np.pi * t)), 7.12 - 0.45 * t])
        lines.append(Line(CHEEK, course, 1.7, float(rng.uniform(0.2, 0.7)), 58 + 3 * j))
    return lines
