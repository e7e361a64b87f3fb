"""``import frbias``: light, complete, documented by examples that run, and the same requests as the command line."""

import ast
import doctest
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import frbias
from frbias.api import VERBS
from frbias.cli.app import main
from frbias.core.foundation.errors import UsageError
from frbias.core.stages.requests.align import AlignRequest

HEAVY = ("torch", "cv2", "pandas", "numpy", "typer", "rich", "matplotlib", "frbias.core", "frbias.synth", "frbias.api")


def python(program: str, cwd: Path, *, by: str = "file") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-"]
    if by == "file":
        (cwd / "program.py").write_text(program)
        command = [sys.executable, "program.py"]
    text = program if by == "stdin" else None
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def test_the_import_loads_nothing(tmp_path: Path) -> None:
    program = "import sys, time\nstart = time.perf_counter()\nimport frbias\nprint(time.perf_counter() - start)\n"
    program += f"print([m for m in {HEAVY!r} if m in sys.modules])\n"
    seconds, loaded = python(program, tmp_path).stdout.splitlines()
    assert loaded == "[]"
    assert float(seconds) < 0.1


def test_every_name_is_there() -> None:
    assert 12 <= len(frbias.__all__) <= 20
    assert set(frbias.__all__) <= set(dir(frbias))
    for name in frbias.__all__:
        assert getattr(frbias, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'agile'"):
        frbias.agile  # noqa: B018


@pytest.mark.parametrize("name", frbias.__all__)
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documented = getattr(frbias, name)
    own = vars(sys.modules[documented.__module__])
    found = doctest.DocTestFinder(recurse=False).find(documented, name, globs={**own, "frbias": frbias, "np": np})
    assert found
    assert found[0].examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert runner.run(found[0]).failed == 0


@pytest.mark.parametrize("name", list(VERBS))
def test_signatures_are_those_of_the_requests(name: str) -> None:
    signature = inspect.signature(getattr(frbias, name))
    verb = VERBS[name]
    assert set(verb.options()) | {"out", "tell"} <= set(signature.parameters)
    for option, given in verb.options().items():
        kind = signature.parameters[option].kind
        assert (kind is inspect.Parameter.POSITIONAL_OR_KEYWORD) == (option in verb.first), option
        assert given.name in {f.name for f in verb.requests[verb.usual].__dataclass_fields__.values()} or verb.usual


class Caught(Exception):
    """Instead of work."""


def caught_request(monkeypatch: pytest.MonkeyPatch, place: str, run: Any) -> tuple[Any, Any, Any, Any]:
    def stage(request: Any, out: Any = None, *, machine: Any = None, force: bool = False, **shown: Any) -> None:
        raise Caught(request, out, machine.resources, force)

    monkeypatch.setattr(place, stage)
    try:
        run()
    except (Caught, SystemExit) as error:
        if isinstance(error, Caught):
            return error.args  # type: ignore[return-value]
    raise AssertionError("the stage was not called")


@pytest.mark.parametrize(
    ("place", "arguments", "call"),
    [
        (
            "frbias.core.stages.align.align",
            ["align", "people", "-o", "x", "--template", "ffhq", "--size", "512", "--workers", "2", "--force"],
            lambda: frbias.align("people", "x", template="ffhq", size=512, workers=2, force=True),
        ),
        (
            "frbias.core.stages.embed.embed",
            ["embed", "people", "--weights", "r50", "--device", "cpu", "--batch-size", "7"],
            lambda: frbias.embed("people", weights="r50", device="cpu", batch_size=7),
        ),
        (
            "frbias.core.stages.evaluate.evaluate",
            ["evaluate", "--data", "fgnet", "--at-fmr", "1%,0.1%", "--fail-if", "garbe > 1", "--no-figures"],
            lambda: frbias.evaluate("fgnet", at_fmr=[0.01, 0.001], fail_if=["garbe > 1"], figures=False),
        ),
        (
            "frbias.core.stages.compare.compare",
            ["compare", "a", "b", "--name", "x", "--name", "y", "--groups", "0-19,20+", "-o", "c"],
            lambda: frbias.compare(["a", Path("b")], "c", name=["x", "y"], groups="0-19,20+"),
        ),
        (
            "frbias.synth.generate.generate",
            ["generate", "--subjects", "3", "--ages", "5:15:5", "--seed", "4"],
            lambda: frbias.generate(subjects=3, ages=(5, 10, 15), seed=4),
        ),
        (
            "frbias.core.stages.finetune.finetune",
            ["finetune", "--data", "faces", "--frozen", "1,2", "--epochs", "3", "-o", "runs/x"],
            lambda: frbias.finetune("faces", "runs/x", frozen="1,2", epochs=3),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_python_and_the_command_line_ask_for_the_same(
    place: str, arguments: list[str], call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frbias.cli.console.errors_as_sentences", lambda: pytest.MonkeyPatch.context())
    typed = caught_request(monkeypatch, place, lambda: main(arguments))
    called = caught_request(monkeypatch, place, call)
    assert called == typed


def test_wrong_keywords_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        frbias.align("people", "x", tmplate="ffhq", size="big", faces="most")
    text = str(caught.value)
    assert "3 things are wrong with frbias.align()" in text
    assert "did you mean 'template'?" in text
    assert "faces 'most' is unknown" in text
    with pytest.raises(UsageError, match="did you mean 'mesh'"):
        frbias.generate("x", backend="mess")
    with pytest.raises(TypeError, match="'data' twice"):
        frbias.align("a", data="b")


def test_a_request_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = AlignRequest(data="people", size=224)
    found = caught_request(monkeypatch, "frbias.core.stages.align.align", lambda: frbias.align(wanted, "x"))
    assert found[0] is wanted
    with pytest.raises(UsageError, match="a request alone"):
        frbias.align(wanted, size=224)


SCRIPT = """
import frbias
print("begun")
made = frbias.generate("people", subjects=6, ages=[5, 40], variants=1, size=64, workers=2)
print(made.images)
"""


@pytest.mark.parametrize("by", ["file", "stdin"])
def test_a_plain_script_runs_once(by: str, tmp_path: Path) -> None:
    """Without ``if __name__ == "__main__"``: workers must not run the script again (stdin is what a notebook is like)."""
    done = python(SCRIPT, tmp_path, by=by)
    assert done.stderr == ""
    assert done.stdout.split() == ["begun", "12"]


def test_the_stub_is_that_of_the_requests(tmp_path: Path) -> None:
    """Editors and type checkers see the keywords in frbias/__init__.pyi; ``python tools/write_stub.py`` writes it."""
    root = Path(frbias.__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", "from write_stub import stub; print(stub(), end='')"],
        capture_output=True, text=True, check=True, cwd=root / "tools", timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
    ).stdout  # fmt: skip
    committed = (root / "frbias" / "__init__.pyi").read_text(encoding="utf-8")
    parts = [sorted(ast.dump(node) for node in ast.parse(text).body) for text in (found, committed)]
    assert parts[0] == parts[1], "run: python tools/write_stub.py"
