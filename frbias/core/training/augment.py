"""Mild changes of aligned faces that keep the person and the age: place, light, sharpness, compression.

The eyes stay within about two pixels of where alignment put them, as far as detectors disagree anyway.
"""

import cv2
import numpy as np
import numpy.typing as npt

Faces = npt.NDArray[np.uint8]

ORIGINAL, MIRRORED = 0, 1
_FIRST_VARIED = 2


def view(faces: Faces, rows: npt.NDArray[np.int64], number: int) -> Faces:
    """A fixed view of faces: 0 the original, 1 its mirror image, from 2 on augmented ones.

    Args:
        faces: uint8 RGB (n, h, w, 3).
        rows: Which number each face has in its set, (n,); decides its augmentation.
        number: The view.

    Returns:
        uint8 (n, h, w, 3), the same for the same face, row and number every time.
    """
    if number == ORIGINAL:
        return faces
    if number == MIRRORED:
        return np.ascontiguousarray(faces[:, :, ::-1])
    seeds = (np.random.default_rng([7, number, int(row)]) for row in rows)
    return np.stack([varied(face, rng) for face, rng in zip(faces, seeds, strict=True)])


def view_numbers(augment: str, views: int) -> list[int]:
    """Views that an ``--augment`` choice draws from; none for ``fresh``, which has new ones in every epoch."""
    if augment == "fresh":
        return []
    if augment == "views":
        return [ORIGINAL, MIRRORED, *range(_FIRST_VARIED, _FIRST_VARIED + views)]
    return [ORIGINAL, MIRRORED] if augment == "flip" else [ORIGINAL]


def varied(face: Faces, rng: np.random.Generator) -> Faces:
    """One random variation of a face (h, w, 3)."""
    if rng.random() < 0.5:
        face = face[:, ::-1]
    face = _moved(np.ascontiguousarray(face), rng)
    face = _relit(face, rng)
    if rng.random() < 0.3:
        face = np.asarray(cv2.GaussianBlur(face, (0, 0), float(rng.uniform(0.4, 1.2))), np.uint8)
    if rng.random() < 0.3:
        face = _compressed(face, int(rng.integers(40, 91)))
    return face


def _moved(face: Faces, rng: np.random.Generator) -> Faces:
    height, width = face.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, float(rng.normal(0, 2.0)), float(np.exp(rng.normal(0, 0.02))))
    matrix[:, 2] += rng.normal(0, 1.0, 2)
    return np.asarray(cv2.warpAffine(face, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _relit(face: Faces, rng: np.random.Generator) -> Faces:
    gain, gamma = np.exp(rng.normal(0, 0.12)), np.exp(rng.normal(0, 0.12))
    tint = np.exp(rng.normal(0, 0.03, 3))
    table = np.clip((np.arange(256) / 255.0)[:, None] ** gamma * gain * tint, 0, 1)
    values = table[face, np.arange(3)]
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * rng.uniform(0.6, 1.2)
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _compressed(face: Faces, quality: int) -> Faces:
    _, data = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])
