"""The request of the finetune stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from frbias.core.foundation.requests import (
    facts_of,
    option,
    option_fields,
    option_name,
    read_values,
    shown_value,
)
from frbias.core.stages.requests.guard import GuardOptions
from frbias.core.training.map_options import MapOptions
from frbias.core.training.options import FinetuneOptions
from frbias.core.training.recipes import TRAINING, USUAL, read_recipe, recipe_names

DEFAULT_DATA = "train"
# Options of fine-tuning that say nothing about how to train.
_NOT_TRAINING = {
    "seed",
    "validation",
    "min_images",
    "watch_fmr",
    "cache",
    "cache_dtype",
    "prefix_dtype",
    "amp",
    "eval_every",
}


@dataclass(frozen=True, kw_only=True)
class TrainedOn(GuardOptions):
    """What is fine-tuned, and on which images.

    Attributes:
        data: Aligned image set to train on: a folder or a registered name.
        weights: The start model, as for :func:`frbias.core.recognisers.loading.load_recogniser`.
        recipe: Name or file of the recipe that the options which were not given come from; empty for none. When it is
            read from text: ``projection``, or ``head`` when an option of training is given.
        keep_photos: Photographs, labels not needed, on which ``keep`` holds embeddings too; None for none.
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
    recipe: str = option(
        "",
        help="Where options that are not given come from: a name (see 'frbias recipes') or a .toml file. Left out: "
        f"{USUAL}, or {TRAINING} when an option of training is given.",
        metavar="NAME",
        completes="recipe",
        decides=False,
    )
    keep_photos: str | None = option(
        None,
        help="Photographs of yours, no labels needed, on which --keep holds embeddings near the start model's too.",
        panel="Loss",
        metavar="SET",
        completes="data",
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

    @classmethod
    def implied(cls, settings: Mapping[str, object]) -> Mapping[str, object]:
        """The options of the recipe, below those that are given.

        Raises:
            UsageError: There is no such recipe.
        """
        given = {key.replace("_", "-"): value for key, value in settings.items() if value is not None}
        name = str(given.get("recipe") or usual_recipe(given))
        return {**read_recipe(name).options, **given, "recipe": name}

    @classmethod
    def shown_defaults(cls) -> Mapping[str, str]:
        """Where recipes differ from the default of an option: what each says, and what holds otherwise."""
        return _by_recipe()

    def conflicts(self) -> Iterator[str]:
        """Photographs that nothing is held on."""
        yield from super().conflicts()
        if self.keep_photos is not None and not (self.keep and self.epochs):
            yield "--keep-photos says what --keep is for while training; give --keep 0.5 and an epoch or more with it."

    def as_written(self) -> dict[str, Any]:
        """The options as a TOML file says them, every one, so that it needs no recipe."""
        photographs = {"guard": list(self.guard), "guard-pairs": list(self.guard_pairs)}
        left_out = ("recipe", *photographs)
        written = {name: value for name, value in super().as_written().items() if name not in left_out}
        return written | {name: value for name, value in photographs.items() if value}


def usual_recipe(given: Mapping[str, object]) -> str:
    """The recipe when none is named: one that trains when ``given`` (option names) says how to train."""
    ours = {option_name(f) for f in option_fields(FinetuneOptions) if f.name not in _NOT_TRAINING}
    others = {option_name(f) for f in option_fields(MapOptions)}
    return TRAINING if (ours - others) & given.keys() else USUAL


@cache
def _by_recipe() -> dict[str, str]:
    fields = {f.name: f for f in option_fields(FinetuneRequest)}
    found: dict[str, list[str]] = {}
    for recipe in map(read_recipe, recipe_names()):
        values, _ = read_values(FinetuneRequest, recipe.options)
        for name, value in values.items():
            if value != fields[name].default:
                found.setdefault(name, []).append(f"{recipe.name} {shown_value(value, facts_of(fields[name]))}")
    usual = {name: shown_value(fields[name].default, facts_of(fields[name])) for name in found}
    return {
        name: f"by recipe: {', '.join(said)}" + (f"; otherwise {usual[name]}" if usual[name] else "")
        for name, said in found.items()
    }
