"""Condition vectors: the camera a face is conditioned on, and its age."""

import torch
from torch import Tensor

from frbias.core.foundation.errors import UsageError
from frbias.synth.eg3d.cameras import camera_condition, intrinsics, look_at
from frbias.synth.eg3d.config import CAMERA_CONDITIONS, Eg3dConfig

# The range that the published age-conditioned generator was trained on; it is not stored in its snapshot.
AGE_RANGE = (0.0, 75.0)


def age_scalar(age: float, lowest: float = AGE_RANGE[0], highest: float = AGE_RANGE[1]) -> float:
    """Years to the number the scalar condition takes: -1 at ``lowest``, 1 at ``highest``, not clamped."""
    return 2.0 * (age - lowest) / (highest - lowest) - 1.0


def condition(config: Eg3dConfig, age: float | None, age_range: tuple[float, float] = AGE_RANGE) -> Tensor:
    """What the mapping network sees: the frontal camera, and the age in the form the generator takes.

    The view does not enter: one condition is one person at one age, from wherever it is rendered.

    Args:
        config: The generator.
        age: Years (after calibration); None for generators without age.
        age_range: Ages that the scalar condition calls -1 and 1.

    Returns:
        (c_dim,), float32.

    Raises:
        UsageError: The generator takes no age, needs one, or has no class for it.
    """
    rendering = config.rendering
    camera = camera_condition(look_at(0.0, 0.0, rendering.avg_camera_pivot, rendering.avg_camera_radius), intrinsics())
    c = torch.zeros(config.c_dim)
    c[:CAMERA_CONDITIONS] = camera
    if config.age_kind == "none":
        if age is not None:
            raise UsageError("This generator is not conditioned on age; leave --ages out, or use age-EG3D weights.")
        return c
    if age is None:
        raise UsageError("This generator needs an age; give --ages.")
    if config.age_kind == "scalar":
        c[CAMERA_CONDITIONS] = age_scalar(age, *age_range)
        return c
    number = int(age)
    if not 0 <= number < config.age_conditions:
        raise UsageError(f"This generator knows the ages 0 to {config.age_conditions - 1}, not {age:g}.")
    c[CAMERA_CONDITIONS + number] = 1.0
    return c
