"""Commands from requests: the fields of a request become the options of a command, and back.

::

    @takes(Part(AlignRequest), OUTPUT.named("aligned"), Part(Resources, only=("workers",)))
    def command(request: AlignRequest, output: Output, resources: Resources) -> None:
        ...

Values reach the request as text, so that a value of the wrong kind is told with everything else that is wrong, in the
same words as in an experiment file.
"""

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from frbias.cli import completion
from frbias.core.foundation.files import place_problem
from frbias.core.foundation.requests import (
    Request,
    attempt,
    facts_of,
    flag,
    option,
    option_fields,
    option_name,
    option_types,
    refuse,
    shared_option,
    shown_value,
)

Command = Callable[..., None]
OUTPUT_PANEL = "Output"
DRY_RUN_HELP = "Say what would be done, and do nothing."


def writable(out: Path | None) -> Iterator[str]:
    """What speaks against writing to ``--out``."""
    if out is not None and (problem := place_problem(out)):
        yield f"--out {out} {problem}"


@dataclass(frozen=True, kw_only=True)
class ResultFolder(Request):
    """Where a command writes whose folder has a name of its own unless it is given one.

    Attributes:
        out: Folder to write; None for the derived name.
        force: Replace an earlier result of the same command there.
        dry_run: Say what would be done, and do nothing.
    """

    title = "the output options"
    out: Path | None = option(None, short="-o", help="Folder to write.", panel=OUTPUT_PANEL, decides=False)
    force: bool = option(
        False, help="Replace an earlier result of this command in --out.", panel=OUTPUT_PANEL, decides=False
    )
    dry_run: bool = option(False, help=DRY_RUN_HELP, panel=OUTPUT_PANEL, decides=False)

    def conflicts(self) -> Iterator[str]:
        """A place where nothing can be written."""
        yield from writable(self.out)


@dataclass(frozen=True, kw_only=True)
class Output(ResultFolder):
    """Where a command writes whose folder has a usual name.

    Attributes:
        out: Folder to write.
    """

    out: Path = shared_option(
        ResultFolder,
        "out",
        default=Path("out"),
        help="Folder to write; it may hold an unfinished run of the same work.",
    )


@dataclass(frozen=True, kw_only=True)
class Shown(Request):
    """What is shown of a result.

    Attributes:
        curves: Include the points of the figures in ``--json``.
        brief: Print the verdict of a comparison, EER and d' only.
    """

    title = "the output options"
    curves: bool = option(False, help="Include the points of the figures in --json.", panel=OUTPUT_PANEL, decides=False)
    brief: bool = option(False, help="Stop after verdict, EER and d'.", panel=OUTPUT_PANEL, decides=False)


@dataclass(frozen=True)
class Part:
    """A request whose fields become options.

    Attributes:
        kind: The request.
        only: Names of the fields to take; empty for all.
        defaults: Other defaults than the request's, by field name.
        helps: Other help texts than the request's, by field name.
    """

    kind: type[Request]
    only: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    helps: Mapping[str, str] = field(default_factory=dict)

    def named(self, folder: str) -> "Part":
        """The same with another default of ``out``."""
        return replace(self, defaults={**self.defaults, "out": Path(folder)})

    def into(self, place: str) -> "Part":
        """The same, saying in its help where it writes when ``out`` is not given."""
        return replace(
            self, helps={**self.helps, "out": f"Folder to write; default: {place}, a new one for other work."}
        )

    def fields(self) -> list[Field[Any]]:
        """The fields that become options."""
        own = [f for f in option_fields(self.kind) if not self.only or f.name in self.only]
        return sorted(own, key=lambda f: _depth(self.kind, f.name))

    def type_of(self, given: Field[Any]) -> Any:
        """Type of one of the fields."""
        return option_types(self.kind)[given.name]  # type: ignore[arg-type]

    def default_of(self, given: Field[Any]) -> Any:
        """Default of one of the fields; MISSING when there is none to show."""
        return self.defaults.get(given.name, given.default)

    def read(self, given: Mapping[str, Any], problems: list[str]) -> Any:
        """The request, or None with what is wrong added to ``problems``."""
        settings = {option_name(f): given[f.name] for f in self.fields()}
        settings |= {option_name(f): self.defaults[f.name] for f in self.fields()
                     if f.name in self.defaults and given[f.name] in (None, [])}  # fmt: skip
        settings = {name: None if value == [] else value for name, value in settings.items()}
        made, wrong = attempt(self.kind, settings, label=_label(self.kind))
        problems += wrong
        return made


