"""The CUSP generator behind ``frbias generate --backend cusp``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import torch

from frbias.core.assets.store import resolve_weights
from frbias.core.devices import choose_device
from frbias.core.errors import BadImageError, UsageError
from frbias.core.faces.align import DegenerateFaceError
from frbias.core.faces.detect import describe_detector
from frbias.synth.backend import Made, Task, WorkUnit
from frbias.synth.cusp import trial
from frbias.synth.cusp.editing import NOISE_MODES, CuspEditor, NoiseMode, Precision
from frbias.synth.cusp.labels import LS_BINS, RR_LABELS, Target, is_binned, target_of, thesis_targets, untrained
from frbias.synth.cusp.loading import LoadedCusp, classifier_of, load_cusp
from frbias.synth.cusp.saliency import MASK_RULES, AgeClassifier, MaskRule, mask_is_zero
from frbias.synth.cusp.sources import Source, find_sources, hash_of, prepare, seed_of
from frbias.synth.registry import option_values

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 1
VARIANTS = {"rr": "cusp", "ls": "cusp-ls"}
DEFAULT_RULE: MaskRule = "as_released_head"
_DEFAULT_AGES = {False: ("20", "35", "50", "65"), True: tuple(f"{low}-{high}" for low, high in LS_BINS)}
_PRECISIONS = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class CuspOptions:
    """What to make of which faces.

    Attributes:
        input: Folder of photographs, image set, or ``mesh:N``.
        variant: ``rr`` (years) or ``ls`` (age bins).
        weights: Name or path of the network; empty: the registered one of the variant; ``tiny``: random, for tests.
        ages: Ages in years, or bins by name (``30-39``) for ``ls``; empty: a spread, or all bins.
        age_bins: ``thesis``: one random age from each of its eight ranges for every face, in place of ``ages``.
        global_blur, mask_blur: Strengths of the blurs of the skip connection, 0..1.
        mask_rule: ``auto``: what the checkpoint's own text shows, else ``as_released_head``; or a rule.
        noise: ``const``, ``random`` (from the seed) or ``none``.
        aligned: Inputs are FFHQ crops already; they are only resized.
        precision: Of the finer decoder blocks: ``fp32``, ``fp16``, ``bf16``.
        compiled: Compile the decoder (CUDA).
        seed: Of random noise, random ages and generated adults.
    """

    input: str = "mesh:20"
    variant: str = "rr"
    weights: str = ""
    ages: tuple[str, ...] = ()
    age_bins: str = ""
    global_blur: float = 0.2
    mask_blur: float = 0.8
    mask_rule: str = "auto"
    noise: str = "const"
    aligned: bool = False
    precision: str = "fp32"
    compiled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "variant": tuple(VARIANTS),
            "mask_rule": ("auto", *MASK_RULES),
            "noise": NOISE_MODES,
            "precision": _PRECISIONS,
            "age_bins": ("", "thesis"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                names = ", ".join(a for a in allowed if a)
                raise UsageError(f"--{name.replace('_', '-')} {getattr(self, name)!r} is unknown; use {names}.")
        if self.age_bins and self.ages:
            raise UsageError("Give --ages or --age-bins, not both.")
        if not (0 <= self.global_blur <= 1 and 0 <= self.mask_blur <= 1):
            raise UsageError("--global-blur and --mask-blur are strengths from 0 (none) to 1 (strongest).")


@dataclass(frozen=True)
class CuspBackend:
    """Ages faces; see :class:`frbias.synth.backend.AgeSynthesizer`.

    Attributes:
        options: What to make.
        device: Where.
    """

    options: CuspOptions
    device: str = "auto"
    name: str = "cusp"
    parallel: Literal["processes", "batches"] = "batches"
    sources: tuple[Source, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(find_sources(self.options.input, self.options.seed)))

    def describe(self) -> dict[str, Any]:
        """Options, the network's hash, the mask rule and where it comes from, and a hash of the inputs."""
        o, loaded = self.options, _loaded(self.options.weights or VARIANTS[self.options.variant], self._labels)
        rule, origin = self._rule(loaded)
        return {
            "generator_version": GENERATOR_VERSION,
            "variant": o.variant,
            "weights_sha256": loaded.sha256,
            "ages": [t.name for t in self._fixed_targets()] or o.age_bins,
            "global_blur": o.global_blur,
            "mask_blur": o.mask_blur,
            "mask_rule": rule,
            "mask_rule_from": origin,
            "noise": o.noise,
            "template": "resized" if o.aligned else "ffhq (five points)",
            "detector": {} if o.aligned else describe_detector("yunet"),
            "precision": o.precision,
            "seed": o.seed,
            "inputs_sha256": hash_of(list(self.sources)),
            "sources": len(self.sources),
        }

    def plan(self) -> list[WorkUnit]:
        """One unit per face, one task per age."""
        uses = Counter(source.subject for source in self.sources)
        seen: Counter[str] = Counter()
        rule, _ = self._rule(_loaded(self.options.weights or VARIANTS[self.options.variant], self._labels))
        units = []
        for source in self.sources:
            number, many = seen[source.subject], uses[source.subject] > 1
            seen[source.subject] += 1
            targets = self._targets(source)
            tasks = tuple(self._task(source, target, number if many else None, rule) for target in targets)
            units.append(WorkUnit(source.name, tasks, (source, tuple(targets)), source.name))
        return units

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Age the faces of ``units``."""
        editor = self._editor()
        for unit in units:
            source, targets = unit.payload
            try:
                face = prepare(source.picture(), editor.config.resolution, aligned=self.options.aligned)
            except (BadImageError, DegenerateFaceError) as error:
                yield [Made(None, reason=str(error))] * len(unit.tasks)
                continue
            seeds = [int(cast(int, task.columns["seed"])) for task in unit.tasks]
            mode = cast(NoiseMode, self.options.noise)
            images = editor.decode_labels(editor.encode(face.image), [t.label for t in targets], mode, seeds)
            yield [Made(image, face.columns) for image in images]

    @property
    def notes(self) -> list[str]:
        """What a person should know before starting."""
        odd = untrained(self._fixed_targets(), self._labels)
        notes = [f"FFHQ-RR was trained to show ages 20 to 69; {', '.join(odd)} lie outside."] if odd else []
        if self.options.weights == trial.NAME:
            notes.append("The tiny network has random weights: its pictures show nothing and are for tests alone.")
        return notes

    @property
    def _labels(self) -> int:
        return RR_LABELS if self.options.variant == "rr" else len(LS_BINS)

    def _fixed_targets(self) -> list[Target]:
        if self.options.age_bins:
            return []
        names = self.options.ages or _DEFAULT_AGES[is_binned(self._labels)]
        targets = [target_of(str(name), self._labels) for name in names]
        if len({t.name for t in targets}) < len(targets):
            raise UsageError("--ages names an age twice.")
        return targets

    def _targets(self, source: Source) -> list[Target]:
        fixed = self._fixed_targets()
        if fixed:
            return fixed
        return thesis_targets(self._labels, [self.options.seed, seed_of(source.name)])

    def _task(self, source: Source, target: Target, number: int | None, rule: MaskRule) -> Task:
        safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in source.subject)
        variant = "" if number is None else f"_{number}"
        columns = {
            "generator": "cusp-test" if self.options.weights == trial.NAME else "cusp",
            "source_file": source.name,
            "age_label": target.label,
            "age_target": target.name,
            "global_blur": self.options.global_blur,
            "mask_blur": self.options.mask_blur,
            "mask_rule": rule,
            "seed": seed_of(self.options.seed, source.name, target.name),
        }
        return Task(f"{safe}/{safe}_{target.name}{variant}.png", source.subject, target.age, columns)

    def _rule(self, loaded: LoadedCusp) -> tuple[MaskRule, str]:
        if self.options.mask_rule != "auto":
            return cast(MaskRule, self.options.mask_rule), "chosen"
        return (loaded.rule, "checkpoint") if loaded.rule else (DEFAULT_RULE, "default: no evidence in the checkpoint")

    def _editor(self) -> CuspEditor:
        loaded = _loaded(self.options.weights or VARIANTS[self.options.variant], self._labels)
        rule, _ = self._rule(loaded)
        return CuspEditor(
            loaded.network,
            rule=rule,
            classifier=self._classifier(loaded, rule),
            global_blur=self.options.global_blur,
            mask_blur=self.options.mask_blur,
            device=choose_device(self.device),
            precision=cast(Precision, self.options.precision),
            compiled=self.options.compiled,
        )

    def _classifier(self, loaded: LoadedCusp, rule: MaskRule) -> AgeClassifier | None:
        if mask_is_zero(loaded.network.config.resolution, rule):
            return None
        return loaded.classifier or _dex()


def make(options: Mapping[str, Any], device: str) -> CuspBackend:
    """A backend from plain option values; its weights must be installed.

    Raises:
        UsageError: An option is unknown or out of range, or the weights are of the other variant.
        BadInputError: The input holds no pictures.
        AssetMissingError: The weights are not installed; says what they are and where they come from.
    """
    values = option_values(CuspOptions, "cusp", options)
    if "ages" in values:
        values["ages"] = tuple(f"{age:g}" if isinstance(age, float | int) else str(age) for age in values["ages"])
    chosen = CuspOptions(**values)
    backend_labels = RR_LABELS if chosen.variant == "rr" else len(LS_BINS)
    loaded = _loaded(chosen.weights or VARIANTS[chosen.variant], backend_labels)
    if loaded.network.config.labels != backend_labels:
        other = "ls" if chosen.variant == "rr" else "rr"
        raise UsageError(
            f"These weights have {loaded.network.config.labels} age labels; they go with --variant {other}."
        )
    backend = CuspBackend(chosen, device)
    rule, _ = backend._rule(loaded)
    backend._classifier(loaded, rule)
    return backend


@lru_cache(maxsize=2)
def _loaded(weights: str, labels: int) -> LoadedCusp:
    if weights == trial.NAME:
        return LoadedCusp(trial.tiny_network(labels), "random, for tests", None, trial.random_classifier())
    return load_cusp(resolve_weights(weights, "cusp"))


@lru_cache(maxsize=1)
def _dex() -> AgeClassifier:
    from safetensors.torch import load_file

    path: Path = resolve_weights("dex", "age-classifier")
    tensors = (
        load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    )
    return classifier_of(tensors)
