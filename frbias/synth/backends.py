"""Generators by name, made from plain option tables (a TOML section, command-line options)."""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from frbias.core.foundation.errors import UsageError

if TYPE_CHECKING:
    from frbias.synth.backend import AgeSynthesizer

_MAKERS = {
    "mesh": "frbias.synth.mesh.making",
    "cusp": "frbias.synth.cusp.backend",
    "eg3d": "frbias.synth.eg3d.backend",
}
BACKENDS = tuple(_MAKERS)


def make_backend(name: str, options: Mapping[str, Any], device: str = "auto") -> "AgeSynthesizer":
    """Make the generator ``name``.

    Args:
        name: ``mesh``, ``cusp`` or ``eg3d``.
        options: Fields of the backend's options class; those left out have their defaults, dashes may stand for
            underscores, lists for tuples.
        device: ``auto``, ``cpu`` or ``cuda[:i]``; the mesh renderer has no use for it.

    Raises:
        UsageError: The name or an option is unknown, or a value is out of range.
        AssetMissingError: The generator's weights are not installed.
    """
    if name not in BACKENDS:
        raise UsageError(f"--backend {name!r} is unknown; use {', '.join(BACKENDS)}.")
    module = import_module(_MAKERS[name])
    made: AgeSynthesizer = module.make(options, device)
    return made


def option_values(kind: type, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as keyword arguments of the options dataclass ``kind``.

    Raises:
        UsageError: An option is unknown to the backend ``name``.
    """
    known = {field.name for field in fields(kind)}
    values = {key.replace("-", "_"): tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise UsageError(f"The {name} backend has no option {unknown[0]!r}; it has {', '.join(sorted(known))}.")
    return values
