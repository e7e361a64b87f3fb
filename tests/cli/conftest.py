"""Calling commands within the test process."""

from collections.abc import Callable
from typing import Any

import pytest

from frbias.cli import console
from frbias.cli.app import main


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``call("align", folder, "--json")`` -> (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        console.reset()
        try:
            main([str(a) for a in arguments])
            code: Any = 0
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            console.reset()
        out, err = capsys.readouterr()
        return int(code), out, err

    return run
