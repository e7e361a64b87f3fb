"""After the last epoch: trained weights are averaged with the start model, and a map is put behind them.

Both are pulled back towards the start as far as the guards ask for it: the share of the trained weights first, then the
strength of the map, to three quarters, a half, a quarter, nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from frbias.core.foundation.files import atomic_path
from frbias.core.recognisers.adapted import write_adapted
from frbias.core.recognisers.loading import BACKBONE_FILE, load_trainable
from frbias.core.recognisers.maps import EmbeddingMap, unit
from frbias.core.recognisers.trainable.recogniser import Trainable
from frbias.core.recognisers.trainable.weights import write_state
from frbias.core.training.adaptation import LabelledUnits, pooled, projection
from frbias.core.training.checkpoint import FOLDER
from frbias.core.training.damage import damaged
from frbias.core.training.guarding import STEPS_BACK, Guard, GuardReading, Vectors, said
from frbias.core.training.nuisance import nuisance_directions, units_of
from frbias.core.training.plan import TrainingPlan
from frbias.core.training.validation import Metrics, validation_rows, verification_metrics

FINAL = "final"
_CHUNK = 32


@dataclass(frozen=True)
class Finished:
    """What was kept.

    Attributes:
        share: Of the trained weights; the rest is the start model's.
        made_of: Directions taken out by the map; empty without one.
        left_out: A sentence for each direction that could not be had.
        strength: Of the map, 1 as learned, 0 none.
        validation: Measures of the held-out people by what is kept, or None without such people.
        readings: What became of the guards.
    """

    share: float
    made_of: tuple[str, ...]
    left_out: tuple[str, ...]
    strength: float
    validation: Metrics | None
    readings: tuple[GuardReading, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "share": self.share,
            "made_of": list(self.made_of),
            "left_out": list(self.left_out),
            "strength": self.strength,
            "validation": self.validation,
            "guard": [reading.to_json() for reading in self.readings],
            "guarded": said(self.readings),
        }


def finish(plan: TrainingPlan, run: Path, guard: Guard | None) -> Finished:
    """Decide what of a training is kept, and write it.

    Args:
        plan: The training.
        run: Its folder, with checkpoints.
        guard: What must not get worse, or None.
    """
    kept = next(name for name in ("best", "last") if (run / FOLDER / name / BACKBONE_FILE).is_file())
    trained = load_file(run / FOLDER / kept / BACKBONE_FILE)
    model = plan.model.eval()

    def use(share: float) -> None:
        mixed = {name: _between(plan.start[name], trained[name], share) for name in trained}
        model.load_state_dict({name: value.to(plan.prefix.device) for name, value in mixed.items()}, strict=True)

    share, readings = _pulled_back(plan, guard, plan.options.blend, use, lambda vectors: vectors)
    if share != 1.0:
        kept = FINAL
        with atomic_path(run / FOLDER / FINAL / BACKBONE_FILE) as temporary:
            write_state(temporary, {k: v.detach().cpu() for k, v in model.state_dict().items()}, model.pixels)
    base = str(run / FOLDER / kept)
    recogniser = load_trainable(base, "finetune", device=plan.prefix.device)
    made_of: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    strength, found = 0.0, None
    if plan.options.remove or plan.options.within:
        learned = nuisance_directions(plan.options, [_units_of_training(plan, recogniser)], recogniser)
        out = np.eye(recogniser.embedding_length) - projection(learned.vectors, recogniser.embedding_length)
        maps = {a: EmbeddingMap.of(np.eye(len(out)) - a * out) for a in STEPS_BACK}
        strength, readings = _strongest(plan, guard, maps)
        made_of, left_out = tuple(d.name for d in learned.directions), learned.left_out
        found = maps[strength] if strength and made_of else None
        if found is not None:
            strong = [name if strength == 1 else f"{name}, {strength:.0%}" for name in made_of]
            write_adapted(run, base, recogniser, found, strong)
    measured = _validation(plan, recogniser, found)
    return Finished(share, made_of if found is not None else (), left_out, strength, measured, readings)


def _between(start: torch.Tensor, trained: torch.Tensor, share: float) -> torch.Tensor:
    if share == 1.0 or not trained.is_floating_point():
        return trained
    return torch.lerp(start.cpu().float(), trained.cpu().float(), share).to(trained.dtype)


def _pulled_back(
    plan: TrainingPlan,
    guard: Guard | None,
    share: float,
    use: Callable[[float], None],
    mapped: Callable[[Vectors], Vectors],
) -> tuple[float, tuple[GuardReading, ...]]:
    """The largest share, of what was asked for, at which the guards hold; the model has those weights then."""
    readings: tuple[GuardReading, ...] = ()
    if not plan.options.epochs:
        return 1.0, () if guard is None else guard.readings([mapped(e) for e in guard_embeddings(plan)])
    for step in STEPS_BACK:
        use(step * share)
        if guard is None:
            return step * share, readings
        readings = guard.readings([mapped(e) for e in guard_embeddings(plan)])
        if not any(reading.broken for reading in readings):
            return step * share, readings
    return 0.0, readings


def _strongest(
    plan: TrainingPlan, guard: Guard | None, maps: dict[float, EmbeddingMap]
) -> tuple[float, tuple[GuardReading, ...]]:
    """The strength of the map at which the guards hold."""
    if guard is None:
        return 1.0, ()
    readings: tuple[GuardReading, ...] = ()
    plain = guard_embeddings(plan)
    for strength, found in maps.items():
        readings = guard.readings([found.apply(e) for e in plain])
        if not any(reading.broken for reading in readings):
            return strength, readings
    return 0.0, readings


def guard_embeddings(plan: TrainingPlan) -> list[Vectors]:
    """Embeddings of the guards by the plan's model as it is, in eval mode."""
    recogniser = Trainable(plan.model.eval(), plan.backbone.name, "", plan.backbone.description)
    return [_embedded(recogniser, one.pixels) for one in plan.guards]


def _embedded(recogniser: Trainable, pixels: Any, damage: int | None = None) -> Vectors:
    parts = []
    for start in range(0, len(pixels), _CHUNK):
        faces = np.ascontiguousarray(pixels[start : start + _CHUNK])
        parts.append(recogniser.embed(faces if damage is None else damaged(faces, damage)))
    return np.concatenate(parts)


def _units_of_training(plan: TrainingPlan, recogniser: Trainable) -> LabelledUnits:
    rows, options = plan.split.train, plan.options
    kinds: dict[str, tuple[int | None, ...]] = {
        "both": (None, options.seed),
        "strong": (options.seed,),
        "none": (None,),
    }
    damages = kinds[options.damage]
    frame, pixels = plan.faces.table.frame.iloc[rows], plan.faces.pixels[rows]
    shown = [unit(_embedded(recogniser, pixels, damage)) for damage in damages]
    return pooled([units_of(frame, units, "the training set") for units in shown])


def _validation(plan: TrainingPlan, recogniser: Trainable, found: EmbeddingMap | None) -> Metrics | None:
    rows = validation_rows(plan.split.validation)
    if not len(rows):
        return None
    vectors = _embedded(recogniser, plan.faces.pixels[rows])
    table = plan.faces.table
    return verification_metrics(
        vectors if found is None else found.apply(vectors),
        [table.subjects[row] for row in rows],
        table.ages[rows],
        plan.options.watch_fmr,
    )
