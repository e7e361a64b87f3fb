"""Shared fixtures and options of the test suite."""

import contextlib
import os
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):  # a device machine may go without
    from hypothesis import settings

    # how long one example takes says how busy the machine is
    settings.register_profile("frbias", deadline=None)
    settings.load_profile("frbias")

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_addoption(parser: pytest.Parser) -> None:
    # pytest has a flag of the same name that lists its fixtures; that one stays reachable as --funcargs.
    parser._anonymous._arggroup.conflict_handler = "resolve"  # type: ignore[attr-defined]
    parser.addoption(
        "--fixtures",
        dest="parity_fixtures",
        metavar="DIR",
        default=None,
        help="folder with arcface/, cusp/, eg3d/, metrics/ to run the parity tests on (default: the committed copies)",
    )


def pytest_xdist_auto_num_workers() -> int:
    """One more worker than there are cores: a fifth of the time of these tests is waiting (processes, disks, servers)."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def fixtures_dir(request: pytest.FixtureRequest) -> Path:
    """Root of the parity fixtures: ``--fixtures`` or tests/fixtures."""
    chosen = request.config.getoption("parity_fixtures")
    return Path(chosen).resolve() if chosen else FIXTURES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not any(item.get_closest_marker("cuda") for item in items):
        return
    import torch

    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep FRBIAS_DEBUG and torchrun variables of the outer shell out of the tests."""
    for name in ("FRBIAS_DEBUG", "RANK", "WORLD_SIZE", "LOCAL_RANK"):
        if name in os.environ:
            monkeypatch.delenv(name)
