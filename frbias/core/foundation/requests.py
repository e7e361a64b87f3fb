"""Requests: what a stage is asked to do, as a frozen dataclass whose fields describe themselves.

The command line, the experiment file and Python build the same request, so an option has one name, one type, one
default, one help text and one check, all of them written in its field::

    @dataclass(frozen=True, kw_only=True)
    class AlignOptions(Request):
        faces: Literal["largest", "central", "reject"] = option("largest", help="Face to take of several.")

A request is checked whole when it is made: :class:`UsageError` names everything that is wrong with it.
"""

import difflib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from frbias.core.foundation.errors import FrbiasError, UsageError
from frbias.core.foundation.values import Unusable, converted, out_of_place

_KEY = "frbias.option"
Label = Callable[[str], str]
R = TypeVar("R", bound="Request")


@dataclass(frozen=True)
class Option:
    """What a field says of itself; make one with :func:`option`.

    Attributes:
        help: One sentence for ``--help``.
        panel: Heading it stands under in ``--help``; empty for the first.
        name: Name of the option where it differs from the field's.
        short: One-letter flag such as ``-o``.
        metavar: What ``--help`` shows in place of a value; empty: from the type.
        low, high: Bounds of a number (of every number of a list), inclusive.
        parse: Reads what people write (text, or a TOML value) into the field's type; raises :class:`Unusable`.
        show: Writes the default as people write it.
        decides: False for what cannot change the result (a device, a number of workers), and for names of things
            whose contents are hashed.
        positional: True for the argument of a command.
        many: The option (or argument) may be given several times; for tuples of text or paths.
        negative: Name of the flag that says no, where it is not ``no-`` and the option's name.
        completes: Names that complete it: ``data``, ``weights``, ``protocol``, ``backend``.
    """

    help: str
    panel: str = ""
    name: str = ""
    short: str = ""
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    parse: Callable[[object], object] | None = None
    show: Callable[[Any], str] | None = None
    decides: bool = True
    positional: bool = False
    many: bool = False
    negative: str = ""
    completes: str = ""


def option(default: Any = MISSING, **facts: Any) -> Any:
    """A field of a request: its default (required without one) and the facts of :class:`Option`."""
    return field(default=default, metadata={_KEY: Option(**facts)})


_SAME = object()


def shared_option(kind: "type[Request]", name: str, *, default: Any = _SAME, **changes: Any) -> Any:
    """A field that is the option of another request: same default and facts, but for ``changes``."""
    given = next(f for f in option_fields(kind) if f.name == name)
    default = given.default if default is _SAME else default
    return field(default=default, metadata={_KEY: replace(facts_of(given), **changes)})


