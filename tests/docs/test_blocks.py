"""Every command line and every Python block of README.md and docs/ is run, in the order of its page, in one folder.

Sizes are made small, and what a reader is supposed to have is made when a line first needs it (:mod:`blocks`).
Lines that need licensed weights or photographs run up to exit code 3. A block that cannot be run is marked with
``<!-- not run: reason -->``; their number is held down by a test.
"""

import contextlib
import io
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from blocks import LICENSED, NOT_HERE, PAGES, READERS_OWN, ROOT, Block, blocks_of, small

from frbias.cli import console
from frbias.cli.app import main
from frbias.core.assets.embedded import EMBEDDED_MODELS, embedded_model
from frbias.core.assets.paths import embedded_folder
from frbias.synth.mesh.head_data import load_head

MAKE_TARGETS = {
    "demo", "test", "setup", "bench", "docs", "thesis", "thesis-dry", "thesis-cusp", "thesis-eg3d", "lint", "typecheck",
}  # fmt: skip


def run(words: list[str]) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    console.reset()
    said = io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            console.reset()
    return int(code), said.getvalue()


def provide(words: list[str]) -> None:
    """Make what a reader has and the line reads, unless the page has made it."""
    written = [words[k + 1] for k, word in enumerate(words[:-1]) if word in ("--out", "-o", "--drop", "--plot")]
    reads = words[0] not in ("data", "models") or words[:2] == ["data", "export"]
    for word in words:
        name = word.rstrip("/").rpartition("=")[2]
        place = Path(name)
        if (name in READERS_OWN and name not in written and not place.exists() and reads) or (
            name in READERS_OWN and not place.exists() and name.endswith(".zip")
        ):
            READERS_OWN[name](place)


def check_command(line: str) -> None:
    if line.startswith("make "):
        target = shlex.split(line, comments=True)[1]
        assert target in MAKE_TARGETS
        assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0
        return
    words = small(line)
    provide(words)
    code, said = run(words)
    if code == 0:
        return
    absent = [name for name in NOT_HERE if name in line]
    if code == 2 and absent and ("does not exist" in said or "is not a folder" in said):
        return
    licensed = [name for name in LICENSED if name in words or f"--backend {name}" in line]
    if (
        code == 3
        and licensed
        and any(name in said for name in (*LICENSED, "CUSP", "EG3D", "FG-NET", "cannot be reached"))
    ):
        return
    if code == 4 and "--fail-if" in words:
        return
    if code == 2 and words[:2] == ["data", "verify"] and "differs" not in said:
        return
    pytest.fail(f"{line}\nran as: frbias {shlex.join(words)}\nexit code {code}\n{said}")


def no_network(*arguments: Any, **options: Any) -> None:
    """Nothing is ever downloaded here: lines that would do so end with exit code 3."""
    raise OSError("no network in this test")


def run_block(block: Block, names: dict[str, Any]) -> None:
    if block.not_run:
        return
    if block.language == "python":
        exec(compile(block.text, f"{block.page.name}", "exec"), names)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif not block.language:
        for line in block.commands:
            check_command(line)


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.runs for b in blocks_of(page))], ids=lambda p: p.name)
def test_blocks(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_head()
    for name in EMBEDDED_MODELS:
        embedded_model(name)
    home = tmp_path / "data-root"
    home.mkdir()
    (home / "embedded").symlink_to(embedded_folder())
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.setenv("FRBIAS_HOME", str(home))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks_of(page):
        run_block(block, names)


def test_hardly_anything_is_left_out() -> None:
    every = [block for page in PAGES for block in blocks_of(page)]
    left_out = [block for block in every if block.not_run]
    assert sum(block.runs for block in every) >= 20
    assert len(left_out) <= 2
    assert all(len(block.not_run) > 10 for block in left_out)
    assert sum(len(block.commands) for block in every if not block.language) >= 60


def test_lines_are_made_small_without_changing_what_they_say() -> None:
    assert small("frbias generate --backend mesh --subjects 80 --ages 5,12 --out people") == [
        "generate", "--backend", "mesh", "--subjects", "4", "--ages", "5,12", "--out", "people", "--size", "128",
        "--variants", "1", "--workers", "1",
    ]  # fmt: skip
    assert small("frbias evaluate --scores s.csv --at-fmr 1%")[-3:] == ["--bootstrap", "20", "--no-figures"]
