"""How help looks: what a command needs first, then its options by topic, then what every command understands.

One layout for all commands, right at 80 columns: names on the left, one sentence on the right, no types of flags.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from frbias.cli import console

EVERYWHERE = "Every command"
LAST_PANELS = ("Output", "Machine", EVERYWHERE)
_LEFT, _RIGHTMOST = 24, 100
_METAVARS = {"str": "TEXT", "int": "INTEGER", "float": "NUMBER", "Path": "PATH"}


class Command(TyperCommand):
    """A command whose help is laid out by :func:`show_help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; nothing is left to the formatter."""
        show_help(self, ctx)


class Group(TyperGroup):
    """A group of commands whose help is laid out by :func:`show_help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; nothing is left to the formatter."""
        show_help(self, ctx)


def show_help(command: Any, ctx: Any) -> None:
    """Print the help of a command or a group on stdout."""
    from rich.text import Text

    width = min(console.width(), _RIGHTMOST)
    lines = [Text.assemble(("Usage: ", "bold"), " ".join([ctx.command_path, *_usage(command)])), Text()]
    lines += _prose(command.help or "", width)
    params = [p for p in command.get_params(ctx) if not getattr(p, "hidden", False)]
    arguments = [p for p in params if p.param_type_name == "argument"]
    if arguments:
        lines += [*_titled("What it needs"), *_rows([(_argument_name(p), p.help or "") for p in arguments], width)]
    if isinstance(command, TyperGroup):
        rows = [(name, _first_sentence(ctx, command, name)) for name in command.list_commands(ctx)]
        lines += [*_titled("Commands"), *_rows(rows, width)]
    for title, options in _panels([p for p in params if p.param_type_name == "option"]):
        lines += [*_titled(title), *_rows([(_names(p), _help_of(p, ctx)) for p in options], width)]
    for index, line in enumerate(lines):
        line.rstrip()
        if line.plain or (index and lines[index - 1].plain):
            console.out(line)


def group(title: str) -> typer.Typer:
    """An application for a group of commands; give its commands ``cls=Command``."""
    return typer.Typer(
        help=title,
        cls=Group,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _usage(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield _argument_name(parameter)
    yield "COMMAND [OPTIONS]" if isinstance(command, TyperGroup) else "[OPTIONS]"


def _argument_name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _prose(text: str, width: int) -> Iterator[Any]:
    """Paragraphs wrapped, indented lines (examples) as they are."""
    from rich.text import Text

    for paragraph in inspect.cleandoc(text.replace("\f", "")).split("\n\n"):
        indented = paragraph.startswith("    ")
        if indented:
            yield from (Text("  " + line.strip(), style="cyan") for line in paragraph.splitlines())
            continue
        yield from _wrapped(" ".join(paragraph.split()), width)
        if not paragraph.startswith("[bold]"):
            yield Text()


def _titled(title: str) -> Sequence[Any]:
    from rich.text import Text

    return Text(), Text(title, style="bold")


def _rows(rows: Sequence[tuple[str, str]], width: int) -> Iterator[Any]:
    """Names on the left; what does not fit there stands above its sentence."""
    from rich.text import Text

    widest = max((len(name) for name, _ in rows if len(name) <= _LEFT), default=0)
    left = max(widest, 12) + 4
    for name, sentence in rows:
        first = Text("  ").append(name, style="cyan")
        lines = _wrapped(sentence, width - left)
        if len(name) + 4 > left:
            yield first
        elif lines:
            yield first.append(" " * (left - len(first))).append_text(lines.pop(0))
        else:
            yield first
        for line in lines:
            yield Text(" " * left).append_text(line)


def _wrapped(text: str, width: int) -> list[Any]:
    from rich.console import Console
    from rich.text import Text

    return list(Text.from_markup(text).wrap(Console(width=width), width))


def _panels(options: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Options by heading, in order, those that all commands share last."""
    found: dict[str, list[Any]] = {}
    for option in options:
        title = EVERYWHERE if option.name == "help" else option.rich_help_panel or "Options"
        found.setdefault(title, []).append(option)
    order = [title for title in found if title not in LAST_PANELS] + [t for t in LAST_PANELS if t in found]
    for title in order:
        yield title, found[title]


def _names(option: Any) -> str:
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in option.opts if name.startswith("--")]
    names = ", ".join([*short, *long])
    if option.secondary_opts:
        names += "/" + "/".join(option.secondary_opts)
    if getattr(option, "is_flag", False):
        return names
    return f"{names} {option.metavar or _METAVARS.get(option.bare_type(), 'TEXT')}"


def _help_of(option: Any, ctx: Any) -> str:
    text = option.help or ""
    if option.show_default and option.default not in (None, False, ()) and not getattr(option, "is_flag", False):
        text += f" [dim]\\[default: {option.default}][/dim]"
    return text


def _first_sentence(ctx: Any, parent: Any, name: str) -> str:
    command = parent.get_command(ctx, name)
    return str(command.get_short_help_str(200)) if command is not None else ""
