"""Relatives: the second person of every two (odd numbers) as the sibling or the identical twin of the first."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from frbias.synth.mesh.identity import Identity, sample_identity
from frbias.synth.mesh.streams import stream

Kin = Literal["none", "siblings", "twins"]
# Correlation of what siblings inherit
_SHARED = 0.5
_SKIN = ("melanin", "blood", "blush", "freckles", "lip_redness", "lip_tone", "under_eye")
_BROWS = ("brow_thickness", "brow_arch", "brow_height", "brow_density", "brow_length", "brow_tilt", "brow_inset")
_HAIR = (*_BROWS, "curl", "hairline", "peak", "grey_onset")


def first_of(subject: int) -> int:
    """Number of the first person of the pair that ``subject`` belongs to."""
    return subject - subject % 2


def sample_person(seed: int, subject: int, kin: Kin = "none") -> Identity:
    """Draw a person who may be related to the one before; a pure function of its arguments.

    Even numbers are the same people whatever ``kin`` is. Twins share all but moles, pores, length and parting of the
    hair; siblings share ancestry and hair colour, half of the variance of their form and complexion, and the iris of
    every other pair. Relatives share the year of birth, which decides what their pictures were taken on.
    """
    first = first_of(subject)
    if kin == "none" or first == subject:
        return sample_identity(seed, subject)
    elder = sample_identity(seed, first)
    own = sample_identity(seed, subject, elder.ancestry)
    return _twin(elder, own) if kin == "twins" else _sibling(elder, own)


def _twin(elder: Identity, own: Identity) -> Identity:
    return replace(
        elder,
        subject=own.subject,
        draws=((elder.subject, 1.0),),
        skin=replace(elder.skin, moles=own.skin.moles),
        hair=replace(elder.hair, length=own.hair.length, part=own.hair.part),
    )


def _sibling(elder: Identity, own: Identity) -> Identity:
    rest = float(np.sqrt(1 - _SHARED**2))
    names = dict.fromkeys([*elder.shape, *own.shape])
    same_iris = stream(own.seed, own.subject, "kin").random() < 0.5
    return replace(
        own,
        draws=((elder.subject, _SHARED), (own.subject, rest)),
        shape={name: _SHARED * elder.shape.get(name, 0.0) + rest * own.shape.get(name, 0.0) for name in names},
        iris=elder.iris if same_iris else own.iris,
        skin=replace(own.skin, **_halfway(elder.skin, own.skin, _SKIN)),
        hair=replace(own.hair, colour=elder.hair.colour, **_halfway(elder.hair, own.hair, _HAIR)),
    )


def _halfway(one: Any, other: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: (getattr(one, name) + getattr(other, name)) / 2 for name in names}
