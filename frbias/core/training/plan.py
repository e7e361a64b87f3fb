"""What a fine-tuning will do, worked out and checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from frbias.core.data.samples import SampleTable
from frbias.core.foundation.devices import World
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.group import decided_by_the_leader
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.words import counted
from frbias.core.recognisers.trainable.base import Backbone, StateDict, parameter_count
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.training.augment import view_numbers
from frbias.core.training.batches import Sampler
from frbias.core.training.cache import CacheDecision, Prefix, decide, prefix_dtype
from frbias.core.training.freezing import Freezing, freeze, freezing, has_batch_norm, stage_table
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.pixels import FaceSet, read_faces
from frbias.core.training.split import Split, check_apart, check_no_leak, split_by_subject
from frbias.core.training.validation import validation_rows
from frbias.core.training.work import Work, count_work, seconds_of


@dataclass(frozen=True)
class TrainingPlan:
    """A fine-tuning that has been checked and can start.

    Attributes:
        options: As given.
        backbone: Start model, its frozen stages without gradients, on its device.
        freezing: Prefix and tail.
        faces: Images to train on and to validate with.
        split: Rows by use.
        sampler: Order of the epochs.
        evaluation: Images to evaluate on every few epochs, or None.
        guards: Images that must not be told apart worse.
        photographs: Images on which the network is held near the start model too, or None.
        start: The weights that training starts from, on the CPU.
        prefix: The frozen prefix.
        cache: Whether its output is kept.
        views: Views that training draws from.
        seconds: Estimated duration of all of it on this machine.
    """

    options: FinetuneOptions
    backbone: Trainable
    freezing: Freezing
    faces: FaceSet
    split: Split
    sampler: Sampler
    evaluation: FaceSet | None
    guards: tuple[FaceSet, ...]
    photographs: FaceSet | None
    start: StateDict
    prefix: Prefix
    cache: CacheDecision
    views: list[int]
    seconds: float

    @property
    def model(self) -> Backbone:
        """The network that is trained."""
        return self.backbone.model

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.sampler.steps * self.options.epochs

    def summary(self) -> dict[str, Any]:
        """What will happen, as JSON values."""
        ages = self.faces.table.ages[self.split.train]
        known = ages[~np.isnan(ages)]
        return {
            "weights": self.backbone.name,
            "architecture": self.model.architecture,
            "stages": [
                {"stage": name, "trained": trained, "fixed": fixed}
                for name, trained, fixed in stage_table(self.model, self.options.frozen)
            ],
            "parameters": parameter_count(self.model),
            "train": {"images": len(self.split.train), "subjects": len(self.split.classes)},
            "validation": {
                "images": len(self.split.validation),
                "subjects": len({self.faces.table.subjects[r] for r in self.split.validation}),
            },
            "rejected": len(self.faces.rejected),
            "left_out": self.split.left_out,
            "ages": {
                "known": len(known),
                "lowest": float(known.min()) if len(known) else None,
                "highest": float(known.max()) if len(known) else None,
            },
            "kept_photographs": 0 if self.photographs is None else len(self.photographs.table),
            "evaluation_images": 0 if self.evaluation is None else len(self.evaluation.table),
            "epochs": self.options.epochs,
            "steps": self.steps,
            "views": len(self.views),
            "cache": {"used": self.cache.used, "bytes": self.cache.bytes, "reason": self.cache.reason},
            "device": str(self.prefix.device),
            "prefix_arithmetic": self.prefix.dtype if self.prefix.stages else None,
            "estimated_seconds": round(self.seconds, 1),
        }


def make_plan(
    options: FinetuneOptions,
    backbone: Trainable,
    table: SampleTable,
    *,
    evaluation: SampleTable | None = None,
    names_unrelated: bool = False,
    guards: Sequence[SampleTable] = (),
    photographs: SampleTable | None = None,
    world: World | None = None,
    progress: Progress = SILENT,
) -> TrainingPlan:
    """Read the images, split them, and refuse what makes no sense.

    Args:
        options: What to do.
        backbone: Start model; its frozen stages lose their gradients.
        table: Aligned faces with subjects.
        evaluation: Aligned faces of other people, or None.
        names_unrelated: Equal subject names in the two sets mean different people.
        guards: Aligned faces that must not be told apart worse.
        photographs: Aligned faces on which ``keep`` holds embeddings too, or None.
        world: Processes that share the training.
        progress: Sink of progress.

    Raises:
        BadInputError: The images or the weights cannot be used for this.
        UsageError: Options contradict each other, the data or the machine.
    """
    world = world or World()
    device = next(backbone.model.parameters()).device
    _check_model(options, backbone, device, world)
    faces = read_faces(table, world=world, progress=progress)
    split = split_by_subject(
        faces.table.subjects, validation=options.validation, min_images=options.min_images, seed=options.seed
    )
    other, kept, guarded = _watched(evaluation, photographs, guards, world, progress)
    check_no_leak(split, faces, other, names_unrelated=names_unrelated)
    _check_guards(guarded, faces, split, kept)
    start = _copied(backbone.model)
    ways = freezing(options.frozen)
    freeze(backbone.model, options.frozen)
    live = options.frozen_bn == "train" and has_batch_norm(_prefix_modules(backbone.model, ways))
    prefix = Prefix(backbone.model, ways.prefix, prefix_dtype(options.prefix_dtype, device), live=live)
    views = view_numbers(options.augment, options.views)
    ages = faces.table.ages[split.train]
    sampler = Sampler(
        options.sampler, split.labels, ages, options.batch_size, options.per_subject, tuple(views), options.seed
    )
    work = _work(options, sampler, faces, split, other, kept, len(views))
    cache = decided_by_the_leader(lambda: decide(options, prefix, kept=work.kept, uncached=work.uncached), world)
    seconds = seconds_of(work, backbone.model, ways.tail, prefix, options.amp, cached=cache.used, processes=world.size)
    return TrainingPlan(
        options, backbone, ways, faces, split, sampler, other, guarded, kept, start, prefix, cache, views, seconds
    )


def _work(
    options: FinetuneOptions,
    sampler: Sampler,
    faces: FaceSet,
    split: Split,
    other: FaceSet | None,
    kept: FaceSet | None,
    views: int,
) -> Work:
    return count_work(
        options,
        steps=sampler.steps,
        images=len(faces.table),
        train=len(split.train),
        validation=len(validation_rows(split.validation)),
        evaluation=0 if other is None else len(other.table),
        views=views,
        photographs=0 if kept is None or not options.keep else len(kept.table),
    )


def _watched(
    evaluation: SampleTable | None,
    photographs: SampleTable | None,
    guards: Sequence[SampleTable],
    world: World,
    progress: Progress,
) -> tuple[FaceSet | None, FaceSet | None, tuple[FaceSet, ...]]:
    """The images beside those that are trained on: to evaluate with, to stay near on, and the guards."""

    def read(table: SampleTable) -> FaceSet:
        return read_faces(table, world=world, progress=progress)

    other = None if evaluation is None else read(evaluation)
    kept = None if photographs is None else read(photographs)
    return other, kept, tuple(read(one) for one in guards)


def _check_guards(guards: Sequence[FaceSet], faces: FaceSet, split: Split, kept: FaceSet | None) -> None:
    for one in guards:
        check_no_leak(split, faces, one, names_unrelated=True, what="the guard")
        if kept is not None:
            check_apart(kept, one)


def _copied(model: Backbone) -> StateDict:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _check_model(options: FinetuneOptions, backbone: Trainable, device: torch.device, world: World) -> None:
    if options.amp == "fp16" and device.type == "cpu":
        raise UsageError("--amp fp16 needs a CUDA device; on a CPU use --amp bf16 or leave it off.")
    if options.trained_bn == "train" and backbone.description.batch_norm == "folded":
        raise UsageError(
            f"--trained-bn train cannot start from {backbone.name}: its BatchNorms were folded away when it was exported, so "
            "there are no statistics to go on from; use --trained-bn eval."
        )
    if options.dropout and not isinstance(getattr(backbone.model, "dropout", None), torch.nn.Dropout):
        raise UsageError(f"--dropout has no place in {backbone.model.architecture}; leave it out.")
    if options.batch_size // options.accumulate < world.size and options.epochs:
        raise UsageError(
            f"--batch-size {options.batch_size} with --accumulate {options.accumulate} has less than one image for each of "
            f"{counted(world.size, 'process', 'processes')}; start fewer."
        )
    if world.size > 1 and "train" in (options.trained_bn, options.frozen_bn) and device.type == "cpu":
        raise UsageError("BatchNorm in train mode is not shared between CPU processes; use eval, or one process.")


def _prefix_modules(model: Backbone, ways: Freezing) -> list[torch.nn.Module]:
    return [m for stage, modules in model.stages().items() if stage in ways.prefix for m in modules]
