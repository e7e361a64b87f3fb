"""Portraits of numbered people: the generator's programming interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.foundation.errors import UsageError
from frbias.synth.mesh.accessories import Cap, capped_triangles, collared, earrings, painted, raised, worn_in
from frbias.synth.mesh.build import control_mesh
from frbias.synth.mesh.drawing import SUPERSAMPLING, draw
from frbias.synth.mesh.facial_hair import FacialHair
from frbias.synth.mesh.geometry import normals
from frbias.synth.mesh.glasses import frame_of, glasses
from frbias.synth.mesh.hair import HairGrower, HeadFrame, head_frame
from frbias.synth.mesh.head_data import SKIN, HeadData, load_head
from frbias.synth.mesh.identity import Identity
from frbias.synth.mesh.kin import Kin, sample_person
from frbias.synth.mesh.landmarks import five_points
from frbias.synth.mesh.parts import PARTS
from frbias.synth.mesh.scalp import Scalp
from frbias.synth.mesh.scene import build_scene, camera_of, projected
from frbias.synth.mesh.shape import OLDEST, shape_weights
from frbias.synth.mesh.skin import SkinPainter
from frbias.synth.mesh.skin_photographs import Skins, load_skin_photographs
from frbias.synth.mesh.strands import Strands, join
from frbias.synth.mesh.streams import stream
from frbias.synth.mesh.view import Ranges, sample_view

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RenderedFace:
    """A picture and what is known about it.

    Attributes:
        image: uint8 RGB (size, size, 3).
        points5: Viewer's left eye, right eye, nose tip, left and right mouth corner, pixels, float64 (5, 2).
        points68: FG-NET's 68 points in FG-NET's order (:func:`frbias.synth.mesh.landmarks.template_points`),
            pixels, float64 (68, 2).
        yaw, pitch, roll: Head pose, degrees (:class:`frbias.synth.mesh.view.View`).
        parts: What every pixel shows, uint8 (size, size), a number in :data:`frbias.synth.mesh.parts.PARTS`; None
            unless asked for.
        made_from: Age, variant, the person, the view and the weights of all blend shapes.
    """

    image: npt.NDArray[np.uint8]
    points5: npt.NDArray[np.float64]
    points68: npt.NDArray[np.float64]
    yaw: float
    pitch: float
    roll: float
    parts: npt.NDArray[np.uint8] | None
    made_from: Mapping[str, Any]


@dataclass(frozen=True)
class _Aged:
    age: float
    texture: FloatArray
    hair: Strands | None
    frame: HeadFrame


class Sitter:
    """One person, ready to be portrayed at any age; keeps what pictures share."""

    def __init__(self, seed: int, subject: int, kin: Kin = "none", skins: Skins = "none") -> None:
        self._head: HeadData = load_head()
        self.person: Identity = sample_person(seed, subject, kin)
        photographs = load_skin_photographs() if skins == "makehuman" else None
        self._painter = SkinPainter(self._head, self.person, photographs)
        self._hair = HairGrower(self._head, self.person)
        self._facial = FacialHair(self._head, self.person)
        self._phases = stream(seed, subject, "iris pattern").uniform(0, 2 * np.pi, 8)
        self._aged: _Aged | None = None

    def portray(
        self,
        age: float,
        variant: int,
        *,
        size: int = 256,
        ranges: Ranges | None = None,
        with_parts: bool = False,
        accessories: float = 0.0,
    ) -> RenderedFace:
        """Picture of the person at ``age`` years; ``variant`` chooses pose, light, expression and camera.

        ``with_parts`` asks for the mask as well, which costs some time; ``accessories`` is the rate of caps, scarves and
        earrings (:func:`~frbias.synth.mesh.accessories.worn_in`).

        Raises:
            UsageError: ``age`` is not within 0..80.
        """
        check_age(age)
        aged = self._at(float(age))
        person, head = self.person, self._head
        family = person.draws[0][0]
        worn = worn_in(person, float(age), variant, accessories)
        view = sample_view(person.seed, person.subject, float(age), variant, ranges or Ranges(), family)
        view = collared(view, worn)
        control = control_mesh(head, person, age, view.expression)
        drawn = head.refine(control)
        normal = normals(drawn, head.triangles)
        parts = self._facial.grow(age, control, drawn, normal, aged.frame.scale)
        if (frame := frame_of(person, float(age), variant)) is not None:
            parts.append(glasses(frame, head, control, drawn, aged.frame.scale))
        parts += earrings(worn, drawn, aged.frame.scale)
        if worn.cap is not None:
            aged = self._capped(aged, worn.cap)
            drawn = raised(worn.cap, head, drawn, normal, aged.frame.scale)
            normal = normals(drawn, head.triangles)
        hair = join([*([aged.hair] if aged.hair else []), *parts])
        scene = build_scene(head, control, drawn, normal, hair, aged.frame, view)
        image, shown = draw(
            scene,
            aged.texture,
            view,
            size=size,
            age=age,
            iris=person.iris,
            phases=self._phases,
            noise=stream(person.seed, person.subject, "noise", float(age), variant),
            covers=self._covers(age, worn.cap) if with_parts else None,
        )
        points = projected(scene.landmarks, camera_of(view, scene.scale, size * SUPERSAMPLING))
        points68 = points[:, :2].astype(np.float64) / SUPERSAMPLING - 0.5
        made_from = {"age": float(age), "variant": variant, "person": person, "view": view, "worn": worn}
        made_from["blend_shapes"] = shape_weights(person, age, view.expression)
        made_from["camera"] = dict(
            zip(("distance", "focal", "x", "y", "size"), camera_of(view, scene.scale, size), strict=True)
        )
        five = five_points(points68).astype(np.float64)
        return RenderedFace(image, five, points68, view.yaw, view.pitch, view.roll, shown, made_from)

    def _covers(self, age: float, cap: Cap | None) -> npt.NDArray[np.uint8]:
        """Number in ``PARTS`` of what lies on the triangles of the skin (hair of the scalp, a cap), or 0; uint8 (t,)."""
        head = self._head
        middle = head.template[head.triangles].mean(axis=1)
        hairy = (Scalp(self.person).on(middle).cover(age) > 0.5) & (head.material == SKIN)
        covers = hairy.astype(np.uint8) * np.uint8(PARTS.index("hair"))
        if cap is not None:
            covers[capped_triangles(cap, head)] = PARTS.index("cloth")
        return covers

    def _capped(self, aged: _Aged, cap: Cap) -> _Aged:
        control = control_mesh(self._head, self.person, aged.age, {})
        drawn = self._head.refine(control)
        normal = normals(drawn, self._head.triangles)
        hair = self._hair.grow(aged.age, drawn, normal, aged.frame, cap.cover)
        return _Aged(aged.age, painted(cap, self._head, aged.texture), hair, aged.frame)

    def _at(self, age: float) -> _Aged:
        if self._aged is None or self._aged.age != age:
            control = control_mesh(self._head, self.person, age, {})
            drawn = self._head.refine(control)
            frame = head_frame(control, drawn, self._head)
            hair = self._hair.grow(age, drawn, normals(drawn, self._head.triangles), frame)
            self._aged = _Aged(age, self._painter.paint(age), hair, frame)
        return self._aged


def check_age(age: float) -> None:
    """Refuse ages that the head model does not cover.

    Raises:
        UsageError: ``age`` is not within 0..80 years.
    """
    if not 0 <= age <= OLDEST:
        raise UsageError(f"Age {age:g} cannot be made: the mesh generator covers 0 to {OLDEST:g} years.")
