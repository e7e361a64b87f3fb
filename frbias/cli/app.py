"""The ``frbias`` command: commands are listed here and imported only when they are run.

Each entry of ``COMMANDS`` names a module of :mod:`frbias.cli` that has either a function ``command``
(a Typer command) or a Typer application ``app`` (a group of commands). The flags of
:func:`_global_options` work before and after the name of every command.
"""

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

from frbias import __version__
from frbias.cli import console
from frbias.cli.help import EVERYWHERE, Command, Group
from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.files import os_error_sentence
from frbias.core.foundation.requests import refuse, suggestion


class Entry(NamedTuple):
    """Where a command is defined and what it is for."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("frbias.cli.demo", "Run the whole experiment, small, with nothing to download by hand."),
    "generate": Entry("frbias.cli.generate", "Make synthetic faces of known identity and age."),
    "align": Entry("frbias.cli.align", "Find faces and bring them to a template (112x112 ArcFace, FFHQ)."),
    "finetune": Entry("frbias.cli.finetune", "Fine-tune a recogniser with chosen stages frozen."),
    "recipes": Entry("frbias.cli.recipes", "Ways to fine-tune, with what they did to photographs."),
    "adapt": Entry("frbias.cli.adapt", "Take out of embeddings what tells no people apart, without training."),
    "embed": Entry("frbias.cli.embed", "Turn aligned faces into embeddings."),
    "evaluate": Entry("frbias.cli.evaluate", "Measure age bias: FMR, FNMR, DET, GARBE, with intervals."),
    "compare": Entry("frbias.cli.compare", "Compare two or more recognisers on the same data, paired."),
    "plan": Entry("frbias.cli.plan", "Say how many people a group needs before its rates can be known."),
    "audit": Entry("frbias.cli.audit", "Find what is wrong with an image set, and how far it is from another."),
    "report": Entry("frbias.cli.report", "Write a self-contained HTML report of an evaluation."),
    "export": Entry("frbias.cli.export", "Export a fine-tuned recogniser to ONNX, safetensors or an insightface pack."),
    "models": Entry("frbias.cli.models", "Weights: list, add, fetch, verify, convert."),
    "data": Entry("frbias.cli.data", "Data sets: list, add, import, verify, statistics, export."),
    "cache": Entry("frbias.cli.cache", "Aligned faces and embeddings that evaluations share: list, clear."),
    "run": Entry("frbias.cli.run", "Run a whole experiment from one TOML file."),
    "doctor": Entry("frbias.cli.doctor", "Say what works on this machine and what each command lacks."),
}


def _load(name: str) -> Any:
    module = import_module(COMMANDS[name].module)
    if hasattr(module, "app"):
        group: typer.Typer = module.app
    else:
        group = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=_CONTEXT)
        group.command(name=name, cls=Command)(module.command)
    loaded = typer.main.get_command(group)
    loaded.name = name
    _add_global_options(loaded)
    return loaded


class LazyGroup(Group):
    """A group that knows its commands by name and imports one only to run it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = {name: self.get_command(None, name) for name in COMMANDS}

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the experiment."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with name and help, enough for ``--help`` and completion."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name].help, rich_markup_mode="rich")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is about to run."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if stand_in is None or name not in COMMANDS:
            return name, stand_in, rest
        command = _load(name)
        if ctx is not None and name in (ctx.default_map or {}):
            ctx.default_map = {**ctx.default_map, name: _defaults(command, ctx.default_map[name], ctx.obj)}
        return name, command, rest


_CONTEXT = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    cls=LazyGroup,
    name="frbias",
    help="Is my face recogniser biased by age, and can synthetic data fix it?",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
)


def _flag(name: str) -> Any:
    def callback(value: bool) -> None:
        if value:
            console.configure(**{name: True})

    return callback


def _read_config(ctx: typer.Context, value: Path | None) -> None:
    if value is None:
        return
    place = Path(value).expanduser()
    try:
        settings = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config: {os_error_sentence(error)}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(
            f"--config {value} cannot be read: {(str(error) or 'it is no TOML').splitlines()[0]}"
        ) from error
    if ctx.parent is None:
        problems = [
            f"--config {value}: [{key}] is no command; sections are named after commands{suggestion(key, COMMANDS, end='.')}"
            for key in settings
            if key not in COMMANDS
        ]
        refuse(problems, f"--config {value}")
        ctx.default_map = settings
        ctx.obj = f"--config {value}"
        return
    section = settings.get(ctx.info_name or "", settings)
    ctx.default_map = {**(ctx.default_map or {}), **_defaults(ctx.command, section, f"--config {value}")}


def _defaults(command: Any, section: Any, where: str) -> dict[str, Any]:
    """Options of a section as a command takes them from its command line: text, lists joined by commas.

    Raises:
        UsageError: Names every option that the command does not have.
    """
    if not isinstance(section, dict):
        raise UsageError(f"{where}: options belong into a section named after their command, e.g. [{command.name}].")
    inner = getattr(command, "commands", {})
    known = {parameter.name: parameter for parameter in command.params}
    found: dict[str, Any] = {}
    problems = []
    for key, value in section.items():
        name = key.replace("-", "_")
        if name in inner:
            found[name] = _defaults(inner[name], value, where)
        elif name not in known:
            dashed = [str(option).replace("_", "-") for option in known]
            problems.append(f"{where}: {command.name} has no option {key!r}{suggestion(key, dashed, end='.')}")
        elif isinstance(value, list) and not getattr(known[name], "multiple", False):
            found[name] = ",".join(str(item) for item in value)
        else:
            found[name] = value
    refuse(problems, where)
    return found


def _global_options(
    json_output: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the result as JSON on stdout.",
            callback=_flag("json"),
            expose_value=False,
            rich_help_panel=EVERYWHERE,
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show tracebacks.", callback=_flag("debug"), expose_value=False, rich_help_panel=EVERYWHERE
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print errors only.",
            callback=_flag("quiet"),
            expose_value=False,
            rich_help_panel=EVERYWHERE,
        ),
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Say more on stderr.",
            callback=_flag("verbose"),
            expose_value=False,
            rich_help_panel=EVERYWHERE,
        ),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML file with options; those given here win.",
            is_eager=True,
            callback=_read_config,
            expose_value=False,
            metavar="FILE",
            rich_help_panel=EVERYWHERE,
        ),
    ] = None,
) -> None:
    """Carry the options that every command understands."""


def _add_global_options(command: Any) -> None:
    donor = typer.Typer(add_completion=False)
    donor.command()(_global_options)
    extra = [p for p in typer.main.get_command(donor).params if p.name != "help"]
    for target in [command, *getattr(command, "commands", {}).values()]:
        taken = {option for parameter in target.params for option in parameter.opts}
        target.params.extend(p for p in extra if not taken & set(p.opts))


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"frbias {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
            rich_help_panel=EVERYWHERE,
        ),
    ] = False,
) -> None:
    """Is my face recogniser biased by age, and can synthetic data fix it?"""


def build() -> Any:
    """The complete command, ready to be called with arguments."""
    command = typer.main.get_command(app)
    _add_global_options(command)
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run ``frbias`` with ``arguments`` (default: those of the process) and exit with its code."""
    console.reset()
    with console.errors_as_sentences():
        try:
            build()(args=arguments, prog_name="frbias", standalone_mode=True)
        finally:
            sys.stdout.flush()
