"""The EG3D generator behind ``frbias generate --backend eg3d``."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from frbias.core.assets.store import resolve_weights
from frbias.core.data.units import Column, Made, Task, WorkUnit
from frbias.core.foundation.devices import choose_device
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import sha256_file
from frbias.synth.eg3d.ages import AgeBin, parse_bins
from frbias.synth.eg3d.cameras import FOV_DEGREES, Pose
from frbias.synth.eg3d.conditions import condition
from frbias.synth.eg3d.poses import parse_poses
from frbias.synth.eg3d.request import Eg3dRequest

if TYPE_CHECKING:
    from frbias.synth.eg3d.calibration import AgeEstimator, Calibration
    from frbias.synth.eg3d.config import Eg3dConfig
    from frbias.synth.eg3d.loading import LoadedGenerator
    from frbias.synth.eg3d.synthesizer import Synthesizer

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 1
DEFAULT_AGES = (5.0, 20.0, 40.0, 60.0)
TINY = "tiny"
PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def make(request: Eg3dRequest, device: str) -> "Eg3dBackend":
    """The generator for a request.

    Raises:
        AssetMissingError: The weights are not installed; says where they come from and how to add them.
    """
    return Eg3dBackend(request, device)


class Eg3dBackend:
    """Renders people of a 3-D aware, age-conditioned GAN; see ``docs/eg3d.md``.

    Args:
        request: What to generate.
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
    """

    def __init__(self, request: Eg3dRequest, device: str = "auto") -> None:
        self.request = request
        self.path: Path | None = None if request.weights == TINY else resolve_weights(request.weights, "eg3d")
        self.device = choose_device(device)
        self.poses = parse_poses(request.poses)
        self.bins = parse_bins(request.age_bins)
        if request.calibrate_from:
            self._calibrate(Path(request.calibrate_from).expanduser())

    @property
    def name(self) -> str:
        """``eg3d``."""
        return "eg3d"

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """Several people and ages per call, in this process."""
        return "batches"

    def prepare(self) -> None:
        """Nothing: the work is done in this process."""

    @property
    def notes(self) -> list[str]:
        """What the user should know before generating."""
        told = []
        if self.request.compile and self.device.type != "cuda":
            told.append("--compile has no effect on the CPU.")
        if self.path is None:
            told.append("The test model has random weights; its images show no faces.")
        elif self.calibration is None and self.request.calibration == "auto" and self.config.age_kind != "none":
            told.append(
                "No age calibration is stored for these weights; faces may not look as old as asked (docs/eg3d.md)."
            )
        return told

    @property
    def config(self) -> "Eg3dConfig":
        """Shape of the generator."""
        return self.loaded.network.config

    @cached_property
    def loaded(self) -> "LoadedGenerator":
        """The generator, read on first use."""
        from frbias.synth.eg3d.loading import load_generator, tiny_generator

        return tiny_generator() if self.path is None else load_generator(self.path)

    @cached_property
    def synthesizer(self) -> "Synthesizer":
        """The generator on its device."""
        import torch

        from frbias.synth.eg3d.synthesizer import SynthesisOptions, Synthesizer

        o = self.request
        chosen = SynthesisOptions(
            psi=o.psi,
            cutoff=o.cutoff,
            noise=o.noise,
            jitter=o.jitter,
            age_range=o.age_range,
            half=getattr(torch, PRECISIONS[self.precision]),
            compiled=o.compile,
            chunk=o.chunk,
        )
        return Synthesizer(self.loaded, self.device, chosen)

    @property
    def precision(self) -> str:
        """Precision of the super-resolution on this device."""
        if self.request.precision != "auto":
            return self.request.precision
        return "fp16" if self.device.type == "cuda" else "fp32"

    @cached_property
    def calibration(self) -> "Calibration | None":
        """The age calibration in use.

        Raises:
            BadInputError: The one asked for is for other weights or another psi, or cannot be read.
        """
        from frbias.synth.eg3d.calibration import calibration_path, read_calibration

        wanted = self.request.calibration
        if wanted == "none" or (wanted == "auto" and self.path is None):
            return None
        if wanted == "auto" and self.path is not None:
            path = calibration_path(self.path, self.request.psi)
            if not path.is_file():
                return None
        else:
            path = Path(wanted).expanduser()
        return read_calibration(path, psi=self.request.psi, weights_sha256=self.weights_sha256)

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights; empty for the test model."""
        return "" if self.path is None else sha256_file(self.path)

    def describe(self) -> dict[str, Any]:
        """Options, generator version, weights, calibration, and what changes rounding: device kind and precision."""
        ages = self._ages()
        return {
            "generator_version": GENERATOR_VERSION,
            **self.request.identity(),
            "ages": None if ages is None else list(ages),
            "fov_degrees": FOV_DEGREES,
            "generator": {**self.loaded.description, "sha256": self.weights_sha256},
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "device": self.device.type,
            "precision": self.precision,
        }

    def plan(self) -> list[WorkUnit]:
        """One unit per person and age, holding all poses.

        Raises:
            UsageError: Ages were asked of a generator that takes none.
        """
        first = self.request.first_subject
        return [
            self._unit(number, index, age)
            for number in range(first, first + self.request.subjects)
            for index, age in enumerate(self._ages_of(number))
        ]

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render people at ages: planes once each, then every pose."""
        from frbias.synth.eg3d.synthesizer import Person

        faces = self.synthesizer.faces([Person(unit.payload[0], unit.payload[1]) for unit in units])
        views = [(face, pose) for unit, face in zip(units, faces, strict=True) for pose in unit.payload[2]]
        images = iter(self.synthesizer.images(views))
        for unit in units:
            yield [Made(np.ascontiguousarray(next(images)), file_name=task.file_name) for task in unit.tasks]

    def _unit(self, number: int, index: int, age: float | None) -> WorkUnit:
        seed = person_seed(self.request.seed, number)
        label = f"{number:05d}"
        asked = None if age is None else self._condition_age(age)
        condition(self.config, asked, self.request.age_range)  # refuses an age before anything is made
        poses = self.poses.of_person(seed)
        stem = f"{label}/{label}" if age is None else f"{label}/{label}_{age:g}"
        tasks = tuple(
            Task(f"{stem}_{i}.png", label, float("nan") if age is None else age, self._columns(seed, asked, pose))
            for i, pose in enumerate(poses)
        )
        key = label if age is None else f"{label}_{index}_{age:g}"
        return WorkUnit(key=key, tasks=tasks, payload=(seed, asked, poses))

    def _columns(self, seed: int, asked: float | None, pose: Pose) -> dict[str, Column]:
        yaw, pitch = pose.offsets
        return {
            "yaw": pose.yaw,
            "pitch": pose.pitch,
            "seed": seed,
            "generator": f"{self.name}-test" if self.path is None else self.name,
            "condition_age": None if asked is None else round(asked, 4),
            "camera_yaw": round(yaw, 6),
            "camera_pitch": round(pitch, 6),
            "psi": self.request.psi,
        }

    def _condition_age(self, age: float) -> float:
        return age if self.calibration is None else self.calibration.condition_age(age)

    def _ages(self) -> tuple[float, ...] | None:
        """Ages of everybody; None where there are bins, or the generator takes no age."""
        if self.config.age_kind == "none":
            if self.request.ages or self.bins:
                raise UsageError(
                    f"The generator {self.request.weights} is not conditioned on age; leave --ages out, "
                    "or use age-EG3D weights."
                )
            return None
        return None if self.bins else (self.request.ages or DEFAULT_AGES)

    def _ages_of(self, number: int) -> list[float | None]:
        ages = self._ages()
        if ages is not None:
            return list(ages)
        if not self.bins:
            return [None]
        return [_draw(age_bin, self.request.seed, number) for age_bin in self.bins]

    def _calibrate(self, folder: Path) -> None:
        from frbias.core.data.samples import read_samples
        from frbias.synth.eg3d.calibration import calibration_path, fit_from_table, write_calibration

        if self.path is None:
            raise UsageError("The test model has no place to store a calibration; use --calibrate-from with weights.")
        estimate: AgeEstimator | None = None
        estimator = ""
        if self.request.age_estimator:
            from frbias.core.faces.dex import DexEstimator, load_dex

            classifier, digest = load_dex()
            estimate, estimator = DexEstimator(classifier, self.device), f"DEX {digest[:12]}"
        table = read_samples(folder)
        fitted = fit_from_table(table, self.request.psi, self.weights_sha256, estimate=estimate, estimator=estimator)
        write_calibration(calibration_path(self.path, self.request.psi), fitted)


def person_seed(seed: int, number: int) -> int:
    """Seed of a person: the number itself for seed 0, as in EG3D's own scripts; otherwise a hash of both."""
    if seed == 0 and number < 2**32:
        return number
    return int.from_bytes(hashlib.sha256(f"person {seed} {number}".encode()).digest()[:4], "big")


def _draw(age_bin: AgeBin, seed: int, number: int) -> float:
    digest = hashlib.sha256(f"age {seed} {number} {age_bin.low:g}-{age_bin.high:g}".encode()).digest()
    return age_bin.at(int.from_bytes(digest[:7], "big") / 2**56)
