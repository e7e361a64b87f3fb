"""What goes into a release: every file of the package and no other, one version, and a wheel that works by itself.

``make release-check`` installs wheel and sdist with their dependencies into clean environments; this needs no network.
"""

import importlib.util
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from types import ModuleType

import pytest

import frbias

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    found = importlib.util.spec_from_file_location("check_release", ROOT / "tools" / "check_release.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(release: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(release.build(ROOT, tmp_path_factory.mktemp("release") / "dist"))


def tracked(folder: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split() if (ROOT / name).is_file()}


@pytest.mark.xdist_group("release")
def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        about = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(wheel.read(about))
        entry = wheel.read(about.replace("METADATA", "entry_points.txt")).decode()
    assert names == tracked("frbias")
    assert metadata["Version"] == frbias.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "frbias = frbias.__main__:main" in entry


@pytest.mark.xdist_group("release")
def test_the_sdist_builds_the_same(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked("frbias") <= names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names


@pytest.mark.xdist_group("release")
def test_the_wheel_works_away_from_the_repository(built: dict[str, Path], release: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(tmp_path / "site")
    release.use([sys.executable, "-P", "-m", "frbias"], tmp_path / "use", {"PYTHONPATH": str(tmp_path / "site")})


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "frbias.__version__"}
    cited = [line for line in (ROOT / "CITATION.cff").read_text("utf-8").splitlines() if line.startswith("version:")]
    assert cited in ([], [f"version: {frbias.__version__}"])
    assert f"## {frbias.__version__} " in (ROOT / "CHANGELOG.md").read_text("utf-8")
