"""What people see: help at 80 columns, suggestions, completion, plans, and errors of the machine as sentences."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frbias.cli import console, takes
from frbias.cli.app import COMMANDS, build
from frbias.core.foundation.files import place_problem

Call = Callable[..., tuple[int, str, str]]
GROUPS = {"data", "models", "cache"}


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        found.append((name,))
        if name in GROUPS:
            command = build().resolve_command(None, [name])[1]
            found += [(name, inner) for inner in command.commands]
    return found


@pytest.mark.parametrize("command", [(), *every_command()], ids=" ".join)
def test_help_is_right_at_80_columns(command: tuple[str, ...], call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = call(*command, "--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    examples = [line for line in lines if line.startswith("  frbias ")]
    assert max(len(line) for line in lines if line not in examples) <= 80
    assert not re.search(r"<(bool|str|path|int|float)>|\[dim\]|\[/?bold\]", out)
    assert lines[-2].split()[:2] == ["-h,", "--help"]
    if len(command) == 1 and command[0] not in GROUPS | {"doctor", "demo", "generate", "finetune", "export", "run"}:
        assert 2 <= len(examples) <= 4


def test_what_is_needed_comes_first(call: Call) -> None:
    out = call("evaluate", "-h")[1]
    places = [out.index(title) for title in ("Examples", "What to evaluate", "What to measure", "Output", "Machine")]
    assert places == sorted(places)


def test_a_misspelt_command_and_option_get_a_suggestion(call: Call) -> None:
    assert "Did you mean 'evaluate'?" in call("evalute")[2]
    assert "Did you mean 'stats'?" in call("data", "stat")[2]
    assert "--weights" in call("embed", "x", "--weigths", "sface")[2]


def test_the_version_in_short(call: Call) -> None:
    assert call("-V") == call("--version")


def completed(*words: str) -> list[str]:
    """What bash would offer for the last word."""
    environment = {**os.environ, "_FRBIAS_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("frbias", *words))}
    environment["COMP_CWORD"] = str(len(words))
    run = [sys.executable, "-c", "from frbias.cli.app import main; main()"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=environment, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("eval",), ["evaluate"]),
        (("align", "--template", "f"), ["ffhq"]),
        (("evaluate", "--protocol", "th"), ["thesis"]),
        (("embed", "x", "--weights", "sf"), ["sface"]),
        (("evaluate", "--data", "fg"), ["fgnet"]),
        (("evaluate", "--non-mated", "any"), ["any-probe"]),
        (("data", "stats", "fg"), ["fgnet"]),
        (("embed", "x", "--device", "c"), ["cpu", "cuda"]),
    ],
)
def test_values_are_completed(words: tuple[str, ...], offered: list[str], tmp_path: Path) -> None:
    assert completed(*words) == offered


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "faces", np.random.default_rng(0)
    folder.mkdir()
    lines = ["file_name,subject,age"]
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(folder / f"{k}.png")
        lines.append(f"{k}.png,s{k % 2},{10 + 30 * (k // 4)}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    console.reset()


def test_a_dry_run_does_nothing_and_tells_the_truth(call: Call, faces: Path, tmp_path: Path) -> None:
    code, out, _ = call("evaluate", "--data", faces, "--at-fmr", "50%", "--bootstrap", 0, "--no-figures", "--dry-run")
    assert code == 0
    assert "Embed 8 faces with sface in" in out
    assert out.count("to be made") == 2
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == ["faces", "home"]  # the embedded weights are in home
    # hashes of files that have not changed for two seconds are remembered: on a slow machine those of the faces
    assert {p.name for p in (tmp_path / "home" / "cache").glob("*")} <= {"hashes"}
    assert "to be made" in call("align", faces, "--dry-run")[1]
    assert not (tmp_path / "aligned").exists()
    assert call("embed", faces, "--out", "e")[0] == 0
    steps = json.loads(call("embed", faces, "--out", "e", "--dry-run", "--json")[1])["steps"]
    assert [step["state"] for step in steps] == ["finished"]
    steps = json.loads(call("embed", faces, "--out", "e", "--flip", "add", "--dry-run", "--json")[1])["steps"]
    assert [step["state"] for step in steps] == ["other"]
    assert call("evaluate", "--data", faces, "--at-fmr", "50%", "--bootstrap", 0, "--no-figures")[0] == 0
    plan = call("evaluate", "--data", faces, "--at-fmr", "20%", "--bootstrap", 0, "--dry-run", "--json")[1]
    assert [step["state"] for step in json.loads(plan)["steps"]] == ["finished", "new"]


def test_a_tilde_is_home_everywhere(call: Call, faces: Path, tmp_path: Path) -> None:
    assert call("data", "add", "mine", "~/faces")[0] == 0
    assert call("embed", "mine", "--out=~/e")[0] == 0
    assert (tmp_path / "e" / "embeddings.parquet").is_file()
    options = ("--at-fmr", "50%", "--bootstrap", 0, "--no-figures")
    assert call("evaluate", "--embeddings=~/e", "--out=~/r", *options)[0] == 0
    assert call("compare", "~/e", "~/e", "--out=~/c", *options)[0] == 0
    assert call("report", "~/r", "--out=~/page.html")[0] == 0
    assert (tmp_path / "page.html").is_file()
    assert not (tmp_path / "~").exists()


def test_a_file_where_a_folder_should_be(call: Call, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("x")
    for command in (("align", faces), ("embed", faces), ("evaluate", "--data", faces)):
        code, out, err = call(*command, "--out", "afile/x")
        assert (code, out) == (2, "")
        assert err == "frbias: --out afile/x cannot be written: afile is a file, not a folder.\n"


def test_a_place_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    assert place_problem(tmp_path / "a" / "b") == (f"cannot be written: there is no permission to write in {tmp_path}.")
    assert list(takes.writable(tmp_path / "a"))


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, 1, "The disk is full (/data/out)"),
        (errno.EACCES, 2, "no permission for /data/out"),
        (errno.EROFS, 2, "/data/out can only be read"),
        (errno.ENOTDIR, 2, "a part of that path is a file"),
        (errno.EISDIR, 2, "/data/out is a folder"),
        (errno.ENOENT, 2, "/data/out does not exist"),
        (errno.EIO, 1, "/data/out cannot be read or written"),
        (errno.EMFILE, 1, "ulimit -n"),
        (errno.ELOOP, 2, "/data/out: "),
    ],
)
def test_errors_of_the_machine_are_sentences(
    number: int, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        raise OSError(
            number, os.strerror(number), "/data/out/.frbias-tmp-abc" if number == errno.ENOSPC else "/data/out"
        )
    err = capsys.readouterr().err
    assert caught.value.code == code
    assert words in err
    assert "bug" not in err
    assert len(err.splitlines()) == 1


def test_a_full_disk_told_by_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "frbias: The disk is full; free some space and run the command again.\n"


def test_a_full_disk_behind_the_error_of_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    """Drawing libraries fail again while they tidy up, with an error that says nothing of the disk."""

    def draw() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise AttributeError("'Stream' object has no attribute 'pos'")  # noqa: B904

    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        draw()
    assert caught.value.code == 1
    assert "The disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("No usable temporary directory found in ['/tmp', '/var/tmp']", "set TMPDIR to one that can be written"),
        ("No such file or directory", "No such file or directory."),
    ],
)
def test_places_that_nobody_names(message: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, console.errors_as_sentences():
        raise FileNotFoundError(errno.ENOENT, message)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
