"""The one output sink of the command line: results on stdout, everything else on stderr.

Modes: *human* (tables and sentences), *json* (one JSON document on stdout, no progress bar unless
stderr is a terminal) and *quiet* (errors only).
"""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from frbias.core.foundation.errors import AssetMissingError, ElsewhereError, FrbiasError, GateError
from frbias.core.foundation.files import is_disk_full, os_error_sentence

if TYPE_CHECKING:
    from frbias.core.foundation.plans import Plan

EXIT_UNEXPECTED = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130
_WIDTH_OF_FILES = 80
_INTERRUPTED = "Interrupted. Run the same command again to go on."


@dataclass
class _Settings:
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False


_settings = _Settings(debug=bool(os.environ.get("FRBIAS_DEBUG")))


def configure(**changes: bool) -> None:
    """Switch ``json``, ``quiet``, ``verbose`` or ``debug`` on for this process."""
    for name, value in changes.items():
        setattr(_settings, name, value)


def reset() -> None:
    """Back to the defaults (for processes that run several commands)."""
    configure(json=False, quiet=False, verbose=False, debug=bool(os.environ.get("FRBIAS_DEBUG")))


def json_wanted() -> bool:
    """True when machine-readable output was asked for."""
    return _settings.json


def result(value: Any, human: Callable[[], None] | None = None) -> None:
    """Give the result of a command: as JSON with ``--json``, else by calling ``human``; once under torchrun."""
    if not _speaks():
        return
    if _settings.json:
        sys.stdout.write(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    elif not _settings.quiet and human is not None:
        human()


def plan(found: "Plan") -> None:
    """Give the answer to ``--dry-run``."""

    def human() -> None:
        for sentence in found.sentences():
            say(sentence)
        say("Nothing was done (--dry-run).")

    result(found.to_json(), human)


def say(message: str) -> None:
    """Print one line of the human result on stdout (rich markup allowed); silent with --json or --quiet."""
    if not (_settings.json or _settings.quiet):
        _say(_stdout(), message, markup=True)


def show(renderable: Any) -> None:
    """Print a rich table or other renderable on stdout; silent with --json or --quiet."""
    if not (_settings.json or _settings.quiet):
        _stdout().print(renderable)


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    numeric: Sequence[int] = (),
    whole: bool = False,
) -> None:
    """Print a table on stdout; columns whose index is in ``numeric`` are right-aligned.

    With ``whole`` the columns stand closer and no cell is ever wrapped or cut: on a terminal that is too narrow the
    lines run on.
    """
    from rich.table import Table

    grid = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        collapse_padding=whole,
    )
    for index, name in enumerate(columns):
        justify: Literal["right", "left"] = "right" if index in numeric else "left"
        grid.add_column(name, justify=justify, overflow="fold", no_wrap=whole or index in numeric)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    if not whole:
        show(grid)
    elif not (_settings.json or _settings.quiet):
        screen = _stdout()
        needed = screen.measure(grid, options=screen.options.update(max_width=10_000)).maximum
        screen.width = max(needed, screen.width)
        screen.print(grid)


def _speaks() -> bool:
    """Whether this process speaks: of a torchrun launch only the first does."""
    return os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """Say one line on stderr (warnings, what is being done), once under torchrun; silent with --quiet."""
    if not _settings.quiet and _speaks():
        _say(_stderr(), message, markup=False)


def warn(message: str) -> None:
    """Say a warning on stderr."""
    note(f"warning: {message}")


def detail(message: str) -> None:
    """Say one line on stderr, only with --verbose."""
    if _settings.verbose:
        note(message)


class ConsoleProgress:
    """A progress bar on stderr; shown on a terminal only, never with --quiet."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar of ``total`` steps while the block runs."""
        if _settings.quiet or not sys.stderr.isatty():
            yield lambda n: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=_stderr(), transient=True) as bars:
            task = bars.add_task(description, total=total)
            yield lambda n: bars.update(task, advance=n)

    def note(self, message: str) -> None:
        """Say one line on stderr."""
        note(message)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn exceptions of a command into one sentence on stderr and the right exit code."""
    try:
        yield
    except FrbiasError as error:
        said_elsewhere = isinstance(error, ElsewhereError | GateError) and not _speaks()
        _fail(error, "" if said_elsewhere else str(error), error.exit_code)
    except SystemExit as error:
        if error.code == EXIT_INTERRUPTED:  # Typer has turned Ctrl-C into an exit
            sys.stderr.write(f"frbias: {_INTERRUPTED}\n")
        raise
    except KeyboardInterrupt as error:
        _fail(error, _INTERRUPTED, EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_UNEXPECTED) from None
    except OSError as error:
        disk = is_disk_full(error) or error.errno in (errno.EIO, errno.EDQUOT, errno.EMFILE, errno.ENOMEM)
        _fail(error, os_error_sentence(error), EXIT_UNEXPECTED if disk else EXIT_UNUSABLE)
    except Exception as error:
        from frbias.core.foundation.failures import failure_of_the_machine
        from frbias.core.foundation.light import missing_package

        if package := missing_package(error):
            sentence = f"This needs {package}, which is not installed here:  pip install {package}"
            _fail(error, sentence, AssetMissingError.exit_code)
        if told := failure_of_the_machine(error):
            _fail(error, told, EXIT_UNEXPECTED)
        text = (str(error).strip().splitlines() or [""])[0]
        sentence = (
            f"Unexpected {type(error).__name__}: {text}\nThis is a bug or a broken installation; --debug shows where."
        )
        _fail(error, sentence, EXIT_UNEXPECTED)


def _fail(error: BaseException, sentence: str, code: int) -> None:
    if _settings.debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    if sentence:
        rank = "" if _speaks() else f" (process {os.environ['RANK']})"
        sys.stderr.write(f"frbias{rank}: {sentence}\n")
    raise SystemExit(code) from None


def width() -> int:
    """Columns of the terminal; 80 when results go to a file or a pipe (``COLUMNS`` says otherwise)."""
    return int(_stdout().width)


def out(renderable: Any) -> None:
    """Print on stdout whatever the mode is (help)."""
    _stdout().print(renderable, highlight=False, soft_wrap=True)


def _say(screen: Any, message: str, *, markup: bool) -> None:
    """Print a sentence: wrapped between words on a terminal (a long path stays whole), one line in a file."""
    from rich.text import Text

    text = Text.from_markup(message) if markup else Text(message)
    longest = max((len(word) for word in text.plain.split()), default=0)
    screen.print(text, highlight=False, soft_wrap=not screen.is_terminal or longest > screen.width)


def _stdout() -> Any:
    from rich.console import Console

    chosen = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=sys.stdout, width=None if chosen else _WIDTH_OF_FILES)


def _stderr() -> Any:
    from rich.console import Console

    return Console(file=sys.stderr)
