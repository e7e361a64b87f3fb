"""Spectacles: who wears them from what age, and their frames as strands before the eyes."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.head_data import FRAME, HeadData
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.strands import Strands, strands
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.surface import anchor

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

# Share of people with glasses by age, and of their pictures that show them.
_WEARERS = ((0.0, 4.0, 8.0, 20.0, 40.0, 50.0, 65.0, 80.0), (0.0, 0.02, 0.07, 0.16, 0.20, 0.34, 0.50, 0.55))
_WORN = 0.85
_COLOURS = ((0.012, 0.011, 0.010), (0.05, 0.022, 0.012), (0.30, 0.29, 0.28), (0.34, 0.24, 0.09), (0.10, 0.02, 0.02))
_RIM = 40


@dataclass(frozen=True)
class Frame:
    """Shape of a frame: half width and height in decimetres, exponent of the superellipse, drop, thickness, colour."""

    wide: float
    high: float
    square: float
    drop: float
    thick: float
    colour: tuple[float, float, float]


def frame_of(person: Identity, age: float, variant: int) -> Frame | None:
    """The frame somebody wears in a picture, or None."""
    rng = stream(person.seed, person.subject, "glasses")
    needs = float(rng.random())
    frame = Frame(
        wide=float(rng.uniform(0.19, 0.265)),
        high=float(rng.uniform(0.13, 0.215)),
        square=float(rng.uniform(1.9, 4.0)),
        drop=float(rng.uniform(0.0, 0.05)),
        thick=float(np.exp(rng.uniform(np.log(0.009), np.log(0.036)))),
        colour=_COLOURS[int(rng.choice(len(_COLOURS), p=[0.42, 0.22, 0.16, 0.14, 0.06]))],
    )
    if needs >= np.interp(age, *_WEARERS):
        return None
    worn = stream(person.seed, person.subject, "glasses on", float(age), variant).random() < _WORN
    return frame if worn else None


def glasses(frame: Frame, head: HeadData, control: FloatArray, drawn: FloatArray, scale: float) -> Strands:
    """Rims, bridge and temples on a face (control mesh and drawn vertices in the head's frame)."""
    right, left = (control[ball].astype(np.float64) for ball in (head.eye_right, head.eye_left))
    eyes = [np.append((ball.max(axis=0) + ball.min(axis=0))[:2] / 2, ball[:, 2].max()) for ball in (right, left)]
    bridge = anchor(head, np.array([[0.0, 7.34]])).on(drawn)[0].astype(np.float64)
    front = max(eyes[0][2], eyes[1][2], bridge[2] - 0.06 * scale) + 0.07 * scale
    turn = np.linspace(0, 2 * np.pi, _RIM + 1)
    across = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / frame.square) * frame.wide * scale
    along = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / frame.square) * frame.high * scale
    paths: list[Array] = []
    for side, eye in zip((-1.0, 1.0), eyes, strict=True):
        x, y = eye[0] + side * 0.02 * scale + across, eye[1] - frame.drop * scale + along
        paths.append(np.column_stack([x, y, front - 0.22 * np.abs(x - eye[0]) * (side * (x - eye[0]) > 0)]))
        outer = paths[-1][np.argmax(side * x)] + np.array([0.0, 0.45 * frame.high * scale, 0.0])
        ear = np.array([side * 0.80 * scale, eye[1] + 0.02 * scale, 0.25 * scale])
        paths.append(np.linspace(outer, ear, 4))
    inner = 0.5 * (eyes[1][0] - eyes[0][0]) - frame.wide * scale + 0.02 * scale
    t = np.linspace(-1, 1, 9)
    height = (eyes[0][1] + eyes[1][1]) / 2 + (0.35 * frame.high - frame.drop) * scale
    paths.append(np.column_stack([t * max(inner, 0.02 * scale), height + 0.02 * scale * (1 - t * t), 0 * t + front]))
    return rim(paths, frame.thick * scale, frame.colour)


def rim(paths: list[Array], thick: float, colour: tuple[float, float, float]) -> Strands:
    """A wire of even thickness (decimetres) along paths (n, 3)."""
    segments = np.concatenate([np.stack([path[:-1], path[1:]], axis=1) for path in paths])
    drawn = strands(segments, thick, np.tile(np.array([colour]), (len(segments), 1)), FRAME)
    half = np.full(len(drawn.first), 0.5 * thick, np.float32)
    return replace(drawn, near=half, far=half)
