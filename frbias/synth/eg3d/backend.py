"""The EG3D generator behind ``frbias generate --backend eg3d``."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from frbias.core.assets.store import resolve_weights
from frbias.core.foundation.devices import choose_device
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import sha256_file
from frbias.synth.backend import AgeSynthesizer, Column, Made, Task, WorkUnit
from frbias.synth.backends import option_values
from frbias.synth.eg3d.ages import AgeBin, parse_bins
from frbias.synth.eg3d.cameras import FOV_DEGREES, Pose
from frbias.synth.eg3d.conditions import condition
from frbias.synth.eg3d.poses import parse_poses

if TYPE_CHECKING:
    from frbias.synth.eg3d.calibration import Calibration
    from frbias.synth.eg3d.config import Eg3dConfig
    from frbias.synth.eg3d.loading import LoadedGenerator
    from frbias.synth.eg3d.synthesizer import Synthesizer

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 1
DEFAULT_AGES = (5.0, 20.0, 40.0, 60.0)
TINY = "tiny"
PRECISIONS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_CHOICES = {
    "noise": ("const", "none", "random"),
    "jitter": ("random", "even"),
    "precision": ("auto", *PRECISIONS),
}


@dataclass(frozen=True)
class Eg3dOptions:
    """What to generate.

    Attributes:
        weights: ``eg3d``, another registered name, a file, or ``tiny`` for the random test model.
        subjects: Number of identities.
        first_subject: Number of the first one.
        ages: Target ages in years; None for 5, 20, 40, 60 where the generator takes ages.
        age_bins: Age ranges such as ``3-6,20-30``: each person gets one age drawn from each; instead of ``ages``.
        poses: Grid or distribution, as :func:`frbias.synth.eg3d.poses.parse_poses` reads it.
        seed: 0: subject number n is drawn from seed n, as in EG3D's own scripts; others give other people.
        psi: Truncation, 0 to 1 (or beyond).
        cutoff: Number of leading styles that are truncated; None for all.
        noise: ``const``, ``none`` or ``random`` (from the person's seed).
        jitter: ``random`` (from the person's seed) or ``even``.
        calibration: ``auto`` (the one stored with the weights for this psi, if any), ``none``, or a file.
        calibrate_from: Image set with ``estimated_age``: fit a calibration on it and store it with the weights first.
        age_estimator: ``dex``: it estimates the ages of ``calibrate_from``; empty: they are in the set.
        age_range: Ages that the scalar condition calls -1 and 1; not stored in snapshots.
        precision: Of the super-resolution: ``auto`` is fp16 on CUDA, fp32 on the CPU.
        compiled: Compile decoder and super-resolution on CUDA.
        chunk: Rays per step on CUDA; None for what fits the memory.
    """

    weights: str = "eg3d"
    subjects: int = 20
    first_subject: int = 0
    ages: tuple[float, ...] | None = None
    age_bins: str = ""
    poses: str = "0x0"
    seed: int = 0
    psi: float = 0.75
    cutoff: int | None = None
    noise: Literal["const", "none", "random"] = "const"
    jitter: Literal["random", "even"] = "random"
    calibration: str = "auto"
    calibrate_from: str = ""
    age_estimator: str = ""
    age_range: tuple[float, float] = (0.0, 75.0)
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    compiled: bool = False
    chunk: int | None = None

    def check(self) -> None:
        """Refuse what cannot be generated.

        Raises:
            UsageError: A value is unknown or out of range.
        """
        if self.subjects < 1 or self.first_subject < 0 or self.seed < 0:
            raise UsageError("The eg3d generator needs at least one subject, and no negative numbers.")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"--{name} {getattr(self, name)!r} is unknown; use {', '.join(known)}.")
        if not -2 <= self.psi <= 2:
            raise UsageError(f"--psi {self.psi:g} is out of range; choose 0 to 1 (0.75 is what was published).")
        if self.cutoff is not None and self.cutoff < 0:
            raise UsageError("--cutoff is a number of styles and cannot be negative.")
        if self.ages is not None and self.age_bins:
            raise UsageError("Give either --ages or --age-bins, not both.")
        if self.ages is not None and (not self.ages or len(set(self.ages)) != len(self.ages)):
            raise UsageError("Name every age once, and at least one.")
        if self.age_estimator not in ("", "dex"):
            raise UsageError(f"--age-estimator {self.age_estimator!r} is unknown; use dex.")
        if self.age_estimator and not self.calibrate_from:
            raise UsageError("--age-estimator goes with --calibrate-from SET.")
        if any(not 0 <= age <= 120 for age in self.ages or ()):
            raise UsageError("Ages are 0 to 120 years.")
        if len(self.age_range) != 2 or not self.age_range[0] < self.age_range[1]:
            raise UsageError("--age-range is two numbers, the smaller one first.")
        if self.chunk is not None and self.chunk < 1:
            raise UsageError("--chunk is a number of rays, at least 1.")
        parse_poses(self.poses)
        parse_bins(self.age_bins)


def make(options: Mapping[str, Any], device: str) -> AgeSynthesizer:
    """A backend from plain option values.

    Raises:
        UsageError: An option is unknown or out of range.
        AssetMissingError: The weights are not installed; says where they come from and how to add them.
    """
    return Eg3dBackend(Eg3dOptions(**option_values(Eg3dOptions, "eg3d", options)), device)


class Eg3dBackend:
    """Renders people of a 3-D aware, age-conditioned GAN; see ``docs/eg3d.md``.

    Args:
        options: What to generate.
        device: ``auto``, ``cpu`` or ``cuda[:i]``.
    """

    def __init__(self, options: Eg3dOptions, device: str = "auto") -> None:
        options.check()
        self.options = options
        self.path: Path | None = None if options.weights == TINY else resolve_weights(options.weights, "eg3d")
        self.device = choose_device(device)
        self.poses = parse_poses(options.poses)
        self.bins = parse_bins(options.age_bins)
        if options.calibrate_from:
            self._calibrate(Path(options.calibrate_from))

    @property
    def name(self) -> str:
        """``eg3d``."""
        return "eg3d"

    @property
    def parallel(self) -> Literal["processes", "batches"]:
        """Several people and ages per call, in this process."""
        return "batches"

    @property
    def notes(self) -> list[str]:
        """What the user should know before generating."""
        told = []
        if self.options.compiled and self.device.type != "cuda":
            told.append("--compile has no effect on the CPU.")
        if self.path is None:
            told.append("The test model has random weights; its images show no faces.")
        elif self.calibration is None and self.options.calibration == "auto" and self.config.age_kind != "none":
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

        o = self.options
        chosen = SynthesisOptions(
            psi=o.psi,
            cutoff=o.cutoff,
            noise=o.noise,
            jitter=o.jitter,
            age_range=(o.age_range[0], o.age_range[1]),
            half=getattr(torch, PRECISIONS[self.precision]),
            compiled=o.compiled,
            chunk=o.chunk,
        )
        return Synthesizer(self.loaded, self.device, chosen)

    @property
    def precision(self) -> str:
        """Precision of the super-resolution on this device."""
        if self.options.precision != "auto":
            return self.options.precision
        return "fp16" if self.device.type == "cuda" else "fp32"

    @cached_property
    def calibration(self) -> "Calibration | None":
        """The age calibration in use.

        Raises:
            BadInputError: The one asked for is for other weights or another psi, or cannot be read.
        """
        from frbias.synth.eg3d.calibration import calibration_path, read_calibration

        wanted = self.options.calibration
        if wanted == "none" or (wanted == "auto" and self.path is None):
            return None
        if wanted == "auto" and self.path is not None:
            path = calibration_path(self.path, self.options.psi)
            if not path.is_file():
                return None
        else:
            path = Path(wanted)
        return read_calibration(path, psi=self.options.psi, weights_sha256=self.weights_sha256)

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights; empty for the test model."""
        return "" if self.path is None else sha256_file(self.path)

    def describe(self) -> dict[str, Any]:
        """Options, generator version, weights, calibration, and what changes rounding: device kind and precision."""
        plain = asdict(self.options)
        for name in ("calibration", "calibrate_from", "age_estimator", "chunk", "precision", "weights"):
            plain.pop(name)
        ages = self._ages()
        return {
            "generator_version": GENERATOR_VERSION,
            **plain,
            "ages": None if ages is None else list(ages),
            "age_range": list(self.options.age_range),
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
        first = self.options.first_subject
        return [
            self._unit(number, index, age)
            for number in range(first, first + self.options.subjects)
            for index, age in enumerate(self._ages_of(number))
        ]

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Render people at ages: planes once each, then every pose."""
        from frbias.synth.eg3d.synthesizer import Person

        faces = self.synthesizer.faces([Person(unit.payload[0], unit.payload[1]) for unit in units])
        views = [(face, pose) for unit, face in zip(units, faces, strict=True) for pose in unit.payload[2]]
        images = iter(self.synthesizer.images(views))
        for unit in units:
            yield [Made(np.ascontiguousarray(next(images))) for _ in unit.tasks]

    def _unit(self, number: int, index: int, age: float | None) -> WorkUnit:
        seed = person_seed(self.options.seed, number)
        label = f"{number:05d}"
        asked = None if age is None else self._condition_age(age)
        condition(self.config, asked, self.options.age_range)  # refuses an age before anything is made
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
            "psi": self.options.psi,
        }

    def _condition_age(self, age: float) -> float:
        return age if self.calibration is None else self.calibration.condition_age(age)

    def _ages(self) -> tuple[float, ...] | None:
        """Ages of everybody; None where there are bins, or the generator takes no age."""
        if self.config.age_kind == "none":
            if self.options.ages is not None or self.bins:
                raise UsageError(
                    f"The generator {self.options.weights} is not conditioned on age; leave --ages out, "
                    "or use age-EG3D weights."
                )
            return None
        return None if self.bins else (self.options.ages or DEFAULT_AGES)

    def _ages_of(self, number: int) -> list[float | None]:
        ages = self._ages()
        if ages is not None:
            return list(ages)
        if not self.bins:
            return [None]
        return [_draw(age_bin, self.options.seed, number) for age_bin in self.bins]

    def _calibrate(self, folder: Path) -> None:
        from frbias.core.data.samples import read_samples
        from frbias.synth.eg3d.calibration import calibration_path, fit_from_table, write_calibration

        if self.path is None:
            raise UsageError("The test model has no place to store a calibration; use --calibrate-from with weights.")
        how: dict[str, Any] = {}
        if self.options.age_estimator:
            from frbias.core.faces.dex import DexEstimator, load_dex

            classifier, digest = load_dex()
            how = {"estimate": DexEstimator(classifier, self.device), "estimator": f"DEX {digest[:12]}"}
        fitted = fit_from_table(read_samples(folder), self.options.psi, self.weights_sha256, **how)
        write_calibration(calibration_path(self.path, self.options.psi), fitted)


def person_seed(seed: int, number: int) -> int:
    """Seed of a person: the number itself for seed 0, as in EG3D's own scripts; otherwise a hash of both."""
    if seed == 0 and number < 2**32:
        return number
    return int.from_bytes(hashlib.sha256(f"person {seed} {number}".encode()).digest()[:4], "big")


def _draw(age_bin: AgeBin, seed: int, number: int) -> float:
    digest = hashlib.sha256(f"age {seed} {number} {age_bin.low:g}-{age_bin.high:g}".encode()).digest()
    return age_bin.at(int.from_bytes(digest[:7], "big") / 2**56)
