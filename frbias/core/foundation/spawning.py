"""Starting worker processes that do not run the program of the user again.

A spawned process imports the module that was started (``__main__``) before it does anything, which for a plain script
without ``if __name__ == "__main__":`` means: the whole script, once per worker. Workers of frbias need nothing of it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without_main(*sent: object) -> Iterator[None]:
    """Hide the running program while processes are started.

    Args:
        sent: What is sent to the processes. When something of it is defined in the program itself (a generator of
            one's own), the processes have to import the program, and nothing is hidden.
    """
    if any(type(value).__module__ == "__main__" for value in sent):
        yield
        return
    running = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = running
