"""The options of ``frbias finetune``, one name each."""

from pathlib import Path
from typing import Annotated, Any

import typer

from frbias.core.training.options import CHOICES


def _panel(panel: str, text: str, *names: str, low: float | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, min=low)


def _one_of(name: str, text: str) -> str:
    return f"{text}: {', '.join(CHOICES[name])}."


_LOSS, _OPTIMISER, _DATA, _FREEZE, _WATCH = "Loss", "Optimiser", "Images", "Frozen stages", "Watching and keeping"

Frozen = Annotated[str, typer.Option("--frozen", help="Stages that stay as they are: stem, 1, 2, 3, 4, head; or none.")]
TrainingData = Annotated[
    str, typer.Option("--data", help="Aligned image set to train on: a folder or a registered name.")
]
RunFolder = Annotated[Path, typer.Option("--out", "-o", help="Run folder; an unfinished run goes on.")]
EvalData = Annotated[
    str | None, typer.Option("--eval-data", help="Aligned image set of other people, measured along the way.")
]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training images.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=2, help="Images per step, in all.")]
Lr = Annotated[float, _panel(_OPTIMISER, "Highest learning rate.", "--lr")]
Loss = Annotated[str, _panel(_LOSS, _one_of("loss", "Loss"), "--loss")]
Margin = Annotated[
    str, _panel(_LOSS, "Angle as 0.5 (radians) or 28.6deg; a difference of cosines for cosface.", "--margin")
]
Margins = Annotated[str, _panel(_LOSS, "m1,m2,m3 of the combined margin.", "--margins")]
Scale = Annotated[float, _panel(_LOSS, "Factor of the cosines.", "--scale")]
FilterAbove = Annotated[
    float, _panel(_LOSS, "Leave out other classes nearer than this cosine (noisy labels); 0 none.", "--filter-above")
]
Gradient = Annotated[str, _panel(_LOSS, _one_of("gradient", "Derivative"), "--gradient")]
Centres = Annotated[str, _panel(_LOSS, _one_of("centres", "Class centres start as"), "--centres")]
Keep = Annotated[float, _panel(_LOSS, "Weight of staying near the start model.", "--keep", low=0)]
Optimiser = Annotated[str, _panel(_OPTIMISER, _one_of("optimiser", "Optimiser"), "--optimiser")]
Momentum = Annotated[float, _panel(_OPTIMISER, "Of SGD.", "--momentum")]
WeightDecay = Annotated[float, _panel(_OPTIMISER, "Weight decay.", "--weight-decay")]
DecayAll = Annotated[bool, _panel(_OPTIMISER, "Decay BatchNorm, PReLU and biases too.", "--decay-all/--decay-weights")]
CentreLr = Annotated[float, _panel(_OPTIMISER, "Factor for the class centres.", "--centre-lr")]
LayerDecay = Annotated[float, _panel(_OPTIMISER, "Factor for every stage further from the head.", "--layer-decay")]
Clip = Annotated[float, _panel(_OPTIMISER, "Largest gradient norm; 0 none.", "--clip")]
Schedule = Annotated[str, _panel(_OPTIMISER, _one_of("schedule", "Shape"), "--schedule")]
Warmup = Annotated[float, _panel(_OPTIMISER, "Epochs of warm-up.", "--warmup")]
CentreWarmup = Annotated[float, _panel(_OPTIMISER, "Epochs that train the class centres alone.", "--centre-warmup")]
Accumulate = Annotated[int, _panel(_OPTIMISER, "Parts a batch is split into.", "--accumulate", low=1)]
Amp = Annotated[str, _panel(_OPTIMISER, _one_of("amp", "Arithmetic of trained stages"), "--amp")]
Ema = Annotated[float, _panel(_OPTIMISER, "Decay of averaged weights; 0 none.", "--ema")]
Dropout = Annotated[float, _panel(_OPTIMISER, "Before the last linear layer.", "--dropout")]
Augment = Annotated[str, _panel(_DATA, _one_of("augment", "Augmentation"), "--augment")]
Views = Annotated[int, _panel(_DATA, "Fixed augmentations of an image.", "--views", low=1)]
Sampler = Annotated[str, _panel(_DATA, _one_of("sampler", "Sampler"), "--sampler")]
PerSubject = Annotated[int, _panel(_DATA, "Images of a subject in a batch.", "--per-subject", low=2)]
MinImages = Annotated[int, _panel(_DATA, "Leave out subjects with fewer images.", "--min-images", low=0)]
Validation = Annotated[float, _panel(_DATA, "Fraction of subjects held out.", "--validation")]
EvalNamesUnrelated = Annotated[
    bool, _panel(_DATA, "Equal names in both sets are different people.", "--eval-names-unrelated")
]
FrozenBn = Annotated[str, _panel(_FREEZE, _one_of("frozen_bn", "BatchNorm"), "--frozen-bn")]
TrainedBn = Annotated[str, _panel(_FREEZE, _one_of("trained_bn", "BatchNorm of the trained stages"), "--trained-bn")]
Cache = Annotated[str, _panel(_FREEZE, _one_of("cache", "Keep their output on disk"), "--cache")]
CacheDtype = Annotated[str, _panel(_FREEZE, _one_of("cache_dtype", "Format"), "--cache-dtype")]
PrefixDtype = Annotated[str, _panel(_FREEZE, _one_of("prefix_dtype", "Arithmetic"), "--prefix-dtype")]
Watch = Annotated[str, _panel(_WATCH, _one_of("watch", "Picks the best epoch"), "--watch")]
WatchFmr = Annotated[float, _panel(_WATCH, "FMR at which garbe is watched.", "--watch-fmr")]
Patience = Annotated[int, _panel(_WATCH, "Epochs without gain before stopping; 0 never.", "--patience")]
EvalEvery = Annotated[int, _panel(_WATCH, "Epochs between evaluations.", "--eval-every", low=1)]
SaveEvery = Annotated[int, _panel(_WATCH, "Steps between checkpoints; 0: epochs.", "--save-every")]
Tensorboard = Annotated[bool, _panel(_WATCH, "Write TensorBoard events too.", "--tensorboard")]
