"""How this package compiles its inner loops: numba, cached on disk where that is possible."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def kernel(function: _F) -> _F:
    """Compile ``function`` with numba at its first call.

    The machine code is cached beside the module or, where that folder is read-only, in the user's
    cache folder; where neither can be written every process compiles for itself. No fast-math and
    no threads: the same input gives the same bits.
    """
    try:
        compiled: _F = numba.njit(cache=True)(function)
    except RuntimeError:  # numba: "no locator available", nothing is writable
        compiled = numba.njit(function)
    return compiled


def inner(function: _F) -> _F:
    """Compile ``function`` as part of every kernel that calls it.

    A call of a kernel with tuples of arrays counts references of each, for every pixel: without it shading is a
    third faster.
    """
    woven: _F = numba.njit(inline="always")(function)
    return woven
