"""How core code reports progress without knowing about terminals."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """A sink of progress: ``with progress.task("aligning", 100) as advance: advance(1)``."""

    def task(self, description: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Open a task of ``total`` steps (None: unknown) and yield a function that advances it by n."""
        ...

    def note(self, message: str) -> None:
        """Say one line for people (stderr); never part of the results."""
        ...


class SilentProgress:
    """Reports nothing; the default of every core function."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Yield a function that ignores its argument."""
        yield lambda n: None

    def note(self, message: str) -> None:
        """Ignore the message."""


SILENT = SilentProgress()