@dataclass(frozen=True, kw_only=True)
class Request:
    """Base of all requests; subclasses are frozen, keyword-only dataclasses of :func:`option` fields.

    Raises:
        UsageError: On construction; lists everything that is wrong.
    """

    title: ClassVar[str] = ""

    def __post_init__(self) -> None:
        refuse(problems_of(self), type(self).title)

    def conflicts(self) -> Iterator[str]:
        """Sentences about values that do not go together; called when each value is right by itself."""
        yield from ()

    def identity(self) -> dict[str, Any]:
        """What the result depends on, as JSON values: every field that ``decides``."""
        return {f.name: _plain(getattr(self, f.name)) for f in option_fields(type(self)) if facts_of(f).decides}

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values; tuples become lists, paths text."""
        return {f.name: _plain(getattr(self, f.name)) for f in option_fields(type(self))}

    def extended(self, kind: type[R], **more: Any) -> R:
        """The same options as part of a larger request, whose other fields are ``more``."""
        return kind(**{f.name: getattr(self, f.name) for f in option_fields(type(self))}, **more)

    @classmethod
    def read(cls, settings: Mapping[str, object], *, label: Label | None = None, where: str = "") -> Self:
        """Build the request from what people wrote: text from a command line, values from a TOML file.

        Args:
            settings: Option names (dashes or underscores) -> values; None means not given.
            label: How an option is called in messages; default: as a flag (``--max-residual``).
            where: What has the options, for messages: ``align``, ``[align] of plan.toml``.

        Raises:
            UsageError: Names every option that is unknown, missing or unusable, and what does not go together.
        """
        made, problems = attempt(cls, settings, label=label, where=where)
        refuse(problems, where or cls.title)
        if made is None:
            raise RuntimeError("a request without problems could not be made")
        return made

    @classmethod
    def implied(cls, settings: Mapping[str, object]) -> Mapping[str, object]:
        """``settings`` with what they imply: options may stand for others (a recipe). Those that are given win.

        Raises:
            FrbiasError: What stands for others cannot be read.
        """
        return settings

    @classmethod
    def shown_defaults(cls) -> Mapping[str, str]:
        """What ``--help`` says in place of defaults that another option decides, by field name."""
        return {}


def option_fields(kind: type[Request]) -> tuple[Field[Any], ...]:
    """The fields of a request, in order."""
    return tuple(f for f in fields(kind) if _KEY in f.metadata)


def facts_of(given: Field[Any]) -> Option:
    """What a field says of itself."""
    facts: Option = given.metadata[_KEY]
    return facts


def option_name(given: Field[Any]) -> str:
    """Name of the option: ``max-residual`` for the field ``max_residual``."""
    return (facts_of(given).name or given.name).replace("_", "-")


def shown_value(value: Any, facts: Option) -> str:
    """A default as people write it; empty where there is none to speak of."""
    if value is MISSING or value is None or value is False:
        return ""
    if facts.show is not None:
        return facts.show(value)
    if isinstance(value, tuple):
        return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    return "yes" if value is True else (f"{value:g}" if isinstance(value, float) else str(value))


@cache
def option_types(kind: type[Request]) -> dict[str, Any]:
    """The resolved type of every field."""
    return typing.get_type_hints(kind)


def _types_of(kind: Any) -> dict[str, Any]:
    found: dict[str, Any] = option_types(kind)
    return found


def flag(name: str) -> str:
    """An option as it is typed: ``--max-residual``."""
    return "--" + name.replace("_", "-")


def read_values(
    kind: type[Request], settings: Mapping[str, object], *, label: Label | None = None, where: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Values by field name, and a sentence for each option that is unknown, missing or cannot be read."""
    named = {option_name(f): f for f in option_fields(kind)}
    label = label or flag
    values: dict[str, Any] = {}
    problems = []
    for key, value in settings.items():
        name = key.replace("_", "-")
        if name not in named:
            problems.append(f"{where or kind.title} has no option {key!r}{suggestion(name, named, end='.')}")
        elif value is not None:
            given = named[name]
            try:
                values[given.name] = _read(kind, given, value)
            except Unusable as error:
                problems.append(f"{label(name)} {error}")
    for name, given in named.items():
        required = given.default is MISSING and given.default_factory is MISSING
        if required and given.name not in values and settings.get(name, settings.get(given.name)) is None:
            problems.append(f"{label(name)} is missing: {facts_of(given).help}")
    return values, problems


def attempt(
    kind: type[R], settings: Mapping[str, object], *, label: Label | None = None, where: str = ""
) -> tuple[R | None, list[str]]:
    """The request that ``settings`` make, or None and everything that is wrong; see :meth:`Request.read`."""
    try:
        settings = kind.implied(settings)
    except FrbiasError as error:
        return None, [error.message]
    values, problems = read_values(kind, settings, label=label, where=where)
    made = _unchecked(kind, values)
    problems += _out_of_bounds(made, label, only=values.keys())
    problems = problems or list(made.conflicts())
    return (None if problems else kind(**values)), problems


def problems_of(request: Request, label: Label | None = None) -> list[str]:
    """Everything that is wrong with the values of a request."""
    return _out_of_bounds(request, label) or list(request.conflicts())


def refuse(problems: Iterable[str], title: str = "") -> None:
    """Raise :class:`UsageError` with all problems, if there are any."""
    listed = list(dict.fromkeys(problems))
    if len(listed) == 1:
        raise UsageError(listed[0])
    if listed:
        raise UsageError(f"{len(listed)} things are wrong with {title or 'the request'}:\n  " + "\n  ".join(listed))


def suggestion(name: str, known: Iterable[str], *, end: str = "") -> str:
    """``; did you mean 'epochs'?`` for a misspelt name, or ``end``."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else end


def _read(kind: type[Request], given: Field[Any], value: object) -> Any:
    parse = facts_of(given).parse
    return parse(value) if parse is not None else converted(value, _types_of(kind)[given.name])


def _out_of_bounds(request: Request, label: Label | None, *, only: Iterable[str] | None = None) -> list[str]:
    found = []
    types = _types_of(type(request))
    for given in option_fields(type(request)):
        facts = facts_of(given)
        if only is None or given.name in only:
            problem = out_of_place(getattr(request, given.name), types[given.name], facts.low, facts.high)
            if problem:
                found.append(f"{(label or flag)(option_name(given))} {problem}")
    return found


def _unchecked(kind: type[Request], values: Mapping[str, Any]) -> Any:
    made = object.__new__(kind)
    for given in fields(kind):
        if given.name in values:
            value = values[given.name]
        elif given.default is not MISSING:
            value = given.default
        else:
            value = given.default_factory() if given.default_factory is not MISSING else None
        object.__setattr__(made, given.name, value)
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
