"""Manners of the command line: start, help, exit codes, JSON, configuration files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from frbias.cli.app import COMMANDS

HEAVY = ("torch", "cv2", "pandas", "numpy", "matplotlib", "insightface", "onnxruntime", "numba", "scipy")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "frbias", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom frbias.cli.app import main\n"
        "try: main(['--help'])\nexcept SystemExit as e: assert e.code in (0, None), e.code\n"
        f"print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_without_heavy_imports(name: str) -> None:
    program = (
        "import sys\nfrom frbias.cli.app import main\n"
        f"try: main([{name!r}, '-h'])\nexcept SystemExit as e: assert e.code in (0, None), e.code\n"
        f"print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert "--json" in done.stdout or "COMMAND" in done.stdout


def test_version() -> None:
    from frbias import __version__

    assert run("--version").stdout == f"frbias {__version__}\n"


def test_unknown_backend_is_one_sentence_and_code_2(tmp_path: Path) -> None:
    done = run("generate", "--backend", "dalle", "--out", str(tmp_path / "x"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "frbias: --backend 'dalle' is unknown; use mesh, cusp, eg3d.\n"
    debugged = run("--debug", "generate", "--backend", "dalle")
    assert debugged.returncode == 2
    assert "Traceback" in debugged.stderr


def test_unknown_command_and_option_are_code_2() -> None:
    assert run("nonsense").returncode == 2
    assert run("generate", "--nonsense").returncode == 2


def test_ages_that_are_no_numbers(tmp_path: Path) -> None:
    done = run("generate", "--ages", "5,old", "--out", str(tmp_path / "x"))
    assert done.returncode == 2
    assert "'old' is not a number" in done.stderr
    assert "Traceback" not in done.stderr


def test_config_file_gives_options_and_flags_override(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[generate]\nbackend = "dalle"\n')
    assert "'dalle'" in run("--config", str(config), "generate").stderr
    assert "'dalle'" in run("generate", "--config", str(config)).stderr
    assert "'other'" in run("generate", "--config", str(config), "--backend", "other").stderr
    config.write_text("[generate]\nbackends = 3\n")
    refused = run("generate", "--config", str(config))
    assert refused.returncode == 2
    assert "no option 'backends'" in refused.stderr
    config.write_text("[generate\n")
    assert run("generate", "--config", str(config)).returncode == 2


def test_number_lists() -> None:
    from frbias.cli.options import numbers
    from frbias.core.foundation.errors import UsageError

    assert numbers("5, 20.5,40", "--ages") == [5, 20.5, 40]
    assert numbers("0:30:10", "--ages") == [0, 10, 20, 30]
    for bad in ("", ",", "1:2", "5:1:1", "0:1:0", "0:1e9:1e-9"):
        with pytest.raises(UsageError):
            numbers(bad, "--ages")


def test_json_goes_to_stdout_alone() -> None:
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
