"""``frbias finetune``: fine-tune a recogniser with chosen stages frozen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frbias.cli import console
from frbias.cli.options import Device, Force, Seed, Weights
from frbias.core.training.options import CHOICES, FinetuneOptions

if TYPE_CHECKING:
    from frbias.core.samples import SampleTable
    from frbias.core.training import FinetuneResult

DEFAULT_DATA = "train"
_D = FinetuneOptions()


def _panel(panel: str, text: str, *names: str, low: float | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, min=low)


def _one_of(name: str, text: str) -> str:
    return f"{text}: {', '.join(CHOICES[name])}."


_LOSS, _OPTIMISER, _DATA, _FREEZE, _WATCH = "Loss", "Optimiser", "Images", "Frozen stages", "Watching and keeping"


def command(
    frozen: Annotated[
        str, typer.Option("--frozen", help="Stages that stay as they are: stem, 1, 2, 3, 4, head; or none.")
    ] = "1,2,3",
    data: Annotated[
        str, typer.Option("--data", help="Aligned image set to train on: a folder or a registered name.")
    ] = DEFAULT_DATA,
    weights: Weights = "sface",
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder; an unfinished run goes on.")] = Path(
        "runs/finetune"
    ),
    eval_data: Annotated[
        str | None, typer.Option("--eval-data", help="Aligned image set of other people, measured along the way.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1)] = _D.epochs,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Images per step, in all.")] = _D.batch_size,
    lr: Annotated[float, _panel(_OPTIMISER, "Highest learning rate.", "--lr")] = _D.lr,
    loss: Annotated[str, _panel(_LOSS, _one_of("loss", "Loss"), "--loss")] = _D.loss,
    margin: Annotated[
        str, _panel(_LOSS, "Angle as 0.5 (radians) or 28.6deg; a difference of cosines for cosface.", "--margin")
    ] = "0.5",
    margins: Annotated[str, _panel(_LOSS, "m1,m2,m3 of the combined margin.", "--margins")] = "1,0.5,0",
    scale: Annotated[float, _panel(_LOSS, "Factor of the cosines.", "--scale")] = _D.scale,
    gradient: Annotated[str, _panel(_LOSS, _one_of("gradient", "Derivative"), "--gradient")] = _D.gradient,
    centres: Annotated[str, _panel(_LOSS, _one_of("centres", "Class centres start as"), "--centres")] = _D.centres,
    keep: Annotated[float, _panel(_LOSS, "Weight of staying near the start model.", "--keep", low=0)] = _D.keep,
    optimiser: Annotated[str, _panel(_OPTIMISER, _one_of("optimiser", "Optimiser"), "--optimiser")] = _D.optimiser,
    momentum: Annotated[float, _panel(_OPTIMISER, "Of SGD.", "--momentum")] = _D.momentum,
    weight_decay: Annotated[float, _panel(_OPTIMISER, "Weight decay.", "--weight-decay")] = _D.weight_decay,
    decay_all: Annotated[
        bool, _panel(_OPTIMISER, "Decay BatchNorm, PReLU and biases too.", "--decay-all/--decay-weights")
    ] = _D.decay_all,
    centre_lr: Annotated[float, _panel(_OPTIMISER, "Factor for the class centres.", "--centre-lr")] = _D.centre_lr,
    layer_decay: Annotated[
        float, _panel(_OPTIMISER, "Factor for every stage further from the head.", "--layer-decay")
    ] = _D.layer_decay,
    clip: Annotated[float, _panel(_OPTIMISER, "Largest gradient norm; 0 none.", "--clip")] = _D.clip,
    schedule: Annotated[str, _panel(_OPTIMISER, _one_of("schedule", "Shape"), "--schedule")] = _D.schedule,
    warmup: Annotated[float, _panel(_OPTIMISER, "Epochs of warm-up.", "--warmup")] = _D.warmup,
    centre_warmup: Annotated[
        float, _panel(_OPTIMISER, "Epochs that train the class centres alone.", "--centre-warmup")
    ] = _D.centre_warmup,
    accumulate: Annotated[int, _panel(_OPTIMISER, "Parts a batch is split into.", "--accumulate", low=1)] = 1,
    amp: Annotated[str, _panel(_OPTIMISER, _one_of("amp", "Arithmetic of trained stages"), "--amp")] = _D.amp,
    ema: Annotated[float, _panel(_OPTIMISER, "Decay of averaged weights; 0 none.", "--ema")] = _D.ema,
    dropout: Annotated[float, _panel(_OPTIMISER, "Before the last linear layer.", "--dropout")] = _D.dropout,
    augment: Annotated[str, _panel(_DATA, _one_of("augment", "Augmentation"), "--augment")] = _D.augment,
    views: Annotated[int, _panel(_DATA, "Fixed augmentations of an image.", "--views", low=1)] = _D.views,
    sampler: Annotated[str, _panel(_DATA, _one_of("sampler", "Sampler"), "--sampler")] = _D.sampler,
    per_subject: Annotated[
        int, _panel(_DATA, "Images of a subject in a batch.", "--per-subject", low=2)
    ] = _D.per_subject,
    min_images: Annotated[
        int, _panel(_DATA, "Leave out subjects with fewer images.", "--min-images", low=0)
    ] = _D.min_images,
    validation: Annotated[float, _panel(_DATA, "Fraction of subjects held out.", "--validation")] = _D.validation,
    eval_names_unrelated: Annotated[
        bool, _panel(_DATA, "Equal names in both sets are different people.", "--eval-names-unrelated")
    ] = False,
    frozen_bn: Annotated[str, _panel(_FREEZE, _one_of("frozen_bn", "BatchNorm"), "--frozen-bn")] = _D.frozen_bn,
    trained_bn: Annotated[
        str, _panel(_FREEZE, _one_of("trained_bn", "BatchNorm of the trained stages"), "--trained-bn")
    ] = _D.trained_bn,
    cache: Annotated[str, _panel(_FREEZE, _one_of("cache", "Keep their output on disk"), "--cache")] = _D.cache,
    cache_dtype: Annotated[str, _panel(_FREEZE, _one_of("cache_dtype", "Format"), "--cache-dtype")] = _D.cache_dtype,
    prefix_dtype: Annotated[
        str, _panel(_FREEZE, _one_of("prefix_dtype", "Arithmetic"), "--prefix-dtype")
    ] = _D.prefix_dtype,
    watch: Annotated[str, _panel(_WATCH, _one_of("watch", "Picks the best epoch"), "--watch")] = _D.watch,
    watch_fmr: Annotated[float, _panel(_WATCH, "FMR at which garbe is watched.", "--watch-fmr")] = _D.watch_fmr,
    patience: Annotated[int, _panel(_WATCH, "Epochs without gain before stopping; 0 never.", "--patience")] = 0,
    eval_every: Annotated[int, _panel(_WATCH, "Epochs between evaluations.", "--eval-every", low=1)] = _D.eval_every,
    save_every: Annotated[int, _panel(_WATCH, "Steps between checkpoints; 0: epochs.", "--save-every")] = 0,
    tensorboard: Annotated[bool, _panel(_WATCH, "Write TensorBoard events too.", "--tensorboard")] = False,
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
    from frbias.core.training import finetune

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
    from frbias.core.assets.store import resolve_data
    from frbias.core.errors import AssetMissingError

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
    minutes, seconds = divmod(round(summary["estimated_seconds"]), 60)
    console.say(
        f"{summary['steps']} steps in {summary['epochs']} epochs on {summary['device']}, about {minutes} min {seconds} s."
    )


def _observe(record: dict[str, Any]) -> None:
    """One line per epoch on stderr."""
    parts = [f"epoch {record['epoch']:>3}"]
    if "loss" in record:
        parts.append(f"loss {record['loss']:7.3f}  {record['images_per_second']:6.0f} images/s")
    for name, place in (("validation", "validation"), ("evaluation", "eval")):
        found = record.get(name)
        if found:
            shown = [f"{k} {v:.4f}" for k, v in found.items() if v is not None]
            parts.append(f"{place}: {', '.join(shown)}")
    console.note("  ".join(parts) + ("  *" if record.get("best") else ""))


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
