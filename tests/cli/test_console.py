"""The output sink: where things go and how errors end."""

import errno
import json
from collections.abc import Iterator

import pytest

from frbias.cli import console
from frbias.core.foundation.errors import AssetMissingError, BadInputError, FrbiasError, GateError, UsageError


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    console.reset()
    yield
    console.reset()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FrbiasError("a"), 1),
        (UsageError("a"), 2),
        (BadInputError("a"), 2),
        (AssetMissingError("a"), 3),
        (GateError("a"), 4),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("a"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        raise error
    assert caught.value.code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("frbias: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried 4 bytes"
        ),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_no_memory_is_said_and_is_no_bug(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        raise error
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("frbias: There is not enough memory; ")


def test_hint_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(debug=True)
    with pytest.raises(SystemExit), console.errors_as_sentences():
        raise AssetMissingError("r50 is missing.", hint="frbias models add r50 backbone.pth")
    err = capsys.readouterr().err
    assert err.endswith("frbias: r50 is missing.\nfrbias models add r50 backbone.pth\n")
    assert "Traceback" in err


def test_interrupt_through_typer_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), console.errors_as_sentences():
        raise SystemExit(130)
    assert "again to go on" in capsys.readouterr().err


def test_json_mode_prints_the_document_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(json=True)
    console.say("for people")
    console.table("t", ["a"], [[1]])
    console.note("working")
    console.result({"garbe": 0.25, "name": "Zoë"}, lambda: console.say("never"))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"garbe": 0.25, "name": "Zoë"}
    assert err == "working\n"


def test_quiet_mode_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.configure(quiet=True)
    console.say("x")
    console.note("x")
    console.result({}, lambda: console.say("x"))
    with console.ConsoleProgress().task("working", 3) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_json_refuses_nan() -> None:
    console.configure(json=True)
    with pytest.raises(ValueError, match="JSON"):
        console.result({"x": float("nan")})


def test_notes_keep_square_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    console.note("[bold]literally[/bold]")
    assert capsys.readouterr().err == "[bold]literally[/bold]\n"


def test_one_result_under_torchrun(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    console.configure(json=True)
    try:
        for rank in ("0", "1"):
            monkeypatch.setenv("RANK", rank)
            console.result({"a": 1})
    finally:
        console.reset()
    assert json.loads(capsys.readouterr().out) == {"a": 1}
