"""The examples of docs/protocols.md run as they stand, in order."""

import json
import re
import shlex
from pathlib import Path

import pytest

from frbias.cli.app import main

PAGE = Path(__file__).parents[1] / "docs" / "protocols.md"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WRITES = {"by-pairs": "pairs.json", "by-bin": "pairs.json", "by-sets": "pairs.json", "by-age": "pairs.json", "young-old": "pairs.json",
          "young-and-old": "evaluation.json", "searches": "identification.json", "gated": "pairs.json", "gated-searches": "identification.json", "free": "provenance.json",
          "with-cohort": "comparison.json"}  # fmt: skip


@pytest.mark.slow
def test_every_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    commands = 0
    for kind, text in blocks:
        if kind == "python":
            exec(compile(text, PAGE.name, "exec"), names)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "frbias"
            quick = ["--bootstrap", "20", "--no-figures"]
            with pytest.raises(SystemExit) as caught:
                main([*arguments, *(quick if arguments[0] in ("evaluate", "compare") else [])])
            assert not caught.value.code, f"{line}\n{capsys.readouterr().err}"
            commands += 1
    assert (len(blocks), commands) == (12, 15)
    sets = json.loads((tmp_path / "by-sets" / "pairs.json").read_text())
    assert [group["name"] for group in sets["groups"]] == ["left", "right"]
    for folder, document in WRITES.items():
        assert (tmp_path / folder / document).is_file()
