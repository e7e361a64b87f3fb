"""``frbias finetune``: fine-tune a recogniser with chosen stages frozen."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frbias.cli import console
from frbias.cli import finetune_options as o
from frbias.cli.options import Device, Force, Seed, Weights
from frbias.core.training.options import FinetuneOptions

if TYPE_CHECKING:
    from frbias.core.data.samples import SampleTable
    from frbias.core.stages.finetune import FinetuneResult

DEFAULT_DATA = "train"
_D = FinetuneOptions()
_COLUMNS = (("epoch", 5), ("lr", 8), ("loss", 8), ("images/s", 8), ("EER", 7), ("d'", 6), ("FNMR", 7), ("GARBE", 6))


def command(
    frozen: o.Frozen = "1,2,3",
    data: o.TrainingData = DEFAULT_DATA,
    weights: Weights = "sface",
    out: o.RunFolder = Path("runs/finetune"),
    eval_data: o.EvalData = None,
    epochs: o.Epochs = _D.epochs,
    batch_size: o.BatchSize = _D.batch_size,
    lr: o.Lr = _D.lr,
    loss: o.Loss = _D.loss,
    margin: o.Margin = "0.5",
    margins: o.Margins = "1,0.5,0",
    scale: o.Scale = _D.scale,
    gradient: o.Gradient = _D.gradient,
    filter_above: o.FilterAbove = _D.filter_above,
    centres: o.Centres = _D.centres,
    keep: o.Keep = _D.keep,
    optimiser: o.Optimiser = _D.optimiser,
    momentum: o.Momentum = _D.momentum,
    weight_decay: o.WeightDecay = _D.weight_decay,
    decay_all: o.DecayAll = _D.decay_all,
    centre_lr: o.CentreLr = _D.centre_lr,
    layer_decay: o.LayerDecay = _D.layer_decay,
    clip: o.Clip = _D.clip,
    schedule: o.Schedule = _D.schedule,
    warmup: o.Warmup = _D.warmup,
    centre_warmup: o.CentreWarmup = _D.centre_warmup,
    accumulate: o.Accumulate = 1,
    amp: o.Amp = _D.amp,
    ema: o.Ema = _D.ema,
    dropout: o.Dropout = _D.dropout,
    augment: o.Augment = _D.augment,
    views: o.Views = _D.views,
    sampler: o.Sampler = _D.sampler,
    per_subject: o.PerSubject = _D.per_subject,
    min_images: o.MinImages = _D.min_images,
    validation: o.Validation = _D.validation,
    eval_names_unrelated: o.EvalNamesUnrelated = False,
    frozen_bn: o.FrozenBn = _D.frozen_bn,
    trained_bn: o.TrainedBn = _D.trained_bn,
    cache: o.Cache = _D.cache,
    cache_dtype: o.CacheDtype = _D.cache_dtype,
    prefix_dtype: o.PrefixDtype = _D.prefix_dtype,
    watch: o.Watch = _D.watch,
    watch_fmr: o.WatchFmr = _D.watch_fmr,
    patience: o.Patience = 0,
    eval_every: o.EvalEvery = _D.eval_every,
    save_every: o.SaveEvery = 0,
    tensorboard: o.Tensorboard = False,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Fine-tune a recogniser with chosen stages frozen.

    Frozen stages change by not one bit, and their output is computed once and kept. Subjects, not images, are held
    out for validation. Run the same command to go on after an interruption; the result is the same.
    """
    given = dict(locals())
    options = _options(given)
    from frbias.core.stages.finetune import finetune

    result = finetune(
        options,
        _image_set(data),
        out,
        weights=weights,
        device=device,
        evaluation=None if eval_data is None else _image_set(eval_data),
        names_unrelated=eval_names_unrelated,
        force=force,
        tensorboard=tensorboard,
        progress=console.ConsoleProgress(),
        announce=_announce,
        observe=_observe,
    )
    console.result(_summary(result), lambda: _tell(result))


def _options(given: dict[str, Any]) -> FinetuneOptions:
    """Options of the core from what was typed."""
    from dataclasses import fields

    from frbias.core.training.options import options_from

    return options_from({f.name: given[f.name] for f in fields(FinetuneOptions)})


def _image_set(name: str) -> "SampleTable":
    from frbias.core.data.datasets.resolving import resolve_data
    from frbias.core.foundation.errors import AssetMissingError

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


def _announce(summary: dict[str, Any]) -> None:
    """Say what will be done before it is done."""
    if console.json_wanted():
        return
    rows = [(s["stage"], f"{s['trained']:,}", f"{s['fixed']:,}") for s in summary["stages"]]
    console.table(
        f"{summary['weights']} ({summary['architecture']})", ("stage", "trained", "fixed"), rows, numeric=(1, 2)
    )
    train, held, ages = summary["train"], summary["validation"], summary["ages"]
    span = "" if ages["lowest"] is None else f", ages {ages['lowest']:g} to {ages['highest']:g}"
    console.say(
        f"{train['images']} images of {train['subjects']} subjects{span}; {held['images']} images of {held['subjects']} "
        f"held-out subjects; {summary['rejected']} rejected, {summary['left_out']} left out."
    )
    cache = summary["cache"]
    kept = f"kept on disk ({cache['bytes'] / 1e6:,.0f} MB)" if cache["used"] else f"not kept ({cache['reason']})"
    console.say(f"Output of the frozen stages: {kept}.")
    console.say(
        f"{summary['steps']} steps in {summary['epochs']} epochs on {summary['device']}, "
        f"about {_duration(summary['estimated_seconds'])}."
    )


def _duration(seconds: float) -> str:
    """Rounded to what an estimate is worth: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _observe(record: dict[str, Any]) -> None:
    """One row per epoch on stderr, below a head; epoch 0 is the start model."""
    if record["epoch"] == 0:
        console.note(" ".join(name.rjust(width) for name, width in _COLUMNS))
    held = record.get("validation") or {}
    cells = [str(record["epoch"])]
    cells += [
        _cell(record.get(name), form) for name, form in (("lr", ".2g"), ("loss", ".3f"), ("images_per_second", ".0f"))
    ]
    cells += [
        _cell(held.get(name), form)
        for name, form in (("eer", ".4f"), ("d_prime", ".2f"), ("fnmr", ".4f"), ("garbe", ".3f"))
    ]
    row = " ".join(cell.rjust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=False))
    console.note(row + ("  best" if record.get("best") else ""))
    found = record.get("evaluation")
    if found:
        shown = ", ".join(f"{k} {v:.4f}" for k, v in found.items() if v is not None)
        console.note(f"      evaluation set: {shown}")


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _summary(result: "FinetuneResult") -> dict[str, Any]:
    return {
        "out": str(result.out),
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "start": result.start,
        "best": result.best,
        "weights_sha256": result.weights_sha256,
        "reused": result.reused,
    }


def _tell(result: "FinetuneResult") -> None:
    if result.reused:
        console.say(f"[bold]{result.out}[/bold] had been finished before; --force trains again.")
    if result.start and result.best:
        rows = [
            (name, *("" if v is None else f"{v:.4f}" for v in (result.start[name], result.best[name])))
            for name in result.best
        ]
        columns = ("held-out subjects", "start", f"epoch {result.best_epoch}")
        console.table("", columns, rows, numeric=(1, 2))
    console.say(f"Fine-tuned recogniser: [bold]{result.out}[/bold] (--weights {result.out}).")
