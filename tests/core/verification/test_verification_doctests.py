"""The examples in the docstrings run."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import frbias.core.verification as package

MODULES = sorted(p.stem for p in Path(package.__path__[0]).glob("*.py") if p.stem != "__init__")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = import_module(f"frbias.core.verification.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    modules = (import_module(f"frbias.core.verification.{name}") for name in MODULES)
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 15
