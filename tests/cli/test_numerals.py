"""The examples of how numbers are written run."""

import doctest

from frbias.cli import numerals


def test_examples() -> None:
    result = doctest.testmod(numerals)
    assert (result.failed, result.attempted > 1) == (0, True)
