"""Fine-tune a recogniser on an aligned image set: the one call behind ``frbias finetune``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.data.datasets.resolving import resolve_data
from frbias.core.data.samples import SampleTable, write_rejected
from frbias.core.foundation.devices import (
    World,
    choose_device,
    describe_device,
    seed_everything,
    world_from_environment,
)
from frbias.core.foundation.errors import AssetMissingError, FrbiasError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.group import process_group
from frbias.core.foundation.machine import LOCAL, Machine
from frbias.core.foundation.plans import Plan, step_of
from frbias.core.foundation.provenance import Work, claim_together
from frbias.core.foundation.words import counted
from frbias.core.recognisers.base import Recogniser
from frbias.core.recognisers.loading import load_recogniser, load_trainable
from frbias.core.stages.align import photographs_of
from frbias.core.stages.before_after import judge_before_after, read_before_after
from frbias.core.stages.guards import GuardPhotographs, guard_lists, guard_photographs
from frbias.core.stages.requests.finetune import DEFAULT_DATA, FinetuneRequest
from frbias.core.stages.shared import faces_for
from frbias.core.training.finishing import Finished, finish, guard_embeddings
from frbias.core.training.guarding import Guard
from frbias.core.training.pixels import FaceSet
from frbias.core.training.plan import TrainingPlan, make_plan
from frbias.core.training.runfiles import check_config, read_metrics, write_config, write_split
from frbias.core.training.tensorboard import check_tensorboard, replay, with_tensorboard
from frbias.core.training.trainer import Observer, Trainer
from frbias.core.training.validation import Metrics, verification_metrics
from frbias.core.verification.evaluation import evaluate_embeddings

STAGE, VERSION = "finetune", 3


@dataclass(frozen=True)
class FinetuneResult:
    """What came of a fine-tuning.

    Attributes:
        out: The run folder; give it to ``load_recogniser``.
        epochs: Epochs trained.
        best_epoch: Epoch whose weights ``load_recogniser`` takes.
        start: Validation measures of the start model, or None without validation.
        best: Validation measures of the best epoch, or None.
        final: What was kept in the end: share of the trained weights, map, guards, validation measures.
        weights_sha256: Hash of the best weights.
        reused: True when the run had been finished before.
        metrics: All records of ``metrics.jsonl``.
        comparison: What is kept against the start model on the evaluation set (schema ``frbias.comparison``), or None.
        not_compared: Why there is no comparison although there is an evaluation set; else empty.
    """

    out: Path
    epochs: int
    best_epoch: int
    start: Metrics | None
    best: Metrics | None
    final: dict[str, Any]
    weights_sha256: str
    reused: bool
    metrics: list[dict[str, Any]]
    comparison: dict[str, Any] | None = None
    not_compared: str = ""


def finetune(
    request: FinetuneRequest,
    out: Path,
    *,
    machine: Machine = LOCAL,
    force: bool = False,
    announce: Callable[[dict[str, Any]], None] = lambda summary: None,
    observe: Observer = lambda record: None,
) -> FinetuneResult:
    """Fine-tune a recogniser into the run folder ``out``; finished or half-finished work is taken up.

    Args:
        request: What to train, on what, and how.
        out: Run folder.
        machine: What may be used.
        force: Replace an earlier run in ``out``.
        announce: Called once with the plan's summary before training starts.
        observe: Called with every record that goes to ``metrics.jsonl``.

    Raises:
        UsageError: Options contradict each other, the data or the machine; ``out`` holds something else.
        BadInputError: The images cannot be used, or the record of the run's settings was changed.
        AssetMissingError: The weights or an image set are not installed.
        FrbiasError: The loss is no longer finite.
    """
    world = world_from_environment()
    with process_group(world) as barrier:
        seed_everything(request.seed)
        plan, guards, work = _planned(request, machine, world)
        folder = claim_together(out, work, world, barrier, force=force)
        check_config(out, request)
        if folder.finished:
            if request.tensorboard and world.leader:
                replay(out, read_metrics(out))
            return _result(out, folder.results(), reused=True)
        if world.leader:
            _write_settings(out, request, plan)
            announce(plan.summary())
            observe = with_tensorboard(out, observe) if request.tensorboard else observe
        guard, evaluate = _guard(request, plan, guards), _evaluator(plan, out)
        trainer = Trainer(
            plan, out, guard=guard, evaluate=evaluate, world=world, barrier=barrier, observe=observe,
            progress=machine.progress,
        )  # fmt: skip
        trainer.train()
        if world.leader:
            folder.finish(_results(out, trainer, finish(plan, out, guard), machine))
        barrier()
        return _result(out, folder.results(), reused=False)


def plan_finetune(request: FinetuneRequest, out: Path, *, machine: Machine = LOCAL) -> Plan:
    """What :func:`finetune` would do; raises as it does before it trains."""
    plan, _, work = _planned(request, machine, world_from_environment())
    images = f"{counted(len(plan.split.train), 'image')} of {counted(len(plan.split.classes), 'subject')}"
    what = f"Fine-tune {plan.backbone.name} on {images} for {counted(request.epochs, 'epoch')}"
    return Plan((step_of(what, work, out),), describe_device(choose_device(machine.resources.device)))


def _planned(
    request: FinetuneRequest, machine: Machine, world: World
) -> tuple[TrainingPlan, list[GuardPhotographs], Work]:
    """The checked training, its guards as faces, and the work that it is."""
    if request.tensorboard:
        check_tensorboard()
    target, progress = choose_device(machine.resources.device), machine.progress
    table = training_set(request.data)
    evaluation = None if request.eval_data is None else resolve_data(request.eval_data)
    start = load_trainable(request.weights, STAGE, device=target)
    guards = [one.faces(start.input_size, machine, world) for one in guard_photographs(request, progress)]
    photographs = None
    if request.keep_photos is not None:
        photographs = faces_for(photographs_of(request.keep_photos, progress)[0], start.input_size, machine, world)
    plan = make_plan(
        request,
        start,
        table,
        evaluation=evaluation,
        names_unrelated=request.eval_names_unrelated,
        guards=[one.table for one in guards],
        photographs=photographs,
        world=world,
        progress=progress,
    )
    return plan, guards, Work(STAGE, VERSION, request.identity(), _inputs(request, plan))


def _write_settings(out: Path, request: FinetuneRequest, plan: TrainingPlan) -> None:
    """What the run is of: its request, who is trained on, which images were not read."""
    write_config(out, request)
    write_split(out, plan.faces, plan.split)
    write_rejected(out, plan.faces.rejected)


def _guard(request: FinetuneRequest, plan: TrainingPlan, guards: list[GuardPhotographs]) -> Guard | None:
    """The guards as the start model sees them; the model must have its start weights."""
    if not guards:
        return None
    seen = zip(guards, plan.guards, guard_embeddings(plan), strict=True)
    sets = tuple(one.seen(faces.table.frame, start) for one, faces, start in seen)
    return Guard(sets, request.guard_fall, request.guard_drift, request.watch_fmr)


def training_set(name: str) -> SampleTable:
    """The image set to train on.

    Raises:
        AssetMissingError: It is not there; for the default set, says how to make one.
        BadInputError: It cannot be read.
    """
    try:
        return resolve_data(name)
    except AssetMissingError:
        if name != DEFAULT_DATA:
            raise
        raise AssetMissingError(
            "There is no training set: without --data, finetune trains on the image set called 'train' "
            "(./datasets/train, or one added under that name). The mesh generator, built in and free of licence terms "
            "(CC0), makes one:",
            hint="frbias generate --backend mesh --subjects 100 --out generated\n"
            "frbias align generated --out datasets/train",
        ) from None


def _inputs(request: FinetuneRequest, plan: TrainingPlan) -> dict[str, Any]:
    found: dict[str, Any] = {"weights": plan.backbone.sha256, "data": _hashes(plan.faces)}
    found |= {} if plan.evaluation is None else {"eval-data": _hashes(plan.evaluation)}
    found |= {} if plan.photographs is None else {"keep-photos": _hashes(plan.photographs)}
    found |= {"guard": [_hashes(faces) for faces in plan.guards]} if plan.guards else {}
    return found | ({"guard-pairs": guard_lists(request)} if request.guard_pairs else {})


def _hashes(faces: FaceSet) -> dict[str, str]:
    return {"pixels": faces.sha256, "table": faces.table.content_hash()}


def _evaluator(plan: TrainingPlan, out: Path) -> Callable[[int, npt.NDArray[np.float32]], Metrics] | None:
    faces = plan.evaluation
    if faces is None:
        return None

    def evaluate(epoch: int, embeddings: npt.NDArray[np.float32]) -> Metrics:
        subjects, ages = faces.table.subjects, faces.table.ages
        found = verification_metrics(embeddings, subjects, ages, plan.options.watch_fmr)
        place = out / "evaluations" / f"epoch-{epoch:04d}"
        write_json(place / "metrics.json", {"epoch": epoch, **found})
        try:
            full = evaluate_embeddings(embeddings, subjects, ages, bootstrap=0, name=f"{out.name}, epoch {epoch}")
        except FrbiasError as error:  # too few comparisons for age groups; the plain measures stand
            write_json(place / "metrics.json", {"epoch": epoch, **found, "no_groups": error.message})
        else:
            write_json(place / "evaluation.json", full.to_json())
        return found

    return evaluate


def _results(out: Path, trainer: Trainer, final: Finished, machine: Machine) -> dict[str, Any]:
    records, kept = read_metrics(out), load_recogniser(str(out))
    best = next(r for r in records if r["epoch"] == trainer.best_epoch)
    return {
        "epochs": records[-1]["epoch"],
        "best_epoch": trainer.best_epoch,
        "start": records[0]["validation"],
        "best": best["validation"],
        "final": final.to_json(),
        "recipe": trainer.plan.options.recipe if isinstance(trainer.plan.options, FinetuneRequest) else "",
        "weights_sha256": kept.sha256,
        "images": len(trainer.plan.split.train),
        "subjects": len(trainer.plan.split.classes),
        "rejected": len(trainer.plan.faces.rejected),
        "cache": trainer.plan.cache.used,
        **_evaluation_set(trainer.plan, kept, out, machine),
    }


def _evaluation_set(plan: TrainingPlan, kept: Recogniser, out: Path, machine: Machine) -> dict[str, Any]:
    if plan.evaluation is None:
        return {}
    assert isinstance(plan.options, FinetuneRequest)
    models = (load_recogniser(plan.options.weights), kept)
    judged = judge_before_after(plan.evaluation.table, models, out, seed=plan.options.seed, machine=machine)
    return {"evaluation_set": judged.to_json()}


def _result(out: Path, results: dict[str, Any], *, reused: bool) -> FinetuneResult:
    comparison, not_compared = read_before_after(out, results)
    return FinetuneResult(
        out=out,
        epochs=results["epochs"],
        best_epoch=results["best_epoch"],
        start=results["start"],
        best=results["best"],
        final=results["final"],
        weights_sha256=results["weights_sha256"],
        reused=reused,
        metrics=read_metrics(out),
        comparison=comparison,
        not_compared=not_compared,
    )


__all__ = ["FinetuneResult", "finetune"]
