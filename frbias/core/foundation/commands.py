"""A request as the command line that asks for it."""

import shlex
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from frbias.core.foundation.requests import Option, Request, facts_of, flag, option_fields, option_name


def command_of(request: Request, name: str) -> str:
    """The command line of a request: options that differ from their defaults, quoted for a shell.

    The home directory is written as ``~``, which every option that takes a path understands; of other absolute paths
    only what is below the working directory is told, or the last part after an ellipsis: where somebody's files lie
    is nobody else's business.

    Args:
        request: The request.
        name: Words of the command, such as ``evaluate``.

    Example:
        >>> from frbias.core.stages.requests.align import AlignRequest
        >>> command_of(AlignRequest(data="my photos", size=224), "align")
        "frbias align 'my photos' --size 224"
    """
    words, loose = ["frbias", *name.split()], []
    for given in option_fields(type(request)):
        value, facts = getattr(request, given.name), facts_of(given)
        if facts.positional:
            loose += [_text(one, facts) for one in (value if isinstance(value, tuple) else (value,))]
            continue
        default = given.default if given.default is not MISSING else None
        if value != default:
            words += _words(option_name(given), value, facts)
    return shlex.join([*words[: 1 + len(name.split())], *loose, *words[1 + len(name.split()) :]])


def _words(name: str, value: Any, facts: Option) -> list[str]:
    if isinstance(value, bool):
        return [flag(name) if value else flag(facts.negative or f"no-{name}")]
    if isinstance(value, tuple) and facts.many:
        return [word for one in value for word in (flag(name), _text(one, facts))]
    return [flag(name), _text(value, facts)]


def _text(value: Any, facts: Option) -> str:
    if isinstance(value, tuple) and facts.show is not None:
        return facts.show(value)
    if isinstance(value, tuple):
        return ",".join(_text(one, facts) for one in value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return _without_place(str(value))


def _without_place(text: str) -> str:
    """A path without where it lies on this machine; any other text as it is."""
    for folder, short in ((Path.home(), "~"), (Path.cwd(), ".")):
        if text == str(folder) or text.startswith(f"{folder}/"):
            return short + text[len(str(folder)) :]
    return f".../{Path(text).name}" if Path(text).is_absolute() else text
