"""The mesh generator from plain option values."""

from collections.abc import Mapping
from typing import Any

from frbias.synth.backend import AgeSynthesizer
from frbias.synth.backends import option_values
from frbias.synth.mesh.backend import MeshBackend, MeshOptions
from frbias.synth.mesh.fgnet_layout import make_in_layout


def make(options: Mapping[str, Any], device: str) -> AgeSynthesizer:
    """A backend from plain option values; ``device`` is ignored, the renderer runs on the processor.

    The option ``layout = "fgnet"`` makes the stand-in for FG-NET instead; it has its own ages and counts.

    Raises:
        UsageError: An option is unknown, missing or out of range.
    """
    if "layout" in options:
        return make_in_layout(options)
    chosen = MeshOptions(**{"subjects": 20, **option_values(MeshOptions, "mesh", options)})
    return MeshBackend(chosen)
