"""Scores that are all the same, and recognisers that tell people apart without exception: an answer, and no warning."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frbias.core.foundation.errors import BadInputError
from frbias.core.reporting.figures.every import draw_all
from frbias.core.verification.evaluation import EvaluationOptions, evaluate, evaluate_embeddings
from frbias.core.verification.paired import compare_embeddings
from frbias.core.verification.scores.scorefiles import read_scores
from frbias.core.verification.scores.scoresets import comparisons_from_scores

pytestmark = pytest.mark.filterwarnings("error")
WHO = np.repeat(np.arange(12), 8)
AGES = np.tile([4.0, 6, 8, 10, 30, 40, 50, 60], 12)


def document(vectors: np.ndarray) -> dict[str, Any]:
    found = evaluate_embeddings(
        vectors.astype(np.float32), WHO, AGES, groups="0-17,18+", targets=[0.1], bootstrap=120, name="x"
    )
    return json.loads(json.dumps(found.to_json(), allow_nan=False))


def test_identical_embeddings(tmp_path: Path) -> None:
    found = document(np.ones((96, 8)))
    assert found["overall"]["eer"]["value"] == 0.5
    assert found["overall"]["d_prime"] is None
    assert [g["fnmr"] for g in found["targets"][0]["groups"]] == [1.0, 1.0]
    assert len(draw_all(found, tmp_path)) >= 6


def test_people_told_apart_without_exception(tmp_path: Path) -> None:
    found = document(np.eye(12)[WHO])
    assert found["overall"]["eer"]["value"] == 0
    assert found["overall"]["d_prime"] is None
    assert found["overall"]["d_prime_bootstrap"]["low"] is None
    assert len(draw_all(found, tmp_path)) >= 6


def test_identical_embeddings_compared(tmp_path: Path) -> None:
    same, apart = np.ones((96, 8), np.float32), np.eye(12, dtype=np.float32)[WHO]
    found = compare_embeddings(same, apart, WHO, AGES, groups="0-17,18+", targets=[0.1], bootstrap=120)
    assert draw_all(json.loads(json.dumps(found.to_json(), allow_nan=False)), tmp_path)


def scored(rows: list[tuple[float, int]], path: Path) -> Any:
    path.write_text("score,mated,group\n" + "".join(f"{s},{m},{g}\n" for s, m in rows for g in "ab"))
    comparisons, grouping = read_scores(path).comparisons()
    return evaluate(comparisons, grouping, EvaluationOptions(targets=(0.1,), replicates=0), name="x").to_json()


def test_one_score_for_all(tmp_path: Path) -> None:
    found = scored([(0.5, 1)] * 20 + [(0.5, 0)] * 40, tmp_path / "s.csv")
    assert found["overall"]["eer"]["value"] == 0.5
    assert found["overall"]["d_prime"] is None
    assert found["targets"][0]["achieved_fmr"] == 0
    draw_all(json.loads(json.dumps(found, allow_nan=False)), tmp_path)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_one_score_for_each_kind_has_no_spread(tmp_path: Path, offset: float) -> None:
    found = scored([(offset + 0.83, 1)] * 31 + [(offset + 0.37, 0)] * 33, tmp_path / "s.csv")
    assert found["overall"]["d_prime"] is None
    assert found["overall"]["non_mated"]["std"] == 0


def test_scores_beyond_reason_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("score,mated\n0.5,1\n-1e308,0\n")
    with pytest.raises(BadInputError, match=r"line 3: score '-1e308' is too large"):
        read_scores(path)
    with pytest.raises(BadInputError, match="too large for a score"):
        comparisons_from_scores([1e200, 0.1], [1, 0])
