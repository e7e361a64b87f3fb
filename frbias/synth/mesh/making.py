"""The mesh generator for a request: people, or the stand-in for FG-NET."""

from frbias.core.assets.skins import skin_folder
from frbias.synth.mesh.backend import MeshBackend
from frbias.synth.mesh.fgnet_layout import FgnetLayoutBackend
from frbias.synth.mesh.request import MeshRequest


def make(request: MeshRequest, device: str) -> MeshBackend | FgnetLayoutBackend:
    """The generator; ``device`` is ignored, the renderer runs on the processor.

    Raises:
        AssetMissingError: Skins are asked for that are not installed.
    """
    del device
    if request.skins == "makehuman":
        skin_folder()
    return FgnetLayoutBackend(request) if request.layout == "fgnet" else MeshBackend(request)
