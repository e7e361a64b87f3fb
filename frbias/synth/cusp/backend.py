"""The CUSP generator behind ``frbias generate --backend cusp``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

from frbias.core.faces.detect import describe_detector
from frbias.core.foundation.devices import choose_device
from frbias.core.foundation.errors import BadImageError, UsageError
from frbias.synth.backend import Column, Made, Task, WorkUnit
from frbias.synth.backends import option_values
from frbias.synth.cusp import trial
from frbias.synth.cusp.editing import NOISE_MODES, CuspEditor, NoiseMode, Precision
from frbias.synth.cusp.labels import (
    LS_BINS,
    RR_TRAINED,
    THESIS_BINS,
    Target,
    refuse_twins,
    target_of,
    thesis_targets,
    untrained,
)
from frbias.synth.cusp.preparation import Prepared, prepare
from frbias.synth.cusp.saliency import MASK_RULES
from frbias.synth.cusp.sources import Source, find_sources, folder_names, hash_of, seed_of
from frbias.synth.cusp.weights import AUTO, DEFAULT, LABELS, CuspWeights, find_weights

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 1
TEMPLATES = ("ffhq", "none")
_DEFAULT_AGES = {"rr": ("20", "35", "50", "65"), "ls": tuple(f"{low}-{high}" for low, high in LS_BINS)}
_PRECISIONS = ("fp32", "fp16", "bf16")


@dataclass(frozen=True)
class CuspOptions:
    """What to make of which faces.

    Attributes:
        input: Folder of photographs, image set (folder or name), or ``mesh:N``.
        variant: ``rr`` (years) or ``ls`` (age bins).
        weights: Name or path of the network; empty: the registered one of the variant; ``tiny``: random, for tests.
        ages: Ages in years, or bins by name (``30-39``) for ``ls``; empty: a spread, or all bins.
        age_bins: ``thesis``: one random age from each of its eight ranges for every face, in place of ``ages``.
        global_blur, mask_blur: Strengths of the blurs of the skip connection, 0..1.
        mask_rule: ``auto``: what the checkpoint's own text shows, else ``as_released_head``; or a rule.
        noise: ``const``, ``random`` (from the seed) or ``none``.
        template: ``ffhq``: cut the FFHQ square around the largest face; ``none``: inputs are such crops already.
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
    template: str = "ffhq"
    precision: str = "fp32"
    compiled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "variant": tuple(LABELS),
            "mask_rule": (AUTO, *MASK_RULES),
            "template": TEMPLATES,
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
        """Options, the weights' hashes, the mask rule and where it comes from, and a hash of the inputs."""
        o = self.options
        return {
            "generator_version": GENERATOR_VERSION,
            "variant": o.variant,
            "ages": [t.name for t in self._fixed_targets()] or o.age_bins,
            "global_blur": o.global_blur,
            "mask_blur": o.mask_blur,
            "noise": o.noise,
            "template": "ffhq, from five points" if o.template == "ffhq" else "none, resized",
            "detector": describe_detector("yunet") if o.template == "ffhq" else {},
            "precision": o.precision,
            "seed": o.seed,
            "sources": len(self.sources),
            "sources_sha256": hash_of(self.sources),
            **self.weights().describe(),
        }

    def weights(self) -> CuspWeights:
        """Network, mask rule and age classifier; loaded once.

        Raises:
            AssetMissingError: They are not installed.
        """
        return find_weights(self.options.weights, self.options.variant, self.options.mask_rule)

    def plan(self) -> list[WorkUnit]:
        """One unit per face, one task per age."""
        uses = Counter(source.subject for source in self.sources)
        folders = folder_names(source.subject for source in self.sources)
        seen: Counter[str] = Counter()
        common = self._common_columns()
        units = []
        for source in self.sources:
            variant = f"_{seen[source.subject]}" if uses[source.subject] > 1 else ""
            seen[source.subject] += 1
            targets = self._targets(source)
            tasks = tuple(self._task(source, t, folders[source.subject], variant, common) for t in targets)
            units.append(WorkUnit(source.name, tasks, (source, tuple(targets)), source.name))
        return units

    def render(self, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        """Age the faces of ``units``, each encoded once."""
        editor = _editor(self.options, self.device)
        for unit in units:
            source, targets = unit.payload
            try:
                face = self._prepared(source, editor.config.resolution)
            except BadImageError as error:
                yield [Made(None, reason=error.reason)] * len(unit.tasks)
                continue
            seeds = [int(cast(int, task.columns["seed"])) for task in unit.tasks]
            mode = cast(NoiseMode, self.options.noise)
            images = editor.decode_labels(editor.encode(face.image), [t.label for t in targets], mode, seeds)
            yield [Made(image, face.columns) for image in images]

    @property
    def notes(self) -> list[str]:
        """What a person should know before starting."""
        notes = []
        low, high = RR_TRAINED
        ranges = [f"{a}-{b}" for a, b in THESIS_BINS if a < low] if self.options.variant == "rr" else []
        odd = ranges if self.options.age_bins else untrained(self._fixed_targets(), LABELS[self.options.variant])
        if odd:
            notes.append(f"FFHQ-RR was trained to show ages {low} to {high}; {', '.join(odd)} lie outside.")
        if self.options.weights == trial.NAME:
            notes.append("The tiny network has random weights: its pictures show nothing and are for tests alone.")
        elif self.weights().rule_from == DEFAULT:
            notes.append(
                "The checkpoint does not show which mask rule it was made with. Taken is as_released_head, what the last "
                "published code computes: no mask, the structure is blurred alike everywhere. --mask-rule intended "
                "spares what does not show age (see docs/cusp.md)."
            )
        return notes

    def _prepared(self, source: Source, side: int) -> Prepared:
        picture = source.read()
        face = prepare(picture.image, side, aligned=self.options.template == "none", points=picture.points)
        return Prepared(face.image, {**picture.columns, **face.columns})

    def _fixed_targets(self) -> list[Target]:
        if self.options.age_bins:
            return []
        names = self.options.ages or _DEFAULT_AGES[self.options.variant]
        targets = [target_of(str(name), LABELS[self.options.variant]) for name in names]
        refuse_twins(targets)
        return targets

    def _targets(self, source: Source) -> list[Target]:
        drawn = [self.options.seed, seed_of(source.name)]
        return self._fixed_targets() or thesis_targets(LABELS[self.options.variant], drawn)

    def _common_columns(self) -> dict[str, Column]:
        return {
            "generator": "cusp-test" if self.options.weights == trial.NAME else self.name,
            "global_blur": self.options.global_blur,
            "mask_blur": self.options.mask_blur,
            "mask_rule": self.weights().rule,
        }

    def _task(self, source: Source, target: Target, folder: str, variant: str, common: Mapping[str, Column]) -> Task:
        columns: dict[str, Column] = {
            **common,
            "source_file": source.name,
            "age_label": target.label,
            "age_target": target.name,
            "seed": seed_of(self.options.seed, source.name, target.name),
        }
        return Task(f"{folder}/{folder}_{target.name}{variant}.png", source.subject, target.age, columns)


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
    find_weights(chosen.weights, chosen.variant, chosen.mask_rule)
    backend = CuspBackend(chosen, device)
    backend.plan()
    return backend


@lru_cache(maxsize=1)
def _editor(options: CuspOptions, device: str) -> CuspEditor:
    weights = find_weights(options.weights, options.variant, options.mask_rule)
    return CuspEditor(
        weights.loaded.network,
        rule=weights.rule,
        classifier=weights.classifier,
        global_blur=options.global_blur,
        mask_blur=options.mask_blur,
        device=choose_device(device),
        precision=cast(Precision, options.precision),
        compiled=options.compiled,
    )
