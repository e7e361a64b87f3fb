"""The examples in the docstrings run, and nothing here needs torch or images."""

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import frbias.core.verification as package

ROOT = Path(package.__path__[0])
MODULES = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in ROOT.rglob("*.py") if p.stem != "__init__"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = import_module(f"frbias.core.verification.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    modules = (import_module(f"frbias.core.verification.{name}") for name in MODULES)
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 15


def test_neither_torch_nor_images_are_needed() -> None:
    program = (
        f"import sys\nfrom importlib import import_module\nfor name in {MODULES!r}:\n"
        "    import_module('frbias.core.verification.' + name)\n"
        "print([m for m in ('torch', 'cv2', 'frbias.core.data.images', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
