"""The training loop. A step depends on the seed and its number alone, so a run can be cut and resumed anywhere."""

import copy
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from frbias.core.foundation.devices import World, seed_everything
from frbias.core.foundation.errors import FrbiasError
from frbias.core.foundation.group import of_the_leader
from frbias.core.foundation.progress import SILENT, Progress
from frbias.core.recognisers.trainable.base import stage_of_entries
from frbias.core.training.augment import ORIGINAL
from frbias.core.training.cache import Features, cached_features
from frbias.core.training.checkpoint import newest_checkpoint, save_best, save_checkpoint
from frbias.core.training.distributed import (
    mean_over_processes,
    share,
    share_statistics,
    whole_of_shards,
    without_sync,
)
from frbias.core.training.ema import MovingAverage
from frbias.core.training.feeding import Part, epoch_parts
from frbias.core.training.finishing import guard_embeddings
from frbias.core.training.freezing import set_modes
from frbias.core.training.guarding import Guard
from frbias.core.training.keeping import KeptPhotographs
from frbias.core.training.losses import IdentityLoss, class_means, make_loss
from frbias.core.training.pixels import FaceSet
from frbias.core.training.plan import TrainingPlan
from frbias.core.training.runfiles import MetricsLog
from frbias.core.training.schedule import LOSS, make_optimiser, parameter_groups, rate, set_rate
from frbias.core.training.step import TrainStep, tail_embeddings
from frbias.core.training.validation import Metrics, validation_rows, verification_metrics, watched

_CHUNK = 64
_DIVERGED = "The loss is no longer finite; use a smaller --lr or a longer --warmup."
Observer = Callable[[dict[str, Any]], None]
Evaluator = Callable[[int, npt.NDArray[np.float32]], Metrics]


