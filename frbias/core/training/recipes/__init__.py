"""Recipes of fine-tuning as data: TOML files of options, to be read, copied and changed.

A recipe has ``about`` (what it does), ``measured`` (what it did to photographs) and a section ``[finetune]`` with
option values; options that are given explicitly go before them.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from frbias.core.foundation.errors import UsageError, reason_of
from frbias.core.foundation.requests import suggestion

USUAL, TRAINING = "projection", "head"
_LARGEST = 100_000


@dataclass(frozen=True)
class Recipe:
    """A recipe.

    Attributes:
        name: Its name, or the path of its file.
        about: What it does, one sentence.
        measured: What it did to photographs, one or two sentences.
        options: Option name -> value as written.
    """

    name: str
    about: str
    measured: str
    options: Mapping[str, Any]


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that come with frbias, the usual one first."""
    found = {Path(entry.name).stem for entry in resources.files(__package__).iterdir() if entry.name.endswith(".toml")}
    return (USUAL, *sorted(found - {USUAL}))


def read_recipe(name: str) -> Recipe:
    """The recipe of that name, or in the file of that name.

    Raises:
        UsageError: There is none, or it cannot be read.
    """
    if name in recipe_names():
        return _recipe(name, resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    path = Path(name).expanduser()
    if path.suffix != ".toml" or not path.is_file():
        known = ", ".join(recipe_names())
        raise UsageError(
            f"--recipe {name!r} is unknown; use {known}, or a .toml file{suggestion(name, recipe_names()) or '.'}"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large")
        return _recipe(str(path), path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = reason_of(error)
        raise UsageError(f"--recipe {path} cannot be read: {reason}") from error


def _recipe(name: str, text: str) -> Recipe:
    document = tomllib.loads(text)
    options = document.pop("finetune", None)
    if not isinstance(options, dict):
        raise ValueError("it has no section [finetune] with options")
    about, measured = document.pop("about", ""), document.pop("measured", "not measured")
    if document or not (isinstance(about, str) and isinstance(measured, str)):
        raise ValueError("beside [finetune] a recipe has the texts about and measured, nothing else")
    return Recipe(name, about, measured, {str(key).replace("_", "-"): value for key, value in options.items()})
