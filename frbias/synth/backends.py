"""The generators: one entry each, imported when it is used.

A new generator is a request (a subclass of :class:`frbias.synth.requests.GenerateRequest`), a class with the members of
:class:`frbias.synth.age_synthesizer.AgeSynthesizer`, a function that makes it from its request, and an entry here; the command line, experiment
files, ``frbias doctor`` and shell completion read the rest from the entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from frbias.core.foundation.errors import UsageError
from frbias.core.foundation.requests import suggestion
from frbias.synth.cusp.request import CuspRequest
from frbias.synth.eg3d.request import Eg3dRequest
from frbias.synth.mesh.request import MeshRequest
from frbias.synth.requests import GenerateRequest

if TYPE_CHECKING:
    from frbias.synth.age_synthesizer import AgeSynthesizer


@dataclass(frozen=True)
class Backend:
    """A generator that frbias knows.

    Attributes:
        name: As in ``--backend``.
        about: A few words for ``--help``.
        request: What it is asked for.
        maker: ``module:function`` that makes it from a request and a device.
        needs: Assets it needs, as ``frbias doctor`` names them (``embedded:head``, ``model:cusp``).
    """

    name: str
    about: str
    request: type[GenerateRequest]
    maker: str
    needs: tuple[str, ...]

    def make(self, request: GenerateRequest, device: str = "auto") -> "AgeSynthesizer":
        """The generator for a request of its kind; see the maker for what it raises."""
        module, _, function = self.maker.partition(":")
        maker: Callable[[Any, str], AgeSynthesizer] = getattr(import_module(module), function)
        return maker(request, device)


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("mesh", "embedded", MeshRequest, "frbias.synth.mesh.making:make", ("embedded:head",)),
        Backend("cusp", "age editing", CuspRequest, "frbias.synth.cusp.backend:make", ("model:cusp",)),
        Backend("eg3d", "3-D aware", Eg3dRequest, "frbias.synth.eg3d.backend:make", ("model:eg3d",)),
    )
}


def backend_named(name: str, label: str = "--backend") -> Backend:
    """The generator of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in BACKENDS:
        known = f"use {', '.join(BACKENDS)}"
        raise UsageError(f"{label} {name!r} is unknown; {known}{suggestion(name, BACKENDS) or '.'}")
    return BACKENDS[name]


def make_backend(request: GenerateRequest, device: str = "auto") -> "AgeSynthesizer":
    """The generator for a request.

    Args:
        request: What to make.
        device: ``auto``, ``cpu`` or ``cuda[:i]``; the mesh renderer has no use for it.

    Raises:
        UsageError: The weights and the request do not go together.
        AssetMissingError: The generator's weights are not installed.
    """
    return backend_named(type(request).backend).make(request, device)
