"""The request of the finetune stage."""

from dataclasses import dataclass

from frbias.core.foundation.requests import Request, option
from frbias.core.training.options import FinetuneOptions

DEFAULT_DATA = "train"


@dataclass(frozen=True, kw_only=True)
class TrainedOn(Request):
    """What is fine-tuned, and on which images.

    Attributes:
        data: Aligned image set to train on: a folder or a registered name.
        weights: The start model, as for :func:`frbias.core.recognisers.loading.load_recogniser`.
        eval_data: Aligned image set of other people, measured every ``eval_every`` epochs; None for none.
        eval_names_unrelated: Equal subject names in the two sets mean different people.
        tensorboard: Write TensorBoard events into the run folder too.
    """

    data: str = option(
        DEFAULT_DATA,
        help="Aligned image set to train on: a folder or a registered name.",
        metavar="SET",
        completes="data",
        decides=False,
    )
    weights: str = option(
        "sface",
        help="Recogniser to start from: a name (see 'frbias models list'), a weight file, or a run folder.",
        metavar="MODEL",
        completes="weights",
        decides=False,
    )
    eval_data: str | None = option(
        None,
        help="Aligned image set of other people, measured along the way.",
        panel="Watching and keeping",
        metavar="SET",
        completes="data",
        decides=False,
    )
    eval_names_unrelated: bool = option(
        False,
        help="Equal names in both sets are different people.",
        panel="Watching and keeping",
        decides=False,
    )
    tensorboard: bool = option(False, help="Write TensorBoard events too.", panel="Watching and keeping", decides=False)


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest(FinetuneOptions, TrainedOn):
    """Fine-tune a recogniser; see :class:`TrainedOn` and :class:`FinetuneOptions` for the fields."""

    title = "finetune"
