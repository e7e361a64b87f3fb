"""The mesh generator behind ``frbias generate --backend mesh``."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from frbias.core.data.units import Column, Made, Task, WorkUnit
from frbias.synth.mesh.faces import RenderedFace, Sitter
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.makehuman import LICENCE, WHEEL
from frbias.synth.mesh.request import MeshRequest
from frbias.synth.mesh.skin_photographs import describe_skins, load_skin_photographs
from frbias.synth.mesh.truth import truth_files
from frbias.synth.mesh.view import Ranges

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 6


class MeshBackend:
    """Renders people from CC0 MakeHuman shapes; see ``docs/mesh.md`` for what they are and are not."""

    def __init__(self, options: MeshRequest) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """``mesh``."""
        return "mesh"

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """One person at a time per worker process."""
        return "processes"

    @property
    def notes(self) -> list[str]:
        """Nothing to say beforehand."""
        return []

    def describe(self) -> dict[str, Any]:
        """Options, generator version and the pinned sources of the head and of photographs of skin."""
        source = {"package": WHEEL.package, "version": WHEEL.version, "sha256": WHEEL.sha256, "licence": LICENCE}
        described = {"generator_version": GENERATOR_VERSION, **self.options.identity(), "head": source}
        return described | describe_skins(self.options.skins)

    def plan(self) -> list[WorkUnit]:
        """One unit per person; images in the order of ages, then variants."""
        first = self.options.first_subject
        return [self._unit(number) for number in range(first, first + self.options.people)]

    def prepare(self) -> None:
        """Install the head if it is missing, and check the skins, before worker processes look for them.

        Raises:
            AssetMissingError: The head cannot be fetched, or skins are asked for and not installed.
        """
        load_head()
        if self.options.skins == "makehuman":
            load_skin_photographs()

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render people one after the other.

        Raises:
            AssetMissingError: The head is not installed and cannot be fetched.
        """
        options = self.options
        ranges = Ranges(options.yaw, options.pitch, options.roll)
        for unit in units:
            number, views = unit.payload
            sitter = Sitter(options.seed, number, options.kin, options.skins)
            sex = "f" if sitter.person.female else "m"
            yield [
                _made(
                    sitter.portray(
                        age,
                        variant,
                        size=options.size,
                        ranges=ranges,
                        with_parts="mask" in options.truth,
                        accessories=options.accessories,
                    ),
                    sex,
                    task,
                    options.truth,
                )
                for (age, variant), task in zip(views, unit.tasks, strict=True)
            ]

    def _unit(self, number: int) -> WorkUnit:
        label = f"{number:05d}"
        columns: dict[str, Column] = {"generator": self.name, "seed": self.options.seed}
        views = [(float(age), variant) for age in self.options.years for variant in range(self.options.pictures)]
        tasks = tuple(Task(f"{label}/{label}_{age:g}_{variant}.png", label, age, columns) for age, variant in views)
        return WorkUnit(key=label, tasks=tasks, payload=(number, tuple(views)))


def render_face(subject: int, age: float, variant: int, options: MeshRequest) -> RenderedFace:
    """One picture with its known points; the same bytes as :class:`MeshBackend` writes for these options.

    Args:
        subject: Number of the person.
        age: Years, 0..80.
        variant: Chooses pose, light, expression, clothes and camera.
        options: Seed, size and pose ranges are used, and whether a mask is asked for.

    Raises:
        UsageError: ``age`` is not covered.
        AssetMissingError: The head is not installed and cannot be fetched.
    """
    ranges = Ranges(options.yaw, options.pitch, options.roll)
    with_parts = "mask" in options.truth
    return Sitter(options.seed, subject, options.kin, options.skins).portray(
        age, variant, size=options.size, ranges=ranges, with_parts=with_parts, accessories=options.accessories
    )


def _made(face: RenderedFace, sex: str, task: Task, truth: tuple[str, ...]) -> Made:
    columns: dict[str, Column] = {"sex": sex, "yaw": round(face.yaw, 3), "pitch": round(face.pitch, 3)}
    columns["roll"] = round(face.roll, 3)
    for number, (x, y) in enumerate(face.points5, start=1):
        columns[f"x{number}"] = round(float(x), 3)
        columns[f"y{number}"] = round(float(y), 3)
    beside = truth_files(face, task.file_name, truth)
    return Made(face.image, columns, extra_files=beside, file_name=task.file_name)
