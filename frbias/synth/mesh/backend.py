"""The mesh generator behind ``frbias generate --backend mesh``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from frbias.core.foundation.errors import UsageError
from frbias.synth.backend import Column, Made, Task, WorkUnit
from frbias.synth.mesh.faces import RenderedFace, Sitter, check_age
from frbias.synth.mesh.head_data import load_head
from frbias.synth.mesh.makehuman import LICENCE, WHEEL
from frbias.synth.mesh.view import Ranges

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 2
_SIZES = (64, 1024)


@dataclass(frozen=True)
class MeshOptions:
    """What to generate.

    Attributes:
        subjects: Number of identities.
        first_subject: Number of the first one; people are numbered without end and do not depend on each other.
        ages: Years, 0..80, fractions allowed.
        variants: Pictures of each person at each age; even ones near frontal, odd ones over the whole range of yaw.
        seed: Chooses the population.
        size: Width and height in pixels, 64..1024.
        yaw, pitch, roll: Half widths of the uniform distributions of the head's pose, degrees.
    """

    subjects: int
    first_subject: int = 0
    ages: tuple[float, ...] = (5.0, 15.0, 25.0, 40.0, 55.0, 70.0)
    variants: int = 2
    seed: int = 0
    size: int = 256
    yaw: float = 30.0
    pitch: float = 9.0
    roll: float = 6.0

    def check(self) -> None:
        """Refuse what cannot be generated.

        Raises:
            UsageError: A number is out of its range, or an age is named twice or not covered.
        """
        if self.subjects < 1 or self.variants < 1 or self.first_subject < 0 or self.seed < 0:
            raise UsageError("The mesh generator needs at least one subject and one variant, and no negative numbers.")
        if not _SIZES[0] <= self.size <= _SIZES[1]:
            raise UsageError(f"Pictures of {self.size} pixels cannot be made; choose {_SIZES[0]} to {_SIZES[1]}.")
        if not self.ages:
            raise UsageError("Name at least one age.")
        for age in self.ages:
            check_age(age)
        if len(set(self.ages)) != len(self.ages):
            raise UsageError("Every age may be named only once.")
        if not (0 <= self.yaw <= 60 and 0 <= self.pitch <= 30 and 0 <= self.roll <= 45):
            raise UsageError("Head poses are limited to 60 degrees of yaw, 30 of pitch and 45 of roll.")


class MeshBackend:
    """Renders people from CC0 MakeHuman shapes; see ``docs/mesh.md`` for what they are and are not."""

    def __init__(self, options: MeshOptions) -> None:
        options.check()
        self.options = options

    @property
    def name(self) -> str:
        """``mesh``."""
        return "mesh"

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """One person at a time per worker process."""
        return "processes"

    def describe(self) -> dict[str, Any]:
        """Options, generator version and the pinned source of the head."""
        source = {"package": WHEEL.package, "version": WHEEL.version, "sha256": WHEEL.sha256, "licence": LICENCE}
        options = asdict(self.options)
        options["ages"] = list(self.options.ages)
        return {"generator_version": GENERATOR_VERSION, **options, "head": source}

    def plan(self) -> list[WorkUnit]:
        """One unit per person; images in the order of ages, then variants."""
        first = self.options.first_subject
        return [self._unit(number) for number in range(first, first + self.options.subjects)]

    def prepare(self) -> None:
        """Install the head if it is missing, before worker processes look for it.

        Raises:
            AssetMissingError: It cannot be fetched.
        """
        load_head()

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render people one after the other.

        Raises:
            AssetMissingError: The head is not installed and cannot be fetched.
        """
        options = self.options
        ranges = Ranges(options.yaw, options.pitch, options.roll)
        for unit in units:
            sitter = Sitter(options.seed, int(unit.payload))
            sex = "f" if sitter.person.female else "m"
            yield [
                _made(sitter.portray(age, variant, size=options.size, ranges=ranges), sex)
                for age in options.ages
                for variant in range(options.variants)
            ]

    def _unit(self, number: int) -> WorkUnit:
        label = f"{number:05d}"
        columns: dict[str, Column] = {"generator": self.name, "seed": self.options.seed}
        tasks = tuple(
            Task(f"{label}/{label}_{age:g}_{variant}.png", label, float(age), columns)
            for age in self.options.ages
            for variant in range(self.options.variants)
        )
        return WorkUnit(key=label, tasks=tasks, payload=number)


def render_face(subject: int, age: float, variant: int, options: MeshOptions) -> RenderedFace:
    """One picture with its known points; the same bytes as :class:`MeshBackend` writes for these options.

    Args:
        subject: Number of the person.
        age: Years, 0..80.
        variant: Chooses pose, light, expression, clothes and camera.
        options: Seed, size and pose ranges are used.

    Raises:
        UsageError: ``age`` is not covered.
        AssetMissingError: The head is not installed and cannot be fetched.
    """
    ranges = Ranges(options.yaw, options.pitch, options.roll)
    return Sitter(options.seed, subject).portray(age, variant, size=options.size, ranges=ranges)


def _made(face: RenderedFace, sex: str) -> Made:
    columns: dict[str, Column] = {"sex": sex, "yaw": round(face.yaw, 3), "pitch": round(face.pitch, 3)}
    columns["roll"] = round(face.roll, 3)
    for number, (x, y) in enumerate(face.points5, start=1):
        columns[f"x{number}"] = round(float(x), 3)
        columns[f"y{number}"] = round(float(y), 3)
    return Made(face.image, columns)
