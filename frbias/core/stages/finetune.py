"""Fine-tune a recogniser on an aligned image set: the one call behind ``frbias finetune``."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frbias.core.data.samples import SampleTable, write_rejected
from frbias.core.foundation.devices import choose_device, process_group, seed_everything, world_from_environment
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.files import write_json
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.foundation.provenance import StageFolder, claim_folder
from frbias.core.recognisers.loading import load_trainable
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.plan import TrainingPlan, make_plan
from frbias.core.training.runfiles import read_metrics, sole_writer, write_config, write_split
from frbias.core.training.tensorboard import check_tensorboard, with_tensorboard
from frbias.core.training.trainer import Observer, Trainer
from frbias.core.training.validation import Metrics, verification_metrics
from frbias.core.verification.evaluation import evaluate_embeddings

STAGE = "finetune"
_NOT_DECISIVE = ("cache", "eval_every", "save_every")


@dataclass(frozen=True)
class FinetuneResult:
    """What came of a fine-tuning.

    Attributes:
        out: The run folder; give it to ``load_recogniser``.
        epochs: Epochs trained.
        best_epoch: Epoch whose weights ``load_recogniser`` takes.
        start: Validation measures of the start model, or None without validation.
        best: Validation measures of the best epoch, or None.
        weights_sha256: Hash of the best weights.
        reused: True when the run had been finished before.
        metrics: All records of ``metrics.jsonl``.
    """

    out: Path
    epochs: int
    best_epoch: int
    start: Metrics | None
    best: Metrics | None
    weights_sha256: str
    reused: bool
    metrics: list[dict[str, Any]]


def finetune(
    options: FinetuneOptions,
    table: SampleTable,
    out: Path,
    *,
    weights: str = "sface",
    device: str = "auto",
    evaluation: SampleTable | None = None,
    names_unrelated: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    progress: Progress = SILENT,
    announce: Callable[[dict[str, Any]], None] = lambda summary: None,
    observe: Observer = lambda record: None,
) -> FinetuneResult:
    """Fine-tune ``weights`` on ``table`` into the run folder ``out``; finished or half-finished work is taken up.

    Args:
        options: What to do.
        table: Aligned 112x112 faces with subjects.
        out: Run folder.
        weights: As for :func:`frbias.core.recognisers.loading.load_recogniser`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:i``.
        evaluation: Aligned faces of other people, measured every ``eval_every`` epochs.
        names_unrelated: Equal subject names in ``table`` and ``evaluation`` mean different people.
        force: Replace an earlier run in ``out``.
        tensorboard: Write TensorBoard events into ``out/tensorboard`` too.
        progress: Sink of progress.
        announce: Called once with the plan's summary before training starts.
        observe: Called with every record that goes to ``metrics.jsonl``.

    Raises:
        UsageError: Options contradict each other, the data or the machine; ``out`` holds something else.
        BadInputError: The images cannot be used.
        AssetMissingError: The weights are not installed.
        FrbiasError: The loss is no longer finite.
    """
    if tensorboard:
        check_tensorboard()
    world, target = world_from_environment(), choose_device(device)
    with process_group(world, backend="nccl" if target.type == "cuda" else "gloo") as barrier:
        seed_everything(options.seed)
        backbone = load_trainable(weights, STAGE, device=target)
        sets = {"evaluation": evaluation, "names_unrelated": names_unrelated}
        plan = make_plan(options, backbone, table, **sets, world=world, progress=progress)  # type: ignore[arg-type]
        folder = _claim(plan, out, force=force, leader=world.leader, barrier=barrier)
        if folder.finished:
            return _result(out, folder.results(), reused=True)
        if world.leader:
            _write_frame(plan, out, weights, table)
            announce(plan.summary())
            observe = with_tensorboard(out, observe) if tensorboard else observe
        with sole_writer(out) if world.leader else nullcontext():
            how = {"world": world, "barrier": barrier, "observe": observe, "progress": progress}
            trainer = Trainer(plan, out, evaluate=_evaluator(plan, out), **how)  # type: ignore[arg-type]
            trainer.train()
            if world.leader:
                folder.finish(_results(out, trainer))
        barrier()
        return _result(out, folder.results(), reused=False)


def _claim(plan: TrainingPlan, out: Path, *, force: bool, leader: bool, barrier: Callable[[], None]) -> StageFolder:
    arguments = {k: v for k, v in plan.options.to_json().items() if k not in _NOT_DECISIVE}
    arguments["weights"] = plan.backbone.name
    inputs = {
        "weights_sha256": plan.backbone.sha256,
        "pixels_sha256": plan.faces.sha256,
        "table_sha256": plan.faces.table.content_hash(),
    }
    claim = {"stage": STAGE, "arguments": arguments, "inputs": inputs}
    if leader:
        folder = claim_folder(out, **claim, force=force, leader=True)  # type: ignore[arg-type]
    barrier()
    return folder if leader else claim_folder(out, **claim, leader=False)  # type: ignore[arg-type]


def _write_frame(plan: TrainingPlan, out: Path, weights: str, table: SampleTable) -> None:
    write_config(out, plan.options, weights=weights, data=str(table.root))
    write_split(out, plan.faces, plan.split)
    write_rejected(out, plan.faces.rejected)


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


def _results(out: Path, trainer: Trainer) -> dict[str, Any]:
    records = read_metrics(out)
    best = next(r for r in records if r["epoch"] == trainer.best_epoch)
    return {
        "epochs": records[-1]["epoch"],
        "best_epoch": trainer.best_epoch,
        "start": records[0]["validation"],
        "best": best["validation"],
        "weights_sha256": load_trainable(str(out), STAGE).sha256,
        "images": len(trainer.plan.split.train),
        "subjects": len(trainer.plan.split.classes),
        "rejected": len(trainer.plan.faces.rejected),
        "cache": trainer.plan.cache.used,
    }


def _result(out: Path, results: dict[str, Any], *, reused: bool) -> FinetuneResult:
    return FinetuneResult(
        out=out,
        epochs=results["epochs"],
        best_epoch=results["best_epoch"],
        start=results["start"],
        best=results["best"],
        weights_sha256=results["weights_sha256"],
        reused=reused,
        metrics=read_metrics(out),
    )


__all__ = ["FinetuneResult", "finetune"]
