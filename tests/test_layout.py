"""The house rules that a linter does not know: short modules, short functions, imports that stay among themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import frbias

PACKAGE = Path(frbias.__file__).parent
LONGEST_MODULE, LONGEST_FUNCTION, LONGEST_BODY = 350, 60, 25
DECLARATIONS = {"frbias/core/verification/evaluation.py:evaluate_embeddings"}
"""Functions whose length is a list of options with what each means; what they do is short all the same."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions and methods by name, nested ones counted for themselves too."""
    yield from ((node.name, node) for node in ast.walk(tree) if isinstance(node, Function))


def body_length(function: Function) -> int:
    """Lines below signature and docstring."""
    first = function.body[1] if ast.get_docstring(function) is not None and function.body[1:] else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def too_long(name: str, text: str) -> list[str]:
    """What is too long in a module, one sentence each."""
    lines = len(text.splitlines())
    found = [f"{name} has {lines} lines; at most {LONGEST_MODULE}"] if lines > LONGEST_MODULE else []
    for function, node in functions(ast.parse(text)):
        place = f"{name}:{function}"
        length = body_length(node) if place in DECLARATIONS else (node.end_lineno or 0) - node.lineno + 1
        most = LONGEST_BODY if place in DECLARATIONS else LONGEST_FUNCTION
        if length > most:
            found.append(f"{place} has {length} lines; at most {most}")
    return found


def test_modules_and_functions_are_short() -> None:
    found = [
        line
        for path in modules()
        for line in too_long(f"frbias/{path.relative_to(PACKAGE).as_posix()}", path.read_text("utf-8"))
    ]
    assert found == []


def test_declarations_are_what_they_are_called() -> None:
    """An exception that is no longer needed, or names nothing, is taken out of the list."""
    for place in DECLARATIONS:
        name, _, function = place.partition(":")
        tree = ast.parse((PACKAGE.parent / name).read_text("utf-8"))
        node = next(node for found, node in functions(tree) if found == function)
        assert (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n" * 351, ["m.py has 351 lines; at most 350"]),
        ("def f():\n" + "    x = 1\n" * 60, ["m.py:f has 61 lines; at most 60"]),
        ('def f():\n    """' + "a\n" * 59 + '    """\n    x = 1\n', ["m.py:f has 62 lines; at most 60"]),
        ("def f():\n" + "    x = 1\n" * 59, []),
    ],
)
def test_what_is_too_long_is_told(text: str, told: list[str]) -> None:
    assert too_long("m.py", text) == told


def test_arrow_reads_from_memory_of_its_own() -> None:
    """Its threads may let go of what they read when Python shuts down already: memory of Python ends the process then."""
    assert [path for path in modules() if "py_buffer" in path.read_text("utf-8")] == []
