"""make dependencies: what is known fails it, and so does an index that cannot be asked."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

spec = importlib.util.spec_from_file_location("dependencies", Path(__file__).parents[1] / "tools" / "dependencies.py")
assert spec is not None
assert spec.loader is not None
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

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
