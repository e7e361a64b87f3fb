"""A posed head in the viewer's frame: everything the drawing passes need."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.eyes import place_eyes
from frbias.synth.mesh.geometry import project, transform, turn
from frbias.synth.mesh.hair import HeadFrame
from frbias.synth.mesh.head_data import EYE, HeadData
from frbias.synth.mesh.landmarks import face_points
from frbias.synth.mesh.smooth import smooth_step
from frbias.synth.mesh.strands import Strands
from frbias.synth.mesh.view import View

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A posed head; the origin is the head's centre, x to the viewer's right, y up, z to the viewer.

    Attributes:
        world, normal, uv, occlusion: Of all solid vertices: skin, mouth, then both eyeballs.
        triangles, material: Of the solid parts. right_eye: First triangle of the subject's right eyeball.
        eyes: Centre, gaze, up and radius of both eyeballs, float64 (2, 10).
        hair: All strands; their points in this frame are ``hair_world``.
        landmarks: The 68 points, float32 (68, 3).
        scale: Size of the head.
    """

    world: FloatArray
    normal: FloatArray
    uv: FloatArray
    occlusion: FloatArray
    triangles: npt.NDArray[np.int32]
    material: npt.NDArray[np.uint8]
    right_eye: int
    eyes: Array
    hair: Strands
    hair_world: FloatArray
    landmarks: FloatArray
    scale: float


@dataclass(frozen=True)
class Pose:
    """Rotations of the head and of the shoulders about the head's centre."""

    head: Array
    body: Array
    pivot: FloatArray
    eyes: float
    scale: float

    def points(self, points: FloatArray) -> FloatArray:
        """Turn points (n, 3); what lies below the neck follows the shoulders."""
        out = np.empty_like(points)
        turn(points, self._share(points), self.head, self.body, self.pivot, out)
        return out

    def directions(self, directions: FloatArray, places: FloatArray) -> FloatArray:
        """Turn directions (n, 3) attached to ``places`` (n, 3); not normalised."""
        out = np.empty_like(directions)
        turn(directions, self._share(places), self.head, self.body, np.zeros(3, np.float32), out)
        return out

    def _share(self, points: FloatArray) -> FloatArray:
        return smooth_step((points[:, 1] - self.eyes) / self.scale + 1.85, 0.0, 0.75).astype(np.float32)


def pose_of(view: View, frame: HeadFrame) -> Pose:
    """Rotations of a view."""
    return Pose(
        head=rotation(view.yaw, view.pitch, view.roll),
        body=rotation(0.3 * view.yaw, 0.0, 0.15 * view.roll),
        pivot=frame.centre,
        eyes=frame.eyes,
        scale=frame.scale,
    )


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Rotation matrix (3, 3) of a head pose in degrees (signs as in :class:`~frbias.synth.mesh.view.View`)."""
    y, p, r = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    tilted = (about_y[:, :, None] * about_x[None]).sum(axis=1)
    return (about_z[:, :, None] * tilted[None]).sum(axis=1)


def build_scene(
    head: HeadData,
    control: FloatArray,
    drawn: FloatArray,
    normal: FloatArray,
    hair: Strands,
    frame: HeadFrame,
    view: View,
) -> Scene:
    """Pose a head: control mesh, drawn vertices with normals, and strands, all in the head's frame."""
    pose = pose_of(view, frame)
    eyes = place_eyes(head, control, view.gaze)
    offset = len(drawn)
    balls = len(eyes.points)
    attributes = np.zeros((2, 10))
    for side in range(2):
        centre = pose.points(eyes.centre[side : side + 1].astype(np.float32))[0]
        attributes[side, :3] = centre
        attributes[side, 3:6] = (pose.head * eyes.gaze[side][None]).sum(axis=1)
        attributes[side, 6:9] = pose.head[:, 1]
        attributes[side, 9] = eyes.radius[side]
    return Scene(
        world=np.concatenate([pose.points(drawn), pose.points(eyes.points)]),
        normal=np.concatenate([pose.directions(normal, drawn), pose.directions(eyes.normals, eyes.points)]),
        uv=np.concatenate([head.uv, np.zeros((balls, 2), np.float32)]),
        occlusion=np.concatenate([head.occlusion, np.ones(balls, np.float32)]),
        triangles=np.concatenate([head.triangles, eyes.triangles + np.int32(offset)]),
        material=np.concatenate([head.material, np.full(len(eyes.triangles), EYE, np.uint8)]),
        right_eye=len(head.triangles) + len(eyes.triangles) // 2,
        eyes=attributes,
        hair=hair,
        hair_world=pose.points(hair.points),
        landmarks=pose.points(face_points(head, control, drawn)),
        scale=frame.scale,
    )


def projected(world: FloatArray, camera: Array) -> FloatArray:
    """Column, row and depth of points, float32 (n, 3); ``camera`` as in :func:`camera_of`."""
    out = np.empty((len(world), 3), dtype=np.float32)
    project(world, camera, out)
    return out


def transformed(world: FloatArray, frame: Array) -> FloatArray:
    """Points under an affine map (3, 4), float32 (n, 3)."""
    out = np.empty((len(world), 3), dtype=np.float32)
    transform(world, frame, out)
    return out


def camera_of(view: View, scale: float, size: int) -> Array:
    """Distance, focal length in pixels, x and y of the picture's middle, and size."""
    distance = view.distance * scale
    focal = size * distance / (view.zoom * scale)
    return np.array([distance, focal, view.shift[0] * scale, (view.shift[1] - 0.24) * scale, size])
