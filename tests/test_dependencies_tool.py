"""make dependencies: what is known fails it, and so does an index that cannot be asked."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def tool_of(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


tool = tool_of("dependencies")

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "version": "3", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD, UNKNOWN], 0, "1 of 2 packages"),
        ([GOOD, BAD], 1, "b 2: PYSEC-1 (mended in: 3)"),
        ([UNKNOWN], 2, "0 of 1 packages"),
        ([], 2, "0 of 0 packages"),
    ],
)
def test_silence_is_no_good_news(
    packages: list[dict[str, Any]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.judged({"dependencies": packages}) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("step", ["_ready", "_asked"])
def test_without_a_network_it_says_so(
    step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def nothing(*arguments: object, **options: object) -> dict[str, Any]:
        if step == "_ready":
            raise subprocess.CalledProcessError(1, "pip")
        return {"dependencies": [UNKNOWN]}

    monkeypatch.setattr(tool, "_ready", nothing)
    monkeypatch.setattr(tool, "_asked", nothing)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: None)
    for where_possible, code in (([], 2), (["--where-possible"], 0)):
        monkeypatch.setattr(sys, "argv", ["dependencies.py", "--python", sys.executable, *where_possible])
        assert tool.main() == code
        assert "Known vulnerabilities were not looked up" in capsys.readouterr().err


def test_the_bill_of_materials_has_every_package_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bill = tool_of("bill")
    monkeypatch.setattr(sys, "argv", ["bill.py", str(tmp_path / "sbom.json")])
    assert bill.main() == 0
    found = json.loads((tmp_path / "sbom.json").read_text())
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    names = [one["name"] for one in found["components"]]
    assert names == sorted(names)
    numpy = next(one for one in found["components"] if one["name"] == "numpy")
    assert numpy["purl"] == f"pkg:pypi/numpy@{numpy['version']}"
    assert "BSD" in str(numpy["licenses"])
