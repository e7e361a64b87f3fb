"""What is printed here does not depend on tests of the command line that ran before in the same process."""

import pytest

from frbias.cli import console


@pytest.fixture(autouse=True)
def fresh_console() -> None:
    console.reset()
