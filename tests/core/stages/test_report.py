"""The page about an evaluation: where it is put, and what a killed call leaves."""

from pathlib import Path

import numpy as np
import pytest

import frbias.core.stages.report as stage
from frbias.core.foundation.files import write_json
from frbias.core.stages.requests.report import ReportRequest
from frbias.core.verification.evaluation import evaluate_embeddings


def test_what_a_killed_call_left_is_cleared_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, who = np.random.default_rng(0), np.repeat(np.arange(12), 4)
    vectors = (rng.normal(size=(12, 8))[who] + rng.normal(size=(48, 8))).astype(np.float32)
    found = evaluate_embeddings(
        vectors, who, np.tile([5, 8, 30, 50], 12), groups="0-19,20+", targets=[0.1], bootstrap=0
    )
    write_json(tmp_path / "evaluation.json", found.to_json())
    left = [
        tmp_path / ".frbias-tmp-1.html",
        tmp_path / "figures/.frbias-tmp-2.png",
        tmp_path / "figures/b/.frbias-tmp-3.svg",
        tmp_path / "tables/.frbias-tmp-6.tex",
    ]
    kept = [tmp_path / ".frbias-tmp-4.json", tmp_path / "figures/det.png", tmp_path / "other/.frbias-tmp-5.html"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setattr(stage, "write_report", lambda page, *rest, **options: page.write_text("page"))
    page = stage.report(ReportRequest(evaluation=tmp_path)).page
    assert page.read_text() == "page"
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in kept)
