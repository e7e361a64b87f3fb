"""A synthetic stand-in for FG-NET: its file names, counts, ages, grey pictures and 68 points, with mesh faces.

Published about FG-NET: 1002 images of 82 subjects, 6 to 18 each, ages 0 to 69 with 371, 339, 144, 79, 46,
15 and 8 images per decade (Geng, Zhou and Smith-Miles, *Automatic age estimation based on facial aging
patterns*, 2007). Those numbers are met exactly; who was photographed when is drawn, with the older pictures
belonging to few people, as there.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from frbias.core.data.datasets.layouts.fgnet import format_points
from frbias.core.data.units import Column, Made, Task, WorkUnit
from frbias.synth.mesh.backend import MeshBackend
from frbias.synth.mesh.faces import RenderedFace, Sitter
from frbias.synth.mesh.request import SUBJECTS_OF_FGNET, MeshRequest
from frbias.synth.mesh.truth import truth_files
from frbias.synth.mesh.view import Ranges

SUBJECTS = SUBJECTS_OF_FGNET
IMAGES = 1002
DECADES = (371, 339, 144, 79, 46, 15, 8)
FEWEST, MOST = 6, 18
GREY_SHARE = 0.35
# How many people have pictures of a decade at all, and how many such pictures one person has at most.
_PEOPLE = (82, 82, 52, 26, 13, 5, 3)
_PER_PERSON = (18, 18, 6, 6, 6, 5, 4)
_STREAM = 0xF6


@dataclass(frozen=True)
class Portrait:
    """One picture of the roster.

    Attributes:
        subject: 1 to 82.
        age: Whole years.
        letter: ``a``, ``b``, ... when the subject has several pictures at that age, else empty.
        grey: True for a picture in shades of grey.
    """

    subject: int
    age: int
    letter: str
    grey: bool

    @property
    def stem(self) -> str:
        """File name without folder and suffix, e.g. ``001A43a``."""
        return f"{self.subject:03d}A{self.age:02d}{self.letter}"


def roster(seed: int) -> list[Portrait]:
    """Every picture of the stand-in, by subject and age; the same seed gives the same roster."""
    rng = np.random.default_rng([seed, _STREAM])
    room = _images_per_subject(rng)
    order = rng.permutation(SUBJECTS)
    ages: list[list[int]] = [[] for _ in range(SUBJECTS)]
    for decade in reversed(range(len(DECADES))):
        people = order[: _PEOPLE[decade]]
        taken: Counter[int] = Counter()
        for age in _ages_of(decade, rng):
            open_ = [p for p in people if room[p] > 0 and taken[p] < _PER_PERSON[decade]]
            weights = np.array([room[p] for p in open_], dtype=np.float64)
            person = int(rng.choice(open_, p=weights / weights.sum()))
            ages[person].append(age)
            room[person] -= 1
            taken[person] += 1
    grey = rng.random(IMAGES) < GREY_SHARE
    portraits: list[Portrait] = []
    for person, of_person in enumerate(ages):
        times, seen = Counter(of_person), Counter[int]()
        for age in sorted(of_person):
            letter = chr(ord("a") + seen[age]) if times[age] > 1 else ""
            seen[age] += 1
            portraits.append(Portrait(person + 1, age, letter, bool(grey[len(portraits)])))
    return portraits


def _ages_of(decade: int, rng: np.random.Generator) -> list[int]:
    """Ages of one decade; the youngest of all is 0 and the oldest 69, as published."""
    ages = rng.integers(decade * 10, decade * 10 + 10, size=DECADES[decade])
    if decade == 0:
        ages[0] = 0
    if decade == len(DECADES) - 1:
        ages[0] = decade * 10 + 9
    return [int(age) for age in ages]


def _images_per_subject(rng: np.random.Generator) -> list[int]:
    """Pictures of each subject: 6 to 18, both met, 1002 in all."""
    counts = [FEWEST, MOST, *[IMAGES // SUBJECTS] * (SUBJECTS - 2)]
    while sum(counts) < IMAGES:
        counts[int(rng.integers(2, SUBJECTS))] += 1
    for _ in range(6 * SUBJECTS):
        giver, taker = rng.integers(2, SUBJECTS, size=2)
        if giver != taker and counts[giver] > FEWEST and counts[taker] < MOST:
            counts[giver] -= 1
            counts[taker] += 1
    return [counts[i] for i in rng.permutation(SUBJECTS)]


class FgnetLayoutBackend:
    """Writes ``images/001A05.JPG`` and ``points/001a05.pts`` of mesh faces.

    Args:
        options: ``seed``, ``size``, ``first_subject`` and the pose ranges are used; ``subjects`` may be
            less than 82 to make the first few subjects only.
    """

    def __init__(self, options: MeshRequest) -> None:
        self.options = options
        self._mesh = MeshBackend(options)

    @property
    def name(self) -> str:
        """``mesh``."""
        return self._mesh.name

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """One person at a time per worker process."""
        return "processes"

    @property
    def notes(self) -> list[str]:
        """Nothing to say beforehand."""
        return []

    def prepare(self) -> None:
        """Install the head if it is missing, before worker processes look for it."""
        self._mesh.prepare()

    def describe(self) -> dict[str, Any]:
        """As the mesh generator, with what this set stands in for."""
        return {"stands_in_for": "FG-NET", "synthetic": True, **self._mesh.describe()}

    def plan(self) -> list[WorkUnit]:
        """One unit per subject."""
        units = []
        portraits = roster(self.options.seed)
        for subject in range(1, self.options.people + 1):
            of_subject = tuple(p for p in portraits if p.subject == subject)
            tasks = tuple(self._task(portrait) for portrait in of_subject)
            units.append(WorkUnit(key=f"{subject:03d}", tasks=tasks, payload=of_subject))
        return units

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render subjects one after the other.

        Raises:
            AssetMissingError: The head is not installed and cannot be fetched.
        """
        options = self.options
        ranges = Ranges(options.yaw, options.pitch, options.roll)
        for unit in units:
            portraits: tuple[Portrait, ...] = unit.payload
            number = options.first_subject + portraits[0].subject - 1
            sitter = Sitter(options.seed, number, options.kin, options.skins)
            sex = "f" if sitter.person.female else "m"
            yield [
                _made(
                    sitter.portray(
                        task.age,
                        count,
                        size=options.size,
                        ranges=ranges,
                        with_parts="mask" in options.truth,
                        accessories=options.accessories,
                    ),
                    portrait,
                    sex,
                    task,
                    options.truth,
                )
                for count, (portrait, task) in enumerate(zip(portraits, unit.tasks, strict=True))
            ]

    def _task(self, portrait: Portrait) -> Task:
        columns: dict[str, Column] = {"generator": self.name, "seed": self.options.seed}
        return Task(f"images/{portrait.stem}.JPG", f"{portrait.subject:03d}", float(portrait.age), columns)


def _made(face: RenderedFace, portrait: Portrait, sex: str, task: Task, truth: tuple[str, ...]) -> Made:
    image = cv2.cvtColor(face.image, cv2.COLOR_RGB2GRAY) if portrait.grey else face.image
    columns: dict[str, Column] = {"sex": sex, "yaw": round(face.yaw, 3), "pitch": round(face.pitch, 3)}
    columns |= {
        f"{axis}{n}": round(float(v), 3)
        for n, point in enumerate(face.points5, 1)
        for axis, v in zip("xy", point, strict=True)
    }
    points = {f"points/{portrait.stem.lower()}.pts": format_points(face.points68)}
    return Made(
        np.asarray(image, dtype=np.uint8),
        columns,
        extra_files=points | truth_files(face, task.file_name, truth),
        file_name=task.file_name,
    )
