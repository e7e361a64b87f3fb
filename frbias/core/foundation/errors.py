"""The few kinds of error a user can cause, each with its exit code.

Raise these with one clear sentence saying what is wrong and what to do. The command line
prints the sentence (and the hint) and exits with ``exit_code``; a traceback is shown only
with ``--debug``.
"""

from pathlib import Path


class FrbiasError(Exception):
    """Base of all errors with a message meant for the user.

    Args:
        message: One sentence: what is wrong and what to do.
        hint: Optional second line, e.g. a command to run.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class UsageError(FrbiasError):
    """An option or argument cannot be used (exit code 2)."""

    exit_code = 2


class BadInputError(FrbiasError):
    """A file or folder given by the user cannot be used (exit code 2)."""

    exit_code = 2


class BadImageError(BadInputError):
    """One image cannot be decoded, is out of bounds or cannot be used; stages catch it, list the file and go on.

    Args:
        reason: A clause without the file's name: ``is empty (0 bytes)``.
        path: The file, where there is one.

    Attributes:
        reason: The clause, as ``rejected.csv`` lists it.
        path: The file, or None.
    """

    def __init__(self, reason: str, *, path: Path | str | None = None) -> None:
        self.reason = reason.rstrip(".")
        self.path = None if path is None else Path(path)
        super().__init__(f"{self.reason[:1].upper()}{self.reason[1:]}." if path is None else f"{path} {self.reason}.")


class AssetMissingError(FrbiasError):
    """A weight file or data set is not installed (exit code 3). Say what, licence, where, which command."""

    exit_code = 3


class GateError(FrbiasError):
    """A condition given by ``--fail-if`` is met (exit code 4)."""

    exit_code = 4


class ElsewhereError(FrbiasError):
    """The leader has failed and said why; this process ends the same way without a word.

    Args:
        message: What the leader said.
        exit_code: Its exit code.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def reason_of(error: BaseException) -> str:
    """The first line of what an error of a library says; the name of its kind when it says nothing.

    Example:
        >>> reason_of(ValueError("no number\\nat line 3")), reason_of(EOFError())
        ('no number', 'EOFError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
