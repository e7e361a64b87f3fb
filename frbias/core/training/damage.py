"""Strong damage, as old photographs, cheap cameras and repeated compression do it; who is shown stays recognisable.

What all damaged pictures do to an embedding has nothing to do with the person; :mod:`frbias.core.training.adaptation`
learns it from them.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np

from frbias.core.foundation.files import sha256_json
from frbias.core.recognisers.base import Description, Faces, Recogniser, Vectors

DAMAGE_VERSION = 1
_STREAM = 11


def damaged(faces: Faces, seed: int) -> Faces:
    """Damaged copies of faces (N, h, w, 3), uint8 RGB; the same face and seed give the same copy in any batch."""
    return np.stack([_damaged(face, np.random.default_rng([seed, _STREAM, _number_of(face)])) for face in faces])


def _number_of(face: Faces) -> int:
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(face).tobytes(), digest_size=8).digest(), "big")


@dataclass(frozen=True, eq=False)
class SeesDamaged:
    """A recogniser that is shown damaged copies.

    Attributes:
        base: The recogniser.
        seed: Of the damage.
    """

    base: Recogniser
    seed: int

    @property
    def name(self) -> str:
        """The recogniser's, marked."""
        return f"{self.base.name}, damaged"

    @property
    def sha256(self) -> str:
        """Of the recogniser and the damage."""
        return sha256_json([self.base.sha256, "damaged", DAMAGE_VERSION, self.seed])

    @property
    def description(self) -> Description:
        """The recogniser's."""
        return self.base.description

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the faces it takes, in pixels."""
        return self.base.input_size

    @property
    def embedding_length(self) -> int:
        """Numbers in an embedding."""
        return self.base.embedding_length

    def on(self, device: str) -> Self:
        """The same on ``cpu`` or ``cuda[:i]``."""
        return replace(self, base=self.base.on(device))

    def embed(self, faces: Faces) -> Vectors:
        """Embeddings (N, D) of damaged copies of faces (N, height, width, 3)."""
        return self.base.embed(damaged(faces, self.seed))


def _damaged(face: Faces, rng: np.random.Generator) -> Faces:
    if rng.random() < 0.7:
        face = _moved(face, rng)
    if rng.random() < 0.5:
        face = np.ascontiguousarray(face[:, ::-1])
    face = _coloured(face, rng)
    face = _contrast(face, rng)
    if rng.random() < 0.7:
        face = _faded(face, rng)
    draw = rng.random()
    if draw < 0.5:
        face = _coarse(face, rng)
    elif draw < 0.9:
        face = np.asarray(cv2.GaussianBlur(face, (0, 0), float(rng.uniform(0.8, 3.0))), np.uint8)
    return _compressed(_noisy(face, rng), rng)


def _moved(face: Faces, rng: np.random.Generator) -> Faces:
    height, width = face.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(rng.normal(0, 2.0)), float(np.exp(rng.normal(0, 0.03))))
    matrix[:, 2] += rng.normal(0, 1.5, 2)
    moved = cv2.warpAffine(np.ascontiguousarray(face), matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.uint8)


def _coloured(face: Faces, rng: np.random.Generator) -> Faces:
    """Grey, brown, tinted, or as it is."""
    draw = rng.random()
    if draw < 0.4:
        grey = cv2.cvtColor(np.ascontiguousarray(face), cv2.COLOR_RGB2GRAY)
        face = np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)
    if draw < 0.3 or draw >= 0.7:
        return face
    tint = (
        np.array([1.08, 0.95, 0.75]) * np.exp(rng.normal(0, 0.05, 3)) if draw < 0.4 else np.exp(rng.normal(0, 0.18, 3))
    )
    return np.clip(face * tint, 0, 255).astype(np.uint8)


def _contrast(face: Faces, rng: np.random.Generator) -> Faces:
    gamma, gain = np.exp(rng.normal(0, 0.4)), np.exp(rng.normal(0, 0.35))
    return np.asarray(np.clip((((face / 255.0) ** gamma - 0.5) * gain + 0.5) * 255, 0, 255), np.uint8)


def _faded(face: Faces, rng: np.random.Generator) -> Faces:
    low, high = rng.uniform(10, 70), rng.uniform(180, 250)
    return np.asarray(np.clip((face / 255.0 * (high - low) + low) * np.exp(rng.normal(0, 0.12, 3)), 0, 255), np.uint8)


def _coarse(face: Faces, rng: np.random.Generator) -> Faces:
    height, width = face.shape[:2]
    share = rng.uniform(0.2, 0.6)
    small = (max(12, int(width * share)), max(12, int(height * share)))
    how = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
    shrunk = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=how), np.uint8)


def _noisy(face: Faces, rng: np.random.Generator) -> Faces:
    grain = cv2.GaussianBlur(rng.normal(0, 1, face.shape), (0, 0), float(rng.uniform(0.3, 1.2)))
    grain /= grain.std()
    if rng.random() < 0.5:
        grain = np.repeat(grain.mean(axis=2, keepdims=True) * np.sqrt(3.0), 3, axis=2)
    return np.asarray(np.clip(face + rng.uniform(4, 20) * grain, 0, 255), np.uint8)


def _compressed(face: Faces, rng: np.random.Generator) -> Faces:
    _, data = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 40))])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])
