"""Everything that decides how a recogniser is fine-tuned; each option is described in its field."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from frbias.core.foundation.requests import option, option_fields, option_name
from frbias.core.foundation.values import Unusable, number
from frbias.core.training.map_options import MapOptions

STAGES = ("stem", "1", "2", "3", "4", "head")
HEAD_RATE, BODY_RATE = 0.01, 0.001
_LOSS, _OPTIMISER, _DATA, _FREEZE, _WATCH = "Loss", "Optimiser", "Images", "Frozen stages", "Watching and keeping"


class Degrees(float):
    """Radians that were written in degrees."""


def angle(value: object) -> float:
    """Radians meant by ``0.5``, ``0.5rad`` or ``28.6deg``; a bare number for losses that take no angle.

    Raises:
        Unusable: It is no number.
    """
    text = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(text, str):
        return number(text)
    try:
        if text.endswith("deg"):
            return Degrees(math.radians(number(text.removesuffix("deg"))))
        return number(text.removesuffix("rad"))
    except Unusable:
        raise Unusable(f"{value!r} is no angle; write 0.5 (radians) or 28.6deg.") from None


def margin_triple(value: object) -> tuple[float, ...]:
    """(m1, m2, m3) meant by ``1,0.5,0``, ``1,28.6deg,0`` or a list; m2 in radians.

    Raises:
        Unusable: Not three numbers.
    """
    parts = list(value) if isinstance(value, list | tuple) else str(value).split(",")
    if len(parts) != 3:
        raise Unusable(f"{value!r} is not m1,m2,m3; write 1,0.5,0.")
    return number(parts[0]), float(angle(parts[1])), number(parts[2])


def stages_named(value: object) -> tuple[str, ...]:
    """Stages meant by ``1,2,3``, ``stem``, ``none``, an empty text or a list, in order.

    Freezing stage 1 freezes the stem before it: training what feeds a frozen stage moves the ground under it.

    Raises:
        Unusable: A stage does not exist.
    """
    parts = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).split(",")
    names = [part.strip().lower().removeprefix("layer") for part in parts if part.strip()]
    names = [] if names == ["none"] else names
    for name in names:
        if name not in STAGES:
            raise Unusable(f"names {name!r}, which is no stage; stages are {', '.join(STAGES)} (or none).")
    if "1" in names:
        names.append("stem")
    return tuple(stage for stage in STAGES if stage in names)


def _stages_shown(frozen: tuple[str, ...]) -> str:
    return ",".join(s for s in frozen if s != "stem" or "1" not in frozen) or "none"


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(MapOptions):
    """How a recogniser is fine-tuned.

    Attributes:
        frozen: Stages that stay as they are, out of ``stem``, ``1``, ``2``, ``3``, ``4``, ``head``.
        epochs: Passes over the training images; 0 trains nothing, and learns the map alone.
        batch_size: Images per step, over all processes and accumulated parts.
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
        lr: Learning rate of the backbone at its highest; None for what fits that which is trained (:attr:`peak_lr`).
        centre_lr: Factor on ``lr`` for the class centres.
        layer_decay: Factor on ``lr`` for every stage further from the head.
        momentum: Of SGD.
        weight_decay: On weights; on BatchNorm, PReLU and biases too when ``decay_all``.
        decay_all: See ``weight_decay``.
        clip: Largest norm of the backbone's gradient; 0 for no limit.
        accumulate: Parts a batch is processed in, one after the other.
        l2sp: Weight of the pull of the trained weights towards where they started: l2sp / 2 times the squared
            distance is added to the loss (Li, Grandvalet and Davoine, ICML 2018).
        blend: Share of the trained weights in the weights that are kept, the rest being the start model's (WiSE-FT,
            Wortsman et al., CVPR 2022); 1 for the trained ones alone.
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

    title = "finetune"
    frozen: tuple[str, ...] = option(
        ("stem", "1", "2", "3"),
        help="Stages that stay as they are: stem, 1, 2, 3, 4, head; or none.",
        metavar="STAGES",
        parse=stages_named,
        show=_stages_shown,
    )
    epochs: int = option(20, help="Passes over the training images; 0: the map alone.", low=0, high=100_000)
    batch_size: int = option(25, help="Images per step, in all.", low=2, high=65_536)
    seed: int = option(0, help="Seed of everything random; the same seed gives the same result.", low=0, high=2**63 - 1)
    loss: Literal["arcface", "cosface", "combined", "softmax"] = option("arcface", help="Loss.", panel=_LOSS)
    margin: float = option(
        0.5,
        help="Angle as 0.5 (radians) or 28.6deg; a difference of cosines for cosface.",
        panel=_LOSS,
        metavar="ANGLE",
        parse=angle,
    )
    margins: tuple[float, float, float] = option(
        (1.0, 0.5, 0.0), help="m1,m2,m3 of the combined margin.", panel=_LOSS, parse=margin_triple
    )
    scale: float = option(64.0, help="Factor of the cosines.", panel=_LOSS, low=1, high=512)
    filter_above: float = option(
        0.0, help="Leave out other classes nearer than this cosine (noisy labels); 0 none.", panel=_LOSS, low=0, high=1
    )
    gradient: Literal["true", "straight"] = option("true", help="Derivative of the margin.", panel=_LOSS)
    centres: Literal["means", "random"] = option("means", help="What class centres start as.", panel=_LOSS)
    keep: float = option(0.0, help="Weight of staying near the start model.", panel=_LOSS, low=0, high=1000)
    optimiser: Literal["sgd", "adamw"] = option("sgd", help="Optimiser.", panel=_OPTIMISER)
    blend: float = option(
        1.0, help="Share of the trained weights in what is kept; the rest is the start model.", low=0, high=1
    )
    lr: float | None = option(
        None,
        help=f"Highest learning rate; left out: {HEAD_RATE:g} for the head alone, {BODY_RATE:g} when other stages train.",
        panel=_OPTIMISER,
        low=1e-9,
        high=10,
    )
    l2sp: float = option(
        0.0, help="Weight of the pull of trained weights to where they started.", panel=_OPTIMISER, low=0, high=100
    )
    momentum: float = option(0.9, help="Of SGD.", panel=_OPTIMISER, low=0, high=0.999)
    weight_decay: float = option(5e-4, help="Weight decay.", panel=_OPTIMISER, low=0, high=1)
    decay_all: bool = option(False, help="Decay BatchNorm, PReLU and biases too.", panel=_OPTIMISER)
    centre_lr: float = option(1.0, help="Factor for the class centres.", panel=_OPTIMISER, low=0, high=1e4)
    layer_decay: float = option(
        1.0, help="Factor for every stage further from the head.", panel=_OPTIMISER, low=0.01, high=1
    )
    clip: float = option(5.0, help="Largest gradient norm; 0 none.", panel=_OPTIMISER, low=0, high=1e6)
    schedule: Literal["cosine", "poly", "step", "constant"] = option(
        "cosine", help="Shape of the learning rate.", panel=_OPTIMISER
    )
    warmup: float = option(1.0, help="Epochs of warm-up.", panel=_OPTIMISER, low=0, high=1000)
    centre_warmup: float = option(
        0.0, help="Epochs that train the class centres alone.", panel=_OPTIMISER, low=0, high=1000
    )
    accumulate: int = option(1, help="Parts a batch is split into.", panel=_OPTIMISER, low=1, high=1024)
    amp: Literal["off", "bf16", "fp16"] = option("off", help="Arithmetic of trained stages.", panel=_OPTIMISER)
    ema: float = option(0.0, help="Decay of averaged weights; 0 none.", panel=_OPTIMISER, low=0, high=0.99999)
    dropout: float = option(0.0, help="Before the last linear layer.", panel=_OPTIMISER, low=0, high=0.9)
    augment: Literal["none", "flip", "views", "fresh"] = option("flip", help="Augmentation.", panel=_DATA)
    views: int = option(4, help="Fixed augmentations of an image.", panel=_DATA, low=1, high=64)
    sampler: Literal["uniform", "per-subject", "age-balanced"] = option(
        "uniform", help="Order of the images.", panel=_DATA
    )
    per_subject: int = option(4, help="Images of a subject in a batch.", panel=_DATA, low=2, high=1024)
    min_images: int = option(0, help="Leave out subjects with fewer images.", panel=_DATA, low=0, high=1_000_000)
    validation: float = option(0.2, help="Fraction of subjects held out.", panel=_DATA, low=0, high=0.9)
    frozen_bn: Literal["eval", "train"] = option("eval", help="BatchNorm of frozen stages.", panel=_FREEZE)
    trained_bn: Literal["eval", "train"] = option("eval", help="BatchNorm of trained stages.", panel=_FREEZE)
    cache: Literal["auto", "on", "off"] = option(
        "auto", help="Keep the output of frozen stages on disk.", panel=_FREEZE, decides=False
    )
    cache_dtype: Literal["fp16", "bf16", "fp32"] = option("fp16", help="Format of what is kept.", panel=_FREEZE)
    prefix_dtype: Literal["auto", "fp32", "bf16"] = option("auto", help="Arithmetic of frozen stages.", panel=_FREEZE)
    watch: Literal["eer", "garbe", "loss"] = option("eer", help="Picks the best epoch.", panel=_WATCH)
    watch_fmr: float = option(0.01, help="FMR at which garbe is watched.", panel=_WATCH, low=1e-6, high=0.5)
    patience: int = option(0, help="Epochs without gain before stopping; 0 never.", panel=_WATCH, low=0, high=100_000)
    eval_every: int = option(10, help="Epochs between evaluations.", panel=_WATCH, low=1, high=100_000)
    save_every: int = option(
        0, help="Steps between checkpoints; 0: epochs.", panel=_WATCH, low=0, high=10_000_000, decides=False
    )

    def conflicts(self) -> Iterator[str]:
        """What cannot be trained."""
        yield from super().conflicts()
        if unknown := sorted(set(self.frozen) - set(STAGES)):
            yield f"--frozen names {unknown[0]!r}, which is no stage; stages are {', '.join(STAGES)}."
        elif not set(STAGES) - set(self.frozen):
            yield "--frozen names every stage, so nothing is left to train; leave out head."
        yield from self._margin_conflicts()
        if self.batch_size % self.accumulate:
            yield f"--batch-size {self.batch_size} cannot be split into --accumulate {self.accumulate} parts."
        if self.sampler == "per-subject" and self.batch_size % self.per_subject:
            yield (
                f"--batch-size {self.batch_size} is not a multiple of --per-subject {self.per_subject}; "
                "change one of them."
            )
        if self.watch != "loss" and self.validation == 0:
            yield f"--watch {self.watch} needs validation subjects; use --watch loss or --validation 0.2."
        if not self.epochs and not (self.remove or self.within):
            yield "--epochs 0 with --remove none leaves the recogniser as it is; train, or take something out."
        if not self.epochs and self.watch == "loss":
            yield "--watch loss needs epochs that have one; with --epochs 0 use --watch eer."
        if self.cache == "on" and (self.augment == "fresh" or self.frozen_bn == "train"):
            cause = "--augment fresh" if self.augment == "fresh" else "--frozen-bn train"
            yield f"--cache on cannot hold with {cause}: the frozen stages then give something new every time."

    def _margin_conflicts(self) -> Iterator[str]:
        if not 0.0 <= self.margin <= math.pi / 2:
            hint = f" If you mean degrees, write {self.margin:g}deg." if 0 <= self.margin <= 90 else ""
            yield f"--margin {self.margin:g} is not an angle from 0 to pi/2 radians (90deg).{hint}"
        if isinstance(self.margin, Degrees) and self.loss != "arcface":
            yield f"--margin in degrees is an angle; --loss {self.loss} takes none; write a difference such as 0.35."
        m1, m2, m3 = self.margins
        if not (1.0 <= m1 <= 4.0 and 0.0 <= m2 <= math.pi / 2 and 0.0 <= m3 <= 1.0):
            yield (
                f"--margins {m1:g},{m2:g},{m3:g} is out of range; m1 is 1 to 4, m2 an angle from 0 to pi/2 "
                "radians, m3 0 to 1."
            )

    @property
    def peak_lr(self) -> float:
        """The highest learning rate: the one given, or what fits that which is trained.

        At 0.01 with stage 4 and the head trained on renders, photographs of every age group were told apart worse
        (docs/results.md), so a tenth of it is used as soon as anything but the head is trained.
        """
        if self.lr is not None:
            return self.lr
        return HEAD_RATE if set(STAGES) - set(self.frozen) == {"head"} else BODY_RATE

    def identity(self) -> dict[str, Any]:
        """The options with the learning rate resolved."""
        return {**super().identity(), "lr": self.peak_lr}

    def as_written(self) -> dict[str, Any]:
        """The options as a TOML file says them: option name -> text, number or truth."""
        plain = self.to_json()
        written = {option_name(f): plain[f.name] for f in option_fields(type(self)) if plain[f.name] is not None}
        written["frozen"] = ",".join(self.frozen) or "none"
        written["margin"] = f"{float(self.margin)!r}rad" if self.loss == "arcface" else float(self.margin)
        written["remove"] = ",".join(self.remove) or "none"
        written["lr"] = self.peak_lr
        written["margins"] = ",".join(repr(m) for m in self.margins)
        return written
