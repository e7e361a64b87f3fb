"""Everything a fine-tuning depends on, checked once."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from frbias.core.foundation.errors import UsageError

STAGES = ("stem", "1", "2", "3", "4", "head")
CHOICES: dict[str, tuple[str, ...]] = {
    "loss": ("arcface", "cosface", "combined", "softmax"),
    "gradient": ("true", "straight"),
    "centres": ("means", "random"),
    "optimiser": ("sgd", "adamw"),
    "schedule": ("cosine", "poly", "step", "constant"),
    "amp": ("off", "bf16", "fp16"),
    "augment": ("none", "flip", "views", "fresh"),
    "sampler": ("uniform", "per-subject", "age-balanced"),
    "frozen_bn": ("eval", "train"),
    "trained_bn": ("eval", "train"),
    "cache": ("auto", "on", "off"),
    "cache_dtype": ("fp16", "bf16", "fp32"),
    "prefix_dtype": ("auto", "fp32", "bf16"),
    "watch": ("eer", "garbe", "loss"),
}


@dataclass(frozen=True)
class FinetuneOptions:
    """Options of :func:`frbias.core.training.finetune`.

    Attributes:
        frozen: Stages that stay as they are, out of ``stem``, ``1``, ``2``, ``3``, ``4``, ``head``; freezing ``1``
            freezes the stem with it.
        loss: ``arcface`` (cos(t + margin)), ``cosface`` (cos t - margin), ``combined`` (cos(m1 t + m2) - m3) or
            ``softmax`` (normalised, no margin).
        margin: Angle in radians for ``arcface``, difference of cosines for ``cosface``.
        margins: (m1, m2, m3) of ``combined``; m2 in radians.
        scale: Factor of the cosines before the softmax.
        filter_above: Cosine above which other classes are left out of the softmax (noisy labels); 0 for none.
        gradient: ``true``, or ``straight``: the margin changes the value of the target logit and not its
            derivative, as in the insightface trainer.
        centres: Class centres start as the ``means`` of the start model's embeddings or ``random``.
        keep: Weight of staying near the start model: keep * scale * (1 - cos(embedding, embedding of the start
            model)) is added to the loss.
        optimiser: ``sgd`` or ``adamw``.
        lr: Learning rate of the backbone at its highest.
        centre_lr: Factor on ``lr`` for the class centres.
        layer_decay: Factor on ``lr`` for every stage further from the head.
        momentum: Of SGD.
        weight_decay: On weights; on BatchNorm, PReLU and biases too when ``decay_all``.
        decay_all: See ``weight_decay``.
        clip: Largest norm of the backbone's gradient; 0 for no limit.
        epochs: Passes over the training images.
        batch_size: Images per step, over all processes and accumulated parts.
        accumulate: Parts a batch is processed in, one after the other.
        schedule: Shape of the learning rate after warm-up.
        warmup: Epochs of linear warm-up (fractions allowed).
        centre_warmup: Epochs in which the class centres alone are trained.
        amp: Arithmetic of the trained stages except the head.
        ema: Decay of an exponential moving average of the weights; 0 for none.
        augment: ``none``; ``flip``; ``views`` (flip and ``views`` fixed augmentations of every image, which can be
            cached); ``fresh`` (a new augmentation every time, which cannot).
        views: Number of fixed augmentations.
        dropout: Probability of dropping inputs of the last linear layer.
        sampler: ``uniform``, ``per-subject`` (batches of subjects with ``per_subject`` images each) or
            ``age-balanced`` (age groups equally often).
        per_subject: Images of a subject in a batch of the sampler ``per-subject``.
        min_images: Subjects with fewer images are left out; 0 refuses subjects with a single image instead.
        validation: Fraction of the subjects held out for validation; 0 for none.
        frozen_bn: ``train`` lets the statistics of frozen stages drift, as the thesis did.
        trained_bn: BatchNorm of trained stages: keep its statistics (``eval``) or estimate them anew (``train``).
        cache: Keep the output of the frozen prefix on disk: when it pays and fits, always, never.
        cache_dtype: Number format of the cache.
        prefix_dtype: Arithmetic of the frozen prefix; ``auto`` is bf16 where the processor multiplies it natively.
        watch: What picks the best epoch and stops early: validation ``eer``, validation ``garbe`` at ``watch_fmr``,
            or the training ``loss``.
        watch_fmr: FMR at which ``garbe`` is watched.
        patience: Epochs without improvement after which training stops; 0 never.
        eval_every: Epochs between evaluations on the evaluation set.
        save_every: Steps between checkpoints within an epoch; 0 for the end of every epoch alone.
        seed: Of split, order, augmentation and initial values.
    """

    frozen: tuple[str, ...] = ("stem", "1", "2", "3")
    loss: str = "arcface"
    margin: float = 0.5
    margins: tuple[float, float, float] = (1.0, 0.5, 0.0)
    scale: float = 64.0
    gradient: str = "true"
    filter_above: float = 0.0
    centres: str = "means"
    keep: float = 0.0
    optimiser: str = "sgd"
    lr: float = 0.01
    centre_lr: float = 1.0
    layer_decay: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_all: bool = False
    clip: float = 5.0
    epochs: int = 20
    batch_size: int = 25
    accumulate: int = 1
    schedule: str = "cosine"
    warmup: float = 1.0
    centre_warmup: float = 0.0
    amp: str = "off"
    ema: float = 0.0
    augment: str = "flip"
    views: int = 4
    dropout: float = 0.0
    sampler: str = "uniform"
    per_subject: int = 4
    min_images: int = 0
    validation: float = 0.2
    frozen_bn: str = "eval"
    trained_bn: str = "eval"
    cache: str = "auto"
    cache_dtype: str = "fp16"
    prefix_dtype: str = "auto"
    watch: str = "eer"
    watch_fmr: float = 0.01
    patience: int = 0
    eval_every: int = 10
    save_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"{_flag(name)} {getattr(self, name)!r} is unknown; use {', '.join(choices[:-1])} or {choices[-1]}."
                )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{_flag(name)} {value:g} is out of range; use {low:g} to {high:g}.")
        self._check_together()

    def _check_together(self) -> None:
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"--batch-size {self.batch_size} cannot be split into --accumulate {self.accumulate} parts."
            )
        if self.sampler == "per-subject" and self.batch_size % self.per_subject:
            raise UsageError(
                f"--batch-size {self.batch_size} is not a multiple of --per-subject {self.per_subject}; change one of them."
            )
        if self.watch != "loss" and self.validation == 0:
            raise UsageError(f"--watch {self.watch} needs validation subjects; use --watch loss or --validation 0.2.")
        if self.cache == "on" and (self.augment == "fresh" or self.frozen_bn == "train"):
            cause = "--augment fresh" if self.augment == "fresh" else "--frozen-bn train"
            raise UsageError(
                f"--cache on cannot hold with {cause}: the frozen stages then give something new every time."
            )

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values; tuples become lists."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


_RANGES: dict[str, tuple[float, float]] = {
    "margin": (0.0, math.pi / 2),
    "scale": (1.0, 512.0),
    "filter_above": (0.0, 1.0),
    "keep": (0.0, 1000.0),
    "lr": (1e-9, 10.0),
    "centre_lr": (0.0, 1e4),
    "layer_decay": (0.01, 1.0),
    "momentum": (0.0, 0.999),
    "weight_decay": (0.0, 1.0),
    "clip": (0.0, 1e6),
    "epochs": (1, 100_000),
    "batch_size": (2, 65_536),
    "accumulate": (1, 1024),
    "warmup": (0.0, 1000.0),
    "centre_warmup": (0.0, 1000.0),
    "ema": (0.0, 0.99999),
    "views": (1, 64),
    "dropout": (0.0, 0.9),
    "per_subject": (2, 1024),
    "min_images": (0, 1_000_000),
    "validation": (0.0, 0.9),
    "watch_fmr": (1e-6, 0.5),
    "patience": (0, 100_000),
    "eval_every": (1, 100_000),
    "save_every": (0, 10_000_000),
    "seed": (0, 2**63 - 1),
}


def angle(text: str, option: str = "--margin") -> float:
    """Radians meant by ``0.5``, ``0.5rad`` or ``28.6deg``.

    Raises:
        UsageError: No number, not from 0 to a right angle, or a bare number that looks like degrees.
    """
    stripped = text.strip().lower()
    degrees = stripped.endswith("deg")
    try:
        value = float(stripped.removesuffix("deg").removesuffix("rad"))
    except ValueError:
        raise UsageError(f"{option} {text!r} is no angle; write 0.5 (radians) or 28.6deg.") from None
    radians = math.radians(value) if degrees else value
    if not 0.0 <= radians <= math.pi / 2:
        hint = f" If you mean degrees, write {text.strip()}deg." if not degrees and 0 <= value <= 90 else ""
        raise UsageError(f"{option} {text} is not an angle from 0 to pi/2 radians (90deg).{hint}")
    return radians


def margin_triple(text: str, option: str = "--margins") -> tuple[float, float, float]:
    """(m1, m2, m3) meant by ``1,0.5,0`` or ``1,28.6deg,0``; m2 in radians.

    Raises:
        UsageError: Not three numbers, or m1 below 1, or m3 not from 0 to 1.
    """
    parts = text.split(",")
    try:
        first, last = float(parts[0]), float(parts[2])
        if len(parts) != 3 or not (1.0 <= first <= 4.0 and 0.0 <= last <= 1.0):
            raise ValueError
    except (IndexError, ValueError):
        raise UsageError(
            f"{option} {text!r} is not m1,m2,m3 with m1 from 1 to 4 and m3 from 0 to 1; write 1,0.5,0."
        ) from None
    return first, angle(parts[1], option), last


def stages_named(text: str) -> tuple[str, ...]:
    """Stages meant by ``1,2,3``, ``stem``, ``none`` or an empty text, in order.

    Freezing stage 1 freezes the stem before it: training what feeds a frozen stage moves the ground
    under it.

    Raises:
        UsageError: A stage does not exist, or nothing is left to train.
    """
    names = [part.strip().lower() for part in text.split(",") if part.strip()]
    names = [] if names == ["none"] else [name.removeprefix("layer") for name in names]
    for name in names:
        if name not in STAGES:
            raise UsageError(f"--frozen {text}: there is no stage {name!r}; stages are {', '.join(STAGES)} (or none).")
    if "1" in names:
        names.append("stem")
    chosen = tuple(stage for stage in STAGES if stage in names)
    if chosen == STAGES:
        raise UsageError(f"--frozen {text}: every stage is frozen, so nothing is left to train; leave out head.")
    return chosen


def options_from(settings: Mapping[str, Any]) -> FinetuneOptions:
    """Options as people write them, on the command line or in a TOML file.

    ``frozen`` may be ``"1,2,3"``, ``margin`` ``"28.6deg"``, ``margins`` ``"1,0.5,0"``; names may be written with
    dashes; everything else is as in :class:`FinetuneOptions`.

    Raises:
        UsageError: A name is unknown or a value cannot be used.
    """
    values = {name.replace("-", "_"): value for name, value in settings.items()}
    if unknown := sorted(values.keys() - {f.name for f in fields(FinetuneOptions)}):
        raise UsageError(f"finetune has no option {unknown[0]!r}.")
    if "frozen" in values:
        frozen = values["frozen"]
        values["frozen"] = stages_named(frozen if isinstance(frozen, str) else ",".join(map(str, frozen)))
    if "margin" in values:
        text = str(values["margin"])
        values["margin"] = angle(text) if values.get("loss", "arcface") == "arcface" else _number(text, "--margin")
    if "margins" in values:
        text = values["margins"]
        values["margins"] = margin_triple(text if isinstance(text, str) else ",".join(map(str, text)))
    return FinetuneOptions(**values)


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number.") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