OUTPUT = Part(Output)


def takes(*parts: Part) -> Callable[[Command], Command]:
    """Turn a function of requests into a Typer command that has their fields as options, in the order of ``parts``.

    Everything that is wrong with any of the requests is said at once, before the function is called.
    """

    def decorate(function: Command) -> Command:
        def command(**given: Any) -> None:
            problems: list[str] = []
            requests = [part.read(given, problems) for part in parts]
            refuse(problems, f"frbias {parts[0].kind.title}" if parts else "")
            function(*requests)

        parameters = [_parameter(f, part) for part in parts for f in part.fields()]
        parameters.sort(key=lambda p: not p.annotation.__metadata__[0].__class__.__name__.startswith("Argument"))
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__doc__, command.__name__ = inspect.cleandoc(function.__doc__ or ""), function.__name__
        return command

    return decorate


def _depth(kind: type[Request], name: str) -> int:
    """How far up a field was defined: what a request has of its own comes before what it inherits."""
    return next(k for k, owner in enumerate(kind.__mro__) if name in inspect.get_annotations(owner))


def _label(kind: type[Request]) -> Callable[[str], str]:
    arguments = {option_name(f) for f in option_fields(kind) if facts_of(f).positional}
    return lambda name: name.upper() if name in arguments else flag(name)


def _parameter(given: Field[Any], part: Part) -> inspect.Parameter:
    facts, kind, default = facts_of(given), part.type_of(given), part.default_of(given)
    shown = part.kind.shown_defaults().get(given.name) or shown_value(default, facts)
    shared: dict[str, Any] = {
        "help": part.helps.get(given.name, facts.help) + (f" [dim]\\[default: {shown}][/dim]" if shown else ""),
        "show_default": False,
    }
    if facts.completes:
        shared["autocompletion"] = completion.names_of(facts.completes)
    elif choices := _choices(kind):
        shared["autocompletion"] = completion.among(choices)
    if facts.positional:
        name = option_name(given).upper()
        optional = f"[{name}]" if default is not MISSING else name
        info = typer.Argument(metavar=facts.metavar or optional, **shared)
        wanted: Any = list[str] | None if facts.many else str | None
    else:
        name = flag(option_name(given))
        truth = kind is bool or kind == (bool | None)
        negative = facts.negative or f"no-{name[2:]}"
        names = [f"{name}/--{negative}" if truth and default is not False else name]
        names += [facts.short] if facts.short else []
        shared["rich_help_panel"] = facts.panel or None
        if not truth:
            shared["metavar"] = facts.metavar or _metavar(kind)
        info = typer.Option(*names, **shared)
        wanted = bool | None if truth else (list[str] | None if facts.many else str | None)
    return inspect.Parameter(
        given.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[wanted, info]
    )


def _choices(kind: Any) -> tuple[str, ...]:
    arms = [kind] if get_origin(kind) not in (Union, types.UnionType) else get_args(kind)
    return tuple(dict.fromkeys(str(c) for arm in arms if get_origin(arm) is Literal for c in get_args(arm)))


def _metavar(kind: Any) -> str:
    if choices := _choices(kind):
        return "|".join(choices) if len("|".join(choices)) <= 40 else "NAME"
    arms = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    arm = next(a for a in arms if a is not type(None))
    if get_origin(arm) is tuple:
        return "LIST"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(arm, "TEXT")
