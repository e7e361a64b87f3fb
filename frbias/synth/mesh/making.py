"""The mesh generator for a request: people, or the stand-in for FG-NET."""

from frbias.synth.mesh.backend import MeshBackend
from frbias.synth.mesh.fgnet_layout import FgnetLayoutBackend
from frbias.synth.mesh.request import MeshRequest


def make(request: MeshRequest, device: str) -> MeshBackend | FgnetLayoutBackend:
    """The generator; ``device`` is ignored, the renderer runs on the processor."""
    del device
    return FgnetLayoutBackend(request) if request.layout == "fgnet" else MeshBackend(request)
