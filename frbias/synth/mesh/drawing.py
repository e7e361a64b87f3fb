"""Drawing passes over a scene: visibility, shadow, shading, light under the skin, resolve."""

import cv2
import numpy as np
import numpy.typing as npt

from frbias.synth.mesh.averages import average
from frbias.synth.mesh.head_data import HAIR, MOUTH, SKIN, TEETH, TONGUE
from frbias.synth.mesh.lighting import Light
from frbias.synth.mesh.parts import parts_of
from frbias.synth.mesh.photo import background, develop
from frbias.synth.mesh.raster import rasterise, rasterise_strands
from frbias.synth.mesh.scene import Scene, camera_of, projected, transformed
from frbias.synth.mesh.shading import shade
from frbias.synth.mesh.view import View

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
SUPERSAMPLING = 2
_SHADOW_SIZE = 288
_SHADOW_SPAN = 3.5
# Reach of light under the skin per red, green, blue, decimetres on a grown head of about forty
_SCATTER = (0.026, 0.012, 0.007)
_BUMP = 0.010
# Numbers of the outline of the lips among the 68 points
_LIPS = list(range(48, 60))
# Strength of hollows by age; see _creases.
_CREASES = ((0.0, 6.0, 12.0, 30.0, 45.0, 60.0), (0.0, 0.1, 0.475, 0.5, 1.0, 1.3))
# Reach of light under the skin by age; see _softness.
_SOFTNESS = ((0.0, 6.0, 12.0, 30.0, 45.0, 60.0), (2.4, 2.2, 1.6, 1.6, 0.8, 0.45))


