"""What a reader of pickles has to answer, and what it says when it refuses."""

from typing import Any, Protocol

from frbias.core.assets.pickle_records import NamedGlobal, UnsafePickleError

MAX_LINE = 4096


class Policy(Protocol):
    """What a reader answers; everything it does not know it must refuse with :class:`UnsafePickleError`."""

    def find(self, name: NamedGlobal) -> NamedGlobal:
        """Accept a global by exact name."""
        ...

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        """Answer REDUCE."""
        ...

    def new(self, kind: Any, args: tuple[Any, ...]) -> Any:
        """Answer NEWOBJ."""
        ...

    def build(self, target: Any, state: Any) -> Any:
        """Answer BUILD: give ``target`` its state and return it."""
        ...

    def persistent(self, identity: Any) -> Any:
        """Answer BINPERSID."""
        ...


def truncated(detail: str) -> UnsafePickleError:
    """The error for data that ends too early."""
    return UnsafePickleError(
        f"The pickle ends in the middle ({detail}); was the download complete?", name="truncated data"
    )


def malformed(detail: str) -> UnsafePickleError:
    """The error for data that is no pickle."""
    return UnsafePickleError(f"This is not a well-formed pickle: {detail}.", name="malformed pickle")


def check_key(key: Any) -> Any:
    """Return a dictionary key or set element that is cheap to hash; refuse others."""
    if key is None or type(key) is bool or (type(key) is int and abs(key) < 2**31):
        return key
    if type(key) is str and len(key) <= MAX_LINE:
        return key
    if type(key) is NamedGlobal and len(key.module) + len(key.name) <= MAX_LINE:
        return key
    raise UnsafePickleError(f"The pickle uses a {type(key).__name__} as a dictionary key.", name="dictionary key")
