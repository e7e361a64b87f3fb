"""Cameras on a sphere about the head: poses in true degrees, matrices as EG3D's networks were trained with.

World: y up, the face looks along +z. Camera axes: x right, y down, z forward.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The field of view that published results were rendered with.
FOV_DEGREES = 18.837


@dataclass(frozen=True)
class Pose:
    """Pose of the head as the camera sees it, in degrees.

    Attributes:
        yaw: Positive turns the face to the viewer's right.
        pitch: Positive raises the face; -90..90.
    """

    yaw: float = 0.0
    pitch: float = 0.0

    @property
    def offsets(self) -> tuple[float, float]:
        """The two numbers (yaw, pitch) that EG3D's own scripts would call this view; see :func:`pitch_offset`."""
        return math.radians(-self.yaw), pitch_offset(-self.pitch)


def pitch_offset(elevation: float) -> float:
    """The number EG3D calls ``pitch`` for a camera at ``elevation`` degrees above the head.

    Quirk: that number is no angle. It is spread evenly over the sphere's *area*, so that the camera's height
    is proportional to it: sin(elevation) = -2 pitch / pi. At pitch -0.2 the camera is 7.3 degrees up, not 11.5.
    """
    return -math.pi / 2 * math.sin(math.radians(elevation))


def look_at(yaw: float, pitch: float, pivot: tuple[float, float, float], radius: float) -> Tensor:
    """Camera-to-world matrix for EG3D's (yaw, pitch) offsets from the frontal view.

    Args:
        yaw: Radians; positive moves the camera to +x.
        pitch: EG3D's pitch, see :func:`pitch_offset`; positive moves the camera down.
        pivot: Point the camera looks at.
        radius: Distance of the camera from the *origin*. Quirk: the sphere is not centred on the pivot, so that
            the distance to the face changes a little with the view.

    Returns:
        (4, 4), float32.
    """
    v = min(max(math.pi / 2 + pitch, 1e-5), math.pi - 1e-5)
    height = 1.0 - 2.0 * v / math.pi
    ground = math.sqrt(max(0.0, 1.0 - height * height))
    origin = radius * torch.tensor([ground * math.sin(yaw), height, ground * math.cos(yaw)], dtype=torch.float64)
    forward = torch.nn.functional.normalize(torch.tensor(pivot, dtype=torch.float64) - origin, dim=0)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    right = -torch.nn.functional.normalize(torch.linalg.cross(up, forward), dim=0)
    down = torch.nn.functional.normalize(torch.linalg.cross(forward, right), dim=0)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :] = torch.stack([right, down, forward, origin], dim=1)
    return matrix.float()


def intrinsics(fov: float = FOV_DEGREES) -> Tensor:
    """Pinhole matrix (3, 3) in units of the image size, for a field of view in degrees.

    Quirk: pi and the square root of two are rounded as in the published code; conditions depend on it.
    """
    focal = 1.0 / (math.tan(fov * 3.14159 / 360.0) * 1.414)
    return torch.tensor([[focal, 0.0, 0.5], [0.0, focal, 0.5], [0.0, 0.0, 1.0]])


def camera_condition(cam2world: Tensor, pinhole: Tensor) -> Tensor:
    """The 25 camera numbers of a condition vector: both matrices, row by row."""
    return torch.cat([cam2world.flatten(-2), pinhole.flatten(-2)], dim=-1)


def split_condition(c: Tensor) -> tuple[Tensor, Tensor]:
    """Camera-to-world (N, 4, 4) and pinhole (N, 3, 3) matrices of conditions (N, >= 25)."""
    return c[:, :16].view(-1, 4, 4), c[:, 16:25].view(-1, 3, 3)
