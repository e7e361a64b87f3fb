"""frbias cache list and clear."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from frbias.core.foundation.provenance import claim_folder
from frbias.core.stages.shared import shared_cache

Call = Callable[..., tuple[int, str, str]]


def test_list_and_clear(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRBIAS_HOME", str(tmp_path))
    assert call("cache", "list")[1].startswith("0 results, 0 B of at most 20 GB")
    with shared_cache().using("embeddings", "k" * 64) as folder:
        claim_folder(folder, stage="embed", arguments={"name": "sface"}).finish({"images": 12})
    code, out, _ = call("cache", "list", "--json")
    (entry,) = json.loads(out)["entries"]
    assert (code, entry["what"], entry["complete"]) == (0, "12 faces, by sface", True)
    out = call("cache", "list")[1]
    assert "12 faces, by sface" in out
    assert call("cache", "clear", "--kind", "faces")[0] == 2
    assert call("cache", "clear", "--kind", "aligned")[1].startswith("0 results removed")
    assert call("cache", "clear")[1].startswith("1 result removed")
    assert not folder.exists()