class Trainer:
    """Trains what a plan says and writes checkpoints and metrics into a run folder.

    Args:
        plan: The plan.
        run: Run folder, claimed.
        world: Place among the processes that share the training.
        barrier: Waits for the others.
        guard: What must not get worse, or None.
        evaluate: Takes an epoch and the embeddings of the evaluation set and gives its metrics.
        observe: Called with every record that goes to ``metrics.jsonl``, and with the times, which do not.
        progress: Sink of progress.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        run: Path,
        *,
        world: World,
        barrier: Callable[[], None],
        guard: Guard | None = None,
        evaluate: Evaluator | None = None,
        observe: Observer = lambda record: None,
        progress: Progress = SILENT,
    ) -> None:
        self.plan, self.run, self.world, self.barrier = plan, run, world, barrier
        self.guard, self.evaluate, self.observe, self.progress = guard, evaluate, observe, progress
        self.options, self.model = plan.options, plan.model
        self.device = plan.prefix.device
        seed_everything(self.options.seed)
        if self.options.dropout:
            self.model.get_submodule("dropout").p = self.options.dropout  # type: ignore[assignment]
        self.features = self._features(plan.faces, plan.views)
        self.evaluation = None if plan.evaluation is None else self._features(plan.evaluation, [ORIGINAL])
        self.labels = torch.from_numpy(plan.split.labels).to(self.device)
        self.loss = self._loss()
        self.reference = self._reference()
        self.photographs = self._photographs()
        self._prepare_training()
        self.best: tuple[float, float] | None = None
        self.best_epoch = 0
        self.guard_broken = False
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.device)

    def train(self) -> None:
        """Train to the end, from the newest checkpoint when there is one."""
        epoch, step = self._resume()
        log = MetricsLog(self.run, after=epoch - 1 if epoch else -1) if self.world.leader else None
        if epoch == 0:
            self._report(log, self._measured({"epoch": 0, "step": 0}, 0), {})
            self._save(1, 0)
            epoch = 1
        with self.progress.task("training", self.plan.steps or 1) as advance:
            advance((epoch - 1) * self.plan.sampler.steps + step)
            for number in range(epoch, self.options.epochs + 1):
                if self._stopped(number - 1):
                    break
                self._epoch(number, step, log, advance)
                step = 0
        self.barrier()

    # --- preparation

    def _features(self, faces: FaceSet, views: list[int]) -> Features:
        self.model.eval()
        if not self.plan.cache.used:
            return Features(faces, self.plan.prefix)
        return cached_features(
            faces,
            self.plan.prefix,
            views,
            self.options.cache_dtype,
            world=self.world,
            barrier=self.barrier,
            progress=self.progress,
        )

    def _loss(self) -> IdentityLoss:
        classes = len(self.plan.split.classes)
        loss = make_loss(self.options, classes, self.model.embedding_dim).to(self.device)
        if self.options.centres == "means" and self.options.epochs:
            embeddings = torch.from_numpy(self.embed(self.features, self.plan.split.train)).to(self.device)
            loss.start_from(class_means(embeddings, self.labels, classes))
        return loss

    def _reference(self) -> Any:
        """What the start model says: embeddings of all rows, view after view, or where views never end the model itself."""
        if not self.options.keep:
            return None
        if not self.plan.views:
            start = copy.deepcopy(self.model).eval()
            return lambda features: tail_embeddings(start, features, self.plan.freezing.tail, "off").detach()
        rows = self.plan.split.train
        every = [self.embed(self.features, rows, view) for view in self.plan.views]
        return torch.from_numpy(np.concatenate(every)).to(self.device)

    def _photographs(self) -> KeptPhotographs | None:
        faces = self.plan.photographs
        if faces is None or not (self.options.keep and self.options.epochs):
            return None
        features = self._features(faces, [ORIGINAL])
        reference = torch.from_numpy(self.embed(features, np.arange(len(faces.table)))).to(self.device)
        return KeptPhotographs(features, reference, self.options.seed)

    def _prepare_training(self) -> None:
        options = self.options
        share_statistics(self.model, options, self.world)
        groups = parameter_groups(self.model, self.loss, options)
        self.optimiser = make_optimiser(groups, options)
        self.backbone_parameters = [p for g in groups if g["stage"] != LOSS for p in g["params"]]
        self.starts = [p.detach().clone() for p in self.backbone_parameters] if options.l2sp else []
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.amp == "fp16")
        self.average = MovingAverage(self.model, options.frozen, options.ema) if options.ema else None
        self.step_module = TrainStep(self.model, self.plan.freezing.tail, self.loss, keep=options.keep, amp=options.amp)
        self.shared = share(self.step_module, self.world)

    # --- training

    def _epoch(self, epoch: int, first: int, log: MetricsLog | None, advance: Callable[[int], None]) -> None:
        started = time.perf_counter()
        kept = self.reference if isinstance(self.reference, torch.Tensor) else None
        order = self.plan.sampler.order(epoch)
        near = None
        if self.photographs is not None:
            near = self.photographs.batches(epoch, range(first, self.plan.sampler.steps), self.options, self.world)
        feed = epoch_parts(self.plan, self.features, order, first, world=self.world, reference=kept, photographs=near)
        set_modes(self.model, self.options.frozen, frozen_bn=self.options.frozen_bn, trained_bn=self.options.trained_bn)
        for step in range(first, self.plan.sampler.steps):
            self._step(epoch, step, feed)
            advance(1)
            if self.options.save_every and (step + 1) % self.options.save_every == 0:
                self._check_finite()
                self._save(epoch, step + 1)
        self._check_finite()
        means = mean_over_processes(self.sums, self.world) / self.plan.sampler.steps
        self.sums.zero_()
        total, identity, moved = (float(v) for v in means)
        seconds = time.perf_counter() - started
        record = {
            "epoch": epoch,
            "step": epoch * self.plan.sampler.steps,
            "lr": self._rate(epoch, self.plan.sampler.steps - 1) * self.options.peak_lr,
            "loss": total,
            "identity_loss": identity,
            "moved": moved if self.options.keep else None,
        }
        speed = (self.plan.sampler.steps - first) * self.options.batch_size / seconds
        times = {"images_per_second": speed, "seconds": seconds}
        self._finish_epoch(log, self._measured(record, epoch), epoch, times)

    def _step(self, epoch: int, step: int, feed: Iterator[Part]) -> None:
        options = self.options
        if options.dropout:
            torch.manual_seed(hash((options.seed, epoch, step, self.world.rank)) & (2**63 - 1))
        self.optimiser.zero_grad(set_to_none=True)
        for number, part in enumerate(islice(feed, options.accumulate), start=1):
            reference = self.reference(part.features) if callable(self.reference) else part.reference
            with without_sync(self.shared, self.world, last=number == options.accumulate):
                total, identity, moved = self.shared(part.features, part.labels, reference, part.photographs)
                self.scaler.scale(total * part.share).backward()
            self.sums += torch.stack([total.detach(), identity, moved]).double() * part.share
        self._update(epoch, step)

    def _update(self, epoch: int, step: int) -> None:
        options = self.options
        self.scaler.unscale_(self.optimiser)
        for parameter, start in zip(self.backbone_parameters, self.starts, strict=True) if options.l2sp else ():
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - start, alpha=options.l2sp)
        if options.clip:
            torch.nn.utils.clip_grad_norm_(self.backbone_parameters, options.clip)
        done = (epoch - 1) * self.plan.sampler.steps + step
        if done < options.centre_warmup * self.plan.sampler.steps:
            for parameter in self.backbone_parameters:
                parameter.grad = None
        set_rate(self.optimiser, self._rate(epoch, step))
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model, done)

    def _rate(self, epoch: int, step: int) -> float:
        per_epoch = self.plan.sampler.steps
        return rate((epoch - 1) * per_epoch + step, self.plan.steps, self.options, per_epoch)

    def _check_finite(self) -> None:
        if not torch.isfinite(self.sums).all():
            raise FrbiasError(_DIVERGED)

    # --- measuring

    @torch.no_grad()
    def embed(self, features: Features, rows: npt.NDArray[np.int64], view: int = ORIGINAL) -> npt.NDArray[np.float32]:
        """Embeddings (n, D) of rows of an image set, in eval mode and float32."""
        self.model.eval()
        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        wanted = [(chunk, np.full(len(chunk), view, np.int64)) for chunk in self.world.shard(chunks)]
        tail = self.plan.freezing.tail
        parts = [tail_embeddings(self.model, f, tail, "off").cpu().numpy() for f in features.feed(wanted)]
        embeddings = whole_of_shards(parts, [len(chunk) for chunk in chunks], self.model.embedding_dim, self.world)
        if not np.isfinite(embeddings).all():
            raise FrbiasError(_DIVERGED)
        return embeddings

    def _measured(self, record: dict[str, Any], epoch: int) -> dict[str, Any]:
        """The record with validation and, when it is due, evaluation metrics of the weights that would be used."""
        if self.average is not None and epoch:
            self.average.swap(self.model)
        faces, rows = self.plan.faces, validation_rows(self.plan.split.validation)
        record["validation"] = None
        if len(rows):
            subjects = [faces.table.subjects[r] for r in rows]
            found = self.embed(self.features, rows)
            record["validation"] = verification_metrics(found, subjects, faces.table.ages[rows], self.options.watch_fmr)
        due = epoch % self.options.eval_every == 0 or epoch == self.options.epochs
        if self.evaluation is not None and self.evaluate is not None and due:
            everything = np.arange(len(self.evaluation.faces.table))
            embeddings = self.embed(self.evaluation, everything)
            record["evaluation"] = self.evaluate(epoch, embeddings) if self.world.leader else None
        if self.guard is not None and epoch:
            readings = self.guard.readings(guard_embeddings(self.plan))
            record["guard"] = {r.name: r.value for r in readings}
            self.guard_broken = of_the_leader(any(r.broken for r in readings), self.world)
        if self.average is not None and epoch:
            self.average.swap(self.model)
        return record

    def _finish_epoch(
        self, log: MetricsLog | None, record: dict[str, Any], epoch: int, times: dict[str, float]
    ) -> None:
        value = of_the_leader(watched(record, self.options.watch), self.world)
        record["best"] = self.best is None or value < self.best
        if record["best"]:
            self.best, self.best_epoch = value, epoch
        self._report(log, record, times)
        self._save(epoch + 1, 0, best=record["best"])

    def _report(self, log: MetricsLog | None, record: dict[str, Any], times: dict[str, float]) -> None:
        """Log what was measured; how long it took is told, but is no result: another run takes another time."""
        if log is not None:
            log.append(record)
            self.observe({**record, **times})

    def _stopped(self, epoch: int) -> bool:
        patience = self.options.patience
        return self.guard_broken or bool(patience and self.best_epoch and epoch - self.best_epoch >= patience)

    # --- keeping

    def _save(self, epoch: int, step: int, *, best: bool = False) -> None:
        """Keep everything that the step ``step`` of ``epoch`` needs to come next."""
        sums = mean_over_processes(self.sums, self.world)
        if self.world.leader:
            training: dict[str, Any] = {
                "epoch": epoch,
                "step": step,
                "sums": sums.cpu(),
                "best": self.best,
                "best_epoch": self.best_epoch,
                "guard_broken": self.guard_broken,
                "loss": {name: value.detach().cpu() for name, value in self.loss.state_dict().items()},
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
            }
            if self.average is not None:
                training["model"] = self._trained_entries()
                self.average.swap(self.model)
            if best:
                save_best(self.run, self.model.state_dict(), self.model.pixels)
            save_checkpoint(self.run, self.model.state_dict(), self.model.pixels, training)
            if self.average is not None:
                self.average.swap(self.model)
        self.barrier()

    def _trained_entries(self) -> dict[str, torch.Tensor]:
        stages = stage_of_entries(self.model)
        frozen = self.options.frozen
        return {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items() if stages[k] not in frozen}

    def _resume(self) -> tuple[int, int]:
        """Load the newest checkpoint; returns the next epoch and step, (0, 0) when there is none."""
        found = newest_checkpoint(self.run) if self.world.leader else None
        self.barrier()
        if not self.world.leader:
            found = newest_checkpoint(self.run)
        if found is None:
            return 0, 0
        weights, training = found
        if self.average is not None:
            for name, value in self.average.average.items():
                value.copy_(weights[name])
            weights = {**weights, **training["model"]}
        self.model.load_state_dict(weights, strict=True)
        self.loss.load_state_dict(training["loss"], strict=True)
        self.optimiser.load_state_dict(training["optimiser"])
        self.scaler.load_state_dict(training["scaler"])
        self.sums.copy_(training["sums"])
        best = training["best"]
        self.best, self.best_epoch = None if best is None else tuple(best), training["best_epoch"]
        self.guard_broken = training["guard_broken"]
        return training["epoch"], training["step"]
