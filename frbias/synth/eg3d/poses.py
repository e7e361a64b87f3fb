"""``--poses``: a grid of yaws and pitches, or poses drawn for each person, in true degrees."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from frbias.core.foundation.errors import UsageError
from frbias.synth.eg3d.cameras import Pose

LIMIT_YAW, LIMIT_PITCH = 90.0, 60.0
_DRAWN = re.compile(r"(normal|uniform):([\d.]+)x([\d.]+):(\d+)", re.ASCII)
_HELP = "write YAWSxPITCHES such as -30,0,30x0 or -40:40:20x-10,10, or normal:17x9:4, or uniform:30x10:4"


@dataclass(frozen=True)
class PoseGrid:
    """Every yaw with every pitch.

    Attributes:
        poses: In the order of pitches within yaws.
    """

    poses: tuple[Pose, ...]

    def of_person(self, seed: int) -> tuple[Pose, ...]:
        """The same for everybody."""
        return self.poses


@dataclass(frozen=True)
class PoseDistribution:
    """Poses drawn for each person, the same at every age.

    Attributes:
        kind: ``normal`` (spreads are standard deviations) or ``uniform`` (half widths).
        yaw, pitch: Spreads in degrees.
        count: Poses a person.
    """

    kind: Literal["normal", "uniform"]
    yaw: float
    pitch: float
    count: int

    def of_person(self, seed: int) -> tuple[Pose, ...]:
        """Poses of the person with this seed, within +-90 degrees of yaw and +-60 of pitch."""
        digest = hashlib.sha256(f"poses {seed}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        shape = (self.count, 2)
        drawn = rng.standard_normal(shape) if self.kind == "normal" else rng.uniform(-1, 1, shape)
        limits = np.array([LIMIT_YAW, LIMIT_PITCH])
        values = np.clip(drawn * [self.yaw, self.pitch], -limits, limits).round(3)
        return tuple(Pose(float(y), float(p)) for y, p in values)


def parse_poses(text: str) -> PoseGrid | PoseDistribution:
    """Read a ``--poses`` value.

    Raises:
        UsageError: It is neither a grid nor a distribution, or leaves +-90 degrees of yaw or +-60 of pitch.
    """
    found = _DRAWN.fullmatch(text.strip())
    if found:
        kind: Literal["normal", "uniform"] = "normal" if found[1] == "normal" else "uniform"
        count = int(found[4])
        if not 1 <= count <= 10_000:
            raise UsageError(f"--poses {text!r} asks for {count} poses a person; choose 1 to 10000.")
        try:
            return PoseDistribution(kind, float(found[2]), float(found[3]), count)
        except ValueError:
            raise UsageError(f"--poses {text!r} is not understood; {_HELP}.") from None
    yaws, cross, pitches = text.partition("x")
    if not cross:
        pitches = "0"
    grid = tuple(Pose(yaw, pitch) for yaw in _numbers(yaws, text) for pitch in _numbers(pitches, text))
    if any(abs(pose.yaw) > LIMIT_YAW or abs(pose.pitch) > LIMIT_PITCH for pose in grid):
        raise UsageError(
            f"--poses {text!r} leaves the range of {LIMIT_YAW:g} degrees of yaw and {LIMIT_PITCH:g} of pitch."
        )
    if len(set(grid)) != len(grid):
        raise UsageError(f"--poses {text!r} names a pose twice.")
    return PoseGrid(grid)


def _numbers(part: str, text: str) -> list[float]:
    values: list[float] = []
    try:
        for item in part.split(","):
            if ":" not in item:
                values.append(float(item))
                continue
            start, stop, step = (float(n) for n in item.split(":"))
            if step <= 0 or stop < start or (stop - start) / step > 1000:
                raise ValueError
            values += [start + i * step for i in range(int((stop - start) / step + 1e-9) + 1)]
    except ValueError:
        raise UsageError(f"--poses {text!r} is not understood; {_HELP}.") from None
    if not all(np.isfinite(values)):
        raise UsageError(f"--poses {text!r} is not understood; {_HELP}.")
    return values