def draw(
    scene: Scene,
    texture: FloatArray,
    view: View,
    *,
    size: int,
    age: float,
    iris: tuple[float, float, float],
    phases: Array,
    noise: np.random.Generator,
    covers: npt.NDArray[np.uint8] | None = None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """Picture of a scene, uint8 RGB (size, size, 3), and with ``covers`` the part that every pixel shows (``parts_of``)."""
    wide = size * SUPERSAMPLING
    camera = camera_of(view, scene.scale, wide)
    screen, strands_screen = projected(scene.world, camera), projected(scene.hair_world, camera)
    ids, depth = _visible(scene, screen, strands_screen, camera, wide)
    lamp = _lamp(scene, view.light)
    target = (
        np.zeros((wide, wide, 3), np.float32),
        np.zeros((wide, wide, 3), np.float32),
        np.zeros((wide, wide, 3), np.float32),
        np.zeros((wide, wide), np.float32),
    )
    hair = scene.hair
    solid = (
        scene.triangles,
        scene.material,
        scene.world,
        scene.normal,
        scene.uv,
        scene.occlusion,
        scene.right_eye,
    )
    strands = (hair.first, hair.near, hair.far, hair.start, hair.end, hair.tint, hair.kind, scene.hair_world)
    viewer = np.array([camera[2], camera[3], camera[0]])
    look = (viewer, scene.eyes, phases, np.array(iris), float(age), view.garment, _BUMP, np.zeros(3))
    shade(ids, (screen, strands_screen), solid, strands, look, lamp, texture, target)
    irradiance, albedo, glossy, skin = target
    parts = None if covers is None else parts_of(scene, ids, skin, covers, size)
    level = _brightness(irradiance, skin)
    pixels = camera[1] / camera[0] * scene.scale
    irradiance *= _creases(depth, pixels, scene.scale, age)[..., None]
    _scatter(irradiance, skin, pixels * _softness(age))
    linear = _resolve(albedo * irradiance + glossy, ids >= 0, background(noise, size, view.light))
    return develop(linear, level, view, noise), parts


def _visible(
    scene: Scene, screen: FloatArray, strands_screen: FloatArray, camera: Array, wide: int
) -> tuple[npt.NDArray[np.int32], FloatArray]:
    lips = projected(scene.landmarks[_LIPS], camera)
    cull = (scene.material == SKIN).astype(np.uint8)
    inside = np.isin(scene.material, (MOUTH, TEETH, TONGUE))
    outer, inner = np.flatnonzero(~inside), np.flatnonzero(inside)
    depth, ids = rasterise(screen, scene.triangles[outer], (wide, wide), cull[outer])
    ids = np.where(ids >= 0, outer[np.maximum(ids, 0)], -1).astype(np.int32)
    _look_into_mouth(scene, screen, inner, lips, depth, ids)
    bare = depth.copy()
    pixels = np.float32(camera[1] / camera[0])
    near = np.maximum(scene.hair.near * pixels, np.float32(0.55))
    far = np.maximum(scene.hair.far * pixels, np.float32(0.55))
    rasterise_strands(strands_screen, scene.hair.first, near, far, depth, ids, len(scene.triangles))
    return ids, bare


def _look_into_mouth(
    scene: Scene,
    screen: FloatArray,
    inner: npt.NDArray[np.int64],
    lips: FloatArray,
    depth: FloatArray,
    ids: npt.NDArray[np.int32],
) -> None:
    """Draw the inside of the mouth, in place, between the lips only: behind a short chin it would come through."""
    shape = (depth.shape[0], depth.shape[1])
    deep, found = rasterise(screen, scene.triangles[inner], shape)
    gap = np.zeros(shape, np.uint8)
    cv2.fillPoly(gap, [np.round(lips[:, :2]).astype(np.int32)], 1)
    seen = (found >= 0) & (gap > 0) & (deep < depth)
    depth[seen] = deep[seen]
    ids[seen] = inner[found[seen]]


def _softness(age: float) -> float:
    """Factor on the reach of light under the skin (``_SCATTER``) at ``age`` years: further in thin and clear young skin."""
    return float(np.interp(age, *_SOFTNESS) * np.exp(average("soft", age)))


def _creases(depth: FloatArray, pixels: float, scale: float, age: float) -> FloatArray:
    """Factor on the light that reaches hollows of the face, float32 (h, w), 1 on level skin and off the head.

    Depth unsharp masking (Luft, Colditz and Deussen 2006) at three sizes: a point that lies deeper than its
    surroundings sees less of them. Flesh fills the hollows of a child's face and leaves those of an old one.
    """
    strength = np.float32(np.interp(age, *_CREASES) * np.exp(average("crease", age)))
    half = cv2.resize(np.minimum(depth, np.float32(1e3)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    on = (half < 1e3).astype(np.float32)
    level = half * on
    deeper = np.zeros_like(half)
    for reach in (0.025, 0.05, 0.10):
        sigma = max(0.5 * reach * pixels, 0.6)
        around = cv2.GaussianBlur(level, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(on, (0, 0), sigma), 1e-3)
        deeper += np.clip((half - around) / np.float32(reach * scale), -0.3, 0.6) * on
    factor = np.exp(-strength * np.clip(deeper, -0.25, 1.0))
    return cv2.resize(factor, (depth.shape[1], depth.shape[0]), interpolation=cv2.INTER_LINEAR)


def _lamp(scene: Scene, light: Light) -> tuple[Array, Array, Array, Array, float, FloatArray, Array]:
    key = light.key
    side = np.cross([0.0, 1.0, 0.0], key)
    side /= np.sqrt((side * side).sum())
    up = np.cross(key, side)
    texels = _SHADOW_SIZE / (_SHADOW_SPAN * scene.scale)
    frame = np.zeros((3, 4))
    frame[0, :3], frame[0, 3] = side * texels, _SHADOW_SIZE / 2
    frame[1, :3], frame[1, 3] = up * texels, _SHADOW_SIZE / 2 + 0.25 * scene.scale * texels
    frame[2, :3], frame[2, 3] = -key, 20.0
    size = (_SHADOW_SIZE, _SHADOW_SIZE)
    depth, ids = rasterise(transformed(scene.world, frame), scene.triangles, size)
    cast = scene.hair.kind == HAIR
    half = np.float32(texels)
    rasterise_strands(
        transformed(scene.hair_world, frame),
        scene.hair.first[cast],
        np.maximum(scene.hair.near[cast] * half, np.float32(0.5)),
        np.maximum(scene.hair.far[cast] * half, np.float32(0.5)),
        depth,
        ids,
        0,
    )
    return light.irradiance, light.radiance, key, light.key_colour, light.softness, depth, frame


def _brightness(irradiance: FloatArray, skin: FloatArray) -> float:
    values = irradiance[skin > 0]
    return float(np.median(values[:, 1])) if len(values) else 1.0


def _scatter(irradiance: FloatArray, skin: FloatArray, pixels: float) -> None:
    """Spread irradiance under the skin in place, per colour, within the skin (Borshukov and Lewis 2003)."""
    for channel, reach in enumerate(_SCATTER):
        sigma = reach * pixels
        light = cv2.GaussianBlur(irradiance[..., channel] * skin, (0, 0), sigma)
        weight = cv2.GaussianBlur(skin, (0, 0), sigma)
        spread = 0.25 * irradiance[..., channel] + 0.75 * light / np.maximum(weight, np.float32(1e-4))
        irradiance[..., channel] = np.where(skin > 0, spread, irradiance[..., channel])


def _resolve(fine: FloatArray, covered: npt.NDArray[np.bool_], ground: FloatArray) -> FloatArray:
    size = (ground.shape[1], ground.shape[0])
    picture = cv2.resize(np.minimum(fine, np.float32(6.0)), size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(covered.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    return picture + ground * (1 - share)
