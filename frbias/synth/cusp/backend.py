"""The CUSP generator behind ``frbias generate --backend cusp``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast

from frbias.core.data.units import Column, Made, Task, WorkUnit
from frbias.core.faces.detect import describe_detector
from frbias.core.foundation.devices import choose_device
from frbias.core.foundation.errors import BadImageError
from frbias.synth.cusp import trial
from frbias.synth.cusp.editing import CuspEditor, to_pixels
from frbias.synth.cusp.labels import (
    LABELS,
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
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.cusp.sources import Source, find_sources, folder_names, hash_of, not_used, seed_of
from frbias.synth.cusp.weights import DEFAULT, CuspWeights, find_weights

# Raised whenever the same options would give other pictures.
GENERATOR_VERSION = 1
_DEFAULT_AGES = {"rr": ("20", "35", "50", "65"), "ls": tuple(f"{low}-{high}" for low, high in LS_BINS)}


@dataclass(frozen=True)
class CuspBackend:
    """Ages faces; see :class:`frbias.synth.age_synthesizer.AgeSynthesizer`.

    Attributes:
        request: What to make.
        device: Where.
    """

    request: CuspRequest
    device: str = "auto"
    name: str = "cusp"
    parallel: Literal["processes", "batches"] = "batches"
    sources: tuple[Source, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(find_sources(self.request.input, self.request.seed)))

    def describe(self) -> dict[str, Any]:
        """Options, the weights' hashes, the mask rule and where it comes from, and a hash of the inputs."""
        request = self.request
        return {
            "generator_version": GENERATOR_VERSION,
            **request.identity(),
            "ages": [t.name for t in self._fixed_targets()],
            "template": "ffhq, from five points" if request.template == "ffhq" else "none, resized",
            "detector": describe_detector("yunet") if request.template == "ffhq" else {},
            "sources": len(self.sources),
            "sources_sha256": hash_of(self.sources),
            **self.weights().describe(),
        }

    def weights(self) -> CuspWeights:
        """Network, mask rule and age classifier; loaded once.

        Raises:
            AssetMissingError: They are not installed.
        """
        return find_weights(self.request.weights, self.request.variant, self.request.mask_rule)

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
        """Age the faces of ``units``, each encoded once; on a device all of them together."""
        editor = _editor(self.request, self.device)
        step = max(1, len(units)) if editor.batched else 1
        for start in range(0, len(units), step):
            yield from self._aged(editor, units[start : start + step])

    def _aged(self, editor: CuspEditor, units: Sequence[WorkUnit]) -> Iterator[list[Made]]:
        faces = [self._face_of(unit, editor.config.resolution) for unit in units]
        good = [(unit, face) for unit, face in zip(units, faces, strict=True) if isinstance(face, Prepared)]
        encoded = editor.encode_all([face.image for _, face in good])
        tasks = [
            (code, task, target) for code, (unit, _) in zip(encoded, good, strict=True) for task, target in _ages(unit)
        ]
        images = editor.decode(
            [code for code, _, _ in tasks],
            [target.label for _, _, target in tasks],
            self.request.noise,
            [int(cast(int, task.columns["seed"])) for _, task, _ in tasks],
        )
        pictures = iter(to_pixels(images))
        for unit, face in zip(units, faces, strict=True):
            if isinstance(face, Prepared):
                yield [Made(next(pictures), face.columns, file_name=task.file_name) for task in unit.tasks]
            else:
                yield [Made(None, reason=face)] * len(unit.tasks)

    def _face_of(self, unit: WorkUnit, side: int) -> Prepared | str:
        """The face of a unit, or why there is none."""
        try:
            return self._prepared(unit.payload[0], side)
        except BadImageError as error:
            return error.reason

    def prepare(self) -> None:
        """Nothing: the work is done in this process."""

    @property
    def notes(self) -> list[str]:
        """What a person should know before starting."""
        notes = [f"{lost}." for lost in [not_used(self.request.input)] if lost]
        low, high = RR_TRAINED
        ranges = [f"{a}-{b}" for a, b in THESIS_BINS if a < low] if self.request.variant == "rr" else []
        odd = ranges if self.request.age_bins else untrained(self._fixed_targets(), LABELS[self.request.variant])
        if odd:
            notes.append(f"FFHQ-RR was trained to show ages {low} to {high}; {', '.join(odd)} lie outside.")
        if self.request.weights == trial.NAME:
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
        face = prepare(picture.image, side, aligned=self.request.template == "none", points=picture.points)
        return Prepared(face.image, {**picture.columns, **face.columns})

    def _fixed_targets(self) -> list[Target]:
        if self.request.age_bins:
            return []
        names = self.request.ages or _DEFAULT_AGES[self.request.variant]
        targets = [target_of(str(name), LABELS[self.request.variant]) for name in names]
        refuse_twins(targets)
        return targets

    def _targets(self, source: Source) -> list[Target]:
        drawn = [self.request.seed, seed_of(source.name)]
        return self._fixed_targets() or thesis_targets(LABELS[self.request.variant], drawn)

    def _common_columns(self) -> dict[str, Column]:
        return {
            "generator": "cusp-test" if self.request.weights == trial.NAME else self.name,
            "global_blur": self.request.global_blur,
            "mask_blur": self.request.mask_blur,
            "mask_rule": self.weights().rule,
        }

    def _task(self, source: Source, target: Target, folder: str, variant: str, common: Mapping[str, Column]) -> Task:
        columns: dict[str, Column] = {
            **common,
            "source_file": source.name,
            "age_label": target.label,
            "age_target": target.name,
            "seed": seed_of(self.request.seed, source.name, target.name),
        }
        return Task(f"{folder}/{folder}_{target.name}{variant}.png", source.subject, target.age, columns)


def make(request: CuspRequest, device: str) -> CuspBackend:
    """The generator for a request; its weights must be installed.

    Raises:
        UsageError: The weights are of the other variant, or do not have an age that is asked for.
        BadInputError: The input holds no pictures.
        AssetMissingError: The weights are not installed; says what they are and where they come from.
    """
    find_weights(request.weights, request.variant, request.mask_rule)
    backend = CuspBackend(request, device)
    backend.plan()
    return backend


def _ages(unit: WorkUnit) -> Iterator[tuple[Task, Target]]:
    return zip(unit.tasks, unit.payload[1], strict=True)


@lru_cache(maxsize=1)
def _editor(request: CuspRequest, device: str) -> CuspEditor:
    weights = find_weights(request.weights, request.variant, request.mask_rule)
    return CuspEditor(
        weights.loaded.network,
        rule=weights.rule,
        classifier=weights.classifier,
        global_blur=request.global_blur,
        mask_blur=request.mask_blur,
        device=choose_device(device),
        precision=request.precision,
        compiled=request.compile,
    )
